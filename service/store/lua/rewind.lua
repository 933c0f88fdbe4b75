-- Cut the open answer to its beginning and start a new revision of it.
-- ARGV  1 conversation  2 channel  3 session  4 known offset
--       5 fence  6 step  7 lease, ms  8 the text that stays  9 its length, UTF-16 units  10 its crc32
-- Returns as append does.
local function rewind(keys, args)
  local c, state = open_owned(keys, args)
  if not c then
    return state
  end
  if state == 'new' then
    c.revision = c.revision + 1
    redis.call('SET', c.keys.text, args[8])
    c.length, c.crc = tonumber(args[9]), tonumber(args[10])
    log(c, '"type":"answer.rewound","m":' .. c.turn .. ',"r":' .. c.revision .. ',"at":' ..
           c.length .. '}')
    end_step(c)
  end
  renew_lease(c, args[7])
  close(c)
  return {'ok', c.top, frames_after(c, c.known), c.cancel, c.step_first}
end
