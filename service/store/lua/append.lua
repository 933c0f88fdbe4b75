-- Append an owner's frames and the text that they add to the open answer.
-- ARGV  1 conversation  2 channel  3 session  4 known offset
--       5 fence  6 step  7 lease, ms  8 text to add  9 length after it, UTF-16 units
--       10 crc32 after it  11... frames without opening brace and offset
-- Returns {'ok', newest offset, frames after the known offset, cancel mark, first offset of this
-- step}, or {'lost'}, {'gone'}, or {'behind', the step the log has}.
local function append(keys, args)
  local c, state = open_owned(keys, args)
  if not c then
    return state
  end
  if state == 'new' then
    for i = 11, #args do
      log(c, args[i])
    end
    redis.call('APPEND', c.keys.text, args[8])
    c.length, c.crc = tonumber(args[9]), tonumber(args[10])
    end_step(c)
  end
  renew_lease(c, args[7])
  close(c)
  return {'ok', c.top, frames_after(c, c.known), c.cancel, c.step_first}
end
