-- A customer wants the open answer to stop. The mark stands until the owner has seen it.
-- ARGV  1 conversation  2 channel  3 session  4 known offset  5 the answer's number
-- Returns {'ok'}, also where nothing is open, {'unknown'} or {'gone'}.
local function stop(keys, args)
  local c = open(keys, args)
  if not c then
    return {'gone'}
  end
  if tonumber(args[5]) > c.messages then
    return {'unknown'}
  end
  if c.turn == args[5] then
    redis.call('HSET', c.keys.meta, 'cancel', c.turn)
    redis.call('SPUBLISH', c.channel, 'S ' .. c.session .. '\n' .. c.turn)
  end
  return {'ok'}
end
