-- Log a notice: words of the server itself to the customer.
-- ARGV  1 conversation  2 channel  3 session  4 known offset  5 the notice's JSON after its time
-- Returns {'ok', newest offset, frames after the known offset}, or {'gone'}.
local function notice(keys, args)
  local c = open(keys, args)
  if not c then
    return {'gone'}
  end
  log_message(c, args[5])
  close(c)
  return {'ok', c.top, frames_after(c, c.known)}
end
