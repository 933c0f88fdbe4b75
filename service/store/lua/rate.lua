-- A customer rates a finished answer.
-- ARGV  1 conversation  2 channel  3 session  4 known offset  5 the answer's number  6 1, -1 or 0
-- Returns {'ok', newest offset, frames after the known offset}, or {'unknown'}, {'gone'}.
local function rate(keys, args)
  local c = open(keys, args)
  if not c then
    return {'gone'}
  end
  local m, value = args[5], args[6]
  local message = redis.call('HGET', c.keys.messages, m)
  if not message or not message:find('"author":"assistant"', 1, true) then
    return {'unknown'}
  end
  message = message:gsub('^({"m":%d+,)"rating":%-?%d+,', '%1', 1)
  message = message:gsub('^({"m":%d+,)', '%1"rating":' .. value .. ',', 1)
  redis.call('HSET', c.keys.messages, m, message)
  log(c, '"type":"answer.rated","m":' .. m .. ',"value":' .. value .. '}')
  close(c)
  return {'ok', c.top, frames_after(c, c.known)}
end
