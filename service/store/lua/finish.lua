-- End the open answer, and open the next turn where messages wait for one, in the same step.
-- ARGV  1 conversation  2 channel  3 session  4 known offset
--       5 fence  6 step  7 lease, ms  8 reason  9 sources as JSON, or ''
--       10 a notice to log before the end (JSON after its time), or ''
-- Returns {'ok', newest offset, frames after the known offset, the next turn if one opened}, or
-- {'lost'}, {'gone'}, or {'behind', the step the log has}.
--
-- A withdrawn answer leaves nothing behind: its text goes, and so does the log up to here, so that
-- whoever is behind gets a snapshot instead of the deltas.

local function withdraw(c)
  redis.call('DEL', c.keys.text)
  redis.call('XTRIM', c.keys.log, 'MAXLEN', 0)
  c.length, c.crc = 0, 0
end

local function keep_answer(c, reason, sources)
  local text = redis.call('GET', c.keys.text) or ''
  local message = '{"m":' .. c.turn .. ',"time":' .. now_ms() .. ',"author":"assistant","text":' ..
    cjson.encode(text) .. ',"r":' .. c.revision .. ',"done":true,"reason":"' .. reason ..
    '","answers":[' .. c.answers .. ']' ..
    (c.replaces ~= '' and (',"replaces":' .. c.replaces) or '') ..
    (sources ~= '' and (',"sources":' .. sources) or '') .. '}'
  redis.call('HSET', c.keys.messages, c.turn, message)
end

local function finish(keys, args)
  local c = open(keys, args)
  if not c then
    return {'gone'}
  end
  local fence, step, lease_ms, reason, sources, notice = args[5], args[6], tonumber(args[7]),
    args[8], args[9], args[10]
  -- A repeated finish finds the next turn open, or none: the step and the fence still tell.
  if c.owner ~= c.session or c.fence ~= tonumber(fence) then
    return {'lost'}
  end
  local state = step_state(c, step)
  if state == 'again' then
    return {'ok', c.top, frames_after(c, c.known), turn_of(c)}
  elseif state == 'behind' then
    return {'behind', c.step}
  elseif c.turn == '' then
    return {'lost'}
  end
  if reason == 'withdrawn' then
    withdraw(c)
  end
  if notice ~= '' then
    log_message(c, notice)
  end
  keep_answer(c, reason, sources)
  log(c, '"type":"answer.done","m":' .. c.turn .. ',"reason":"' .. reason .. '","length":' ..
         c.length .. ',"crc32":' .. string.format('%.0f', c.crc) ..
         (sources ~= '' and (',"sources":' .. sources) or '') .. '}')
  c.last, c.last_reason, c.last_answers = tonumber(c.turn), reason, c.answers
  c.turn, c.cancel = '', ''
  redis.call('ZREM', c.keys.leases, c.name)
  redis.call('DEL', c.keys.text)
  redis.call('XTRIM', c.keys.log, 'MAXLEN', LOG_ENTRIES)
  -- A customer may have sent more and then ended the conversation: what was accepted is answered.
  if c.queued ~= '' and (c.status == 'assisted' or c.status == 'resolved') then
    local queued = c.queued
    c.queued = ''
    open_turn(c, queued, '', lease_ms)
  end
  end_step(c)
  close(c)
  local next_turn = turn_of(c)
  return {'ok', c.top, frames_after(c, c.known), next_turn}
end
