-- The owner gives its open turn away in good order: whoever looks next adopts it, and no attempt is
-- spent. Repeating it, or giving away what is not one's own any more, does nothing.
-- ARGV  1 conversation  2 channel  3 session  4 known offset (unused)  5 fence
-- Returns {'ok'} or {'lost'}.
local function handover(keys, args)
  local names = keys_of(keys)
  local meta = redis.call('HMGET', names.meta, 'turn', 'owner', 'fence')
  if not meta[1] or meta[1] == '' or meta[2] ~= args[3] or meta[3] ~= args[5] then
    return {'lost'}
  end
  redis.call('HSET', names.meta, 'lease', 0, 'asked', 0)
  redis.call('ZADD', names.leases, 0, args[1])
  redis.call('SPUBLISH', args[2], 'O ' .. args[3] .. '\n')
  return {'ok'}
end
