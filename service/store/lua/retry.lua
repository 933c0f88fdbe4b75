-- A customer wants the newest answer anew: one that failed, was stopped, or ended at its length.
-- ARGV  1 conversation  2 channel  3 session  4 known offset  5 the answer's number  6 lease, ms
-- Returns {'ok', newest offset, frames after the known offset, the turn}, or {'refused'}, {'gone'}.
local AGAIN = {failed = true, stopped = true, length = true}

local function retry(keys, args)
  local c = open(keys, args)
  if not c then
    return {'gone'}
  end
  local newest = c.last > 0 and c.last == tonumber(args[5])
  if not newest or not AGAIN[c.last_reason] or c.turn ~= '' or c.status ~= 'assisted' then
    return {'refused'}
  end
  open_turn(c, c.last_answers, tostring(c.last), tonumber(args[6]))
  close(c)
  return {'ok', c.top, frames_after(c, c.known), turn_of(c)}
end
