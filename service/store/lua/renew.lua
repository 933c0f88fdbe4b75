-- Renew the lease of an open turn; one that expired is revived where nobody adopted it.
-- ARGV  1 conversation  2 channel  3 session  4 known offset  5 fence  6 lease, ms
--       7 1 where a request to the model is being sent: the attempt counts from now on
-- Returns {'ok', cancel mark}, or {'lost'}.
local function renew(keys, args)
  local names = keys_of(keys)
  local meta = redis.call('HMGET', names.meta, 'turn', 'owner', 'fence', 'cancel')
  if not meta[1] or meta[1] == '' or meta[2] ~= args[3] or meta[3] ~= args[5] then
    return {'lost'}
  end
  local lease = now_ms() + tonumber(args[6])
  redis.call('HSET', names.meta, 'lease', lease)
  if args[7] == '1' then redis.call('HSET', names.meta, 'asked', 1) end
  redis.call('ZADD', names.leases, lease, args[1])
  return {'ok', meta[4]}
end
