-- Accept a customer's message: store it once, and see to it that somebody answers.
-- ARGV  1 conversation  2 channel  3 session  4 known offset
--       5 the message's id  6 the message's JSON after its time  7 lease, ms
--       8 messages a minute
-- Returns {'new' or 'known', m, offset, newest offset, frames after the known offset, the turn if
-- this worker is to run it}, or {'gone'}, or {'limited', ms to wait}.
--
-- A known id is acknowledged before any limit is looked at: the client only asks whether its
-- message arrived, and its worker whether the turn was lost with the reply. Such a turn has nothing
-- written yet; one that has is run already, or is left to be adopted with its text. A new message is
-- answered by a turn that opens in this same step, so that there is never an accepted message
-- without an owner; while an answer runs it waits for the next turn.

local IDS = 256  -- ids remembered a conversation, in a ring

local function remember(c, id, place)
  local slot = 'slot:' .. (redis.call('HINCRBY', c.keys.ids, 'count', 1) % IDS)
  local old = redis.call('HGET', c.keys.ids, slot)
  if old then
    redis.call('HDEL', c.keys.ids, 'id:' .. old)
  end
  redis.call('HSET', c.keys.ids, 'id:' .. id, place, slot, id)
end

-- Milliseconds to wait, or 0: a minute's messages at once, then one each time a share has passed
-- (the generic cell rate algorithm: one number is the whole state).
local function wait_ms(c, a_minute)
  local now, share = now_ms(), 60000 / a_minute
  local arrival = math.max(c.tat, now)
  if arrival - now > 60000 - share then
    return math.ceil(arrival - now - (60000 - share))
  end
  c.tat = math.floor(arrival + share)
  return 0
end

local function accept(keys, args)
  local c = open(keys, args)
  if not c then
    return {'gone'}
  end
  local id, tail, lease_ms = args[5], args[6], tonumber(args[7])
  local place = redis.call('HGET', c.keys.ids, 'id:' .. id)
  if place then
    local m, offset = place:match('(%d+),(%d+)')
    return {'known', tonumber(m), tonumber(offset), c.top, frames_after(c, c.known),
            c.owner == c.session and c.length == 0 and turn_of(c) or {}}
  end
  local wait = wait_ms(c, tonumber(args[8]))
  if wait > 0 then
    return {'limited', wait}
  end
  local offset = log_message(c, tail)
  local m, opened = c.messages, {}
  remember(c, id, m .. ',' .. offset)
  if c.status == 'resolved' then
    c.status = 'assisted'
    log(c, '"type":"conversation.updated","status":"assisted"}')
  end
  if c.status == 'assisted' and c.turn == '' then
    open_turn(c, c.queued == '' and tostring(m) or (c.queued .. ',' .. m), '', lease_ms)
    c.queued, opened = '', turn_of(c)
  elseif c.status == 'assisted' then
    c.queued = c.queued == '' and tostring(m) or (c.queued .. ',' .. m)
  end
  close(c)
  return {'new', m, offset, c.top, frames_after(c, c.known), opened}
end
