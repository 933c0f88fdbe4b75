-- Take over an open turn whose owner is gone.
-- ARGV  1 conversation  2 channel  3 session  4 known offset  5 lease, ms
--       6 the server's time at the adopter's previous look (ms)
--       7 a session that is known to be dead, or ''
-- Returns {'ok', newest offset, the turn, its text so far, site, epoch}, or {'held'}, {'idle'},
-- {'gone'}.
--
-- The lease must have run out before the adopter's previous look: after a pause of the server all
-- leases look expired at first, and healthy owners need a moment to renew theirs. There is no such
-- doubt about an owner whose process was seen to end, or that gave the turn away (lease 0).
--
-- An attempt is spent where its owner had asked the model: three such, and the turn is given up,
-- for what it asks may be what kills its owners.
local function adopt(keys, args)
  local c = open(keys, args)
  if not c then
    redis.call('ZREM', keys_of(keys).leases, args[1])
    return {'gone'}
  end
  if c.turn == '' then
    redis.call('ZREM', c.keys.leases, c.name)
    return {'idle'}
  end
  if c.lease > 0 and c.lease >= tonumber(args[6]) and c.owner ~= args[7] then
    return {'held'}
  end
  c.owner, c.fence, c.step, c.attempt = c.session, c.fence + 1, 0, c.attempt + 1
  c.spent, c.asked = c.spent + c.asked, 0
  c.lease = now_ms() + tonumber(args[5])
  redis.call('ZADD', c.keys.leases, c.lease, c.name)
  log(c, '"type":"answer.started","m":' .. c.turn .. ',"attempt":' .. c.attempt .. ',"r":' ..
         c.revision .. ',"answers":[' .. c.answers .. ']' ..
         (c.replaces ~= '' and (',"replaces":' .. c.replaces) or '') .. '}')
  close(c)
  return {'ok', c.top, turn_of(c), redis.call('GET', c.keys.text) or '', c.site, c.epoch}
end
