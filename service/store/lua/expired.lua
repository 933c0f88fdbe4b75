-- Conversations of a partition whose lease has run out. KEYS 1: the partition's index of leases.
-- ARGV  1 how many at most
-- Returns {time now (ms), conversation, end of its lease (0: given away), ...}.
local function expired(keys, args)
  local now = now_ms()
  local names = redis.call('ZRANGEBYSCORE', keys[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0,
    tonumber(args[1]))
  table.insert(names, 1, tostring(now))
  return names
end
