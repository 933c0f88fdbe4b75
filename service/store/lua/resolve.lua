-- The customer ends the conversation; a later message reopens it.
-- ARGV  1 conversation  2 channel  3 session  4 known offset
-- Returns {'ok', newest offset, frames after the known offset}, or {'gone'}.
local function resolve(keys, args)
  local c = open(keys, args)
  if not c then
    return {'gone'}
  end
  if c.status ~= 'resolved' then
    c.status = 'resolved'
    log(c, '"type":"conversation.updated","status":"resolved"}')
    close(c)
  end
  return {'ok', c.top, frames_after(c, c.known)}
end
