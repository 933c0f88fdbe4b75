-- What every conversation function stands on. A function opens the conversation, changes it,
-- and closes it: `close` writes the meta hash back and publishes what was logged.
--
-- The meta hash is the conversation's truth in short:
--   epoch          changes only when the log lost, or may have lost, something
--   top            offset of the newest logged frame          messages   number of the newest message
--   status         assisted waiting assigned resolved          site       key of the shop
--   turn           number of the open answer, or ''            queued     messages for the next turn
--   fence owner lease attempt step                             who may write, until when, and how far
--   asked          1 where the owner has sent a request to the model for the open answer
--   spent          owners of the open answer that had asked and are gone: the attempts that count
--   since          when the open turn began (ms): its first place in the queue for a permit
--   revision length crc answers replaces                       of the open answer
--   step_first step_top                                        offsets that the last step logged
--   cancel         the open answer that shall stop, or ''
--   last last_reason last_answers                              the newest finished answer
--   generation     tokens of an older one are void             tat        rate limit's arrival time
--   retention      seconds that all this is kept after the last write

local NUMBERS = {'top', 'messages', 'fence', 'lease', 'attempt', 'step', 'revision', 'length', 'crc',
                 'step_first', 'step_top', 'last', 'generation', 'tat', 'retention', 'created',
                 'asked', 'spent', 'since'}
local LOG_OPEN_S = 86400   -- while a turn is open
local LOG_IDLE_S = 120     -- after `done`: who was away for longer gets a snapshot
local LOG_ENTRIES = 512    -- kept after `done`
local LEASE_INDEX_S = 2592000

-- KEYS always come in this order, so that one table names them all.
local function keys_of(keys)
  return {meta = keys[1], log = keys[2], text = keys[3], ids = keys[4], messages = keys[5],
          handles = keys[6], leases = keys[7]}
end

-- The conversation, or nil where there is none. args[1], args[2], args[3]: its name, its channel
-- and the session of the worker that asks; args[4]: the newest offset that this worker knows.
local function open(keys, args)
  local names = keys_of(keys)
  local flat = redis.call('HGETALL', names.meta)
  if #flat == 0 then
    return nil
  end
  local c = {keys = names, name = args[1], channel = args[2], session = args[3],
             known = tonumber(args[4]), logged = {}}
  for i = 1, #flat, 2 do
    c[flat[i]] = flat[i + 1]
  end
  for _, field in ipairs(NUMBERS) do
    c[field] = tonumber(c[field]) or 0
  end
  c.first = c.top + 1
  return c
end

-- Append a frame to the log. `body` is the frame without its opening brace and offset.
local function log(c, body)
  c.top = c.top + 1
  local frame = '{"o":' .. c.top .. ',' .. body
  redis.call('XADD', c.keys.log, c.top .. '-0', 'f', frame)
  c.logged[#c.logged + 1] = frame
  return c.top
end

-- Log a finished message. `tail` is its JSON without opening brace, number and time.
local function log_message(c, tail)
  c.messages = c.messages + 1
  local number, rest = '{"m":' .. c.messages .. ',', '"time":' .. now_ms() .. ',' .. tail
  -- In a snapshot every message has a revision and says that it is done.
  redis.call('HSET', c.keys.messages, c.messages, number .. '"r":0,"done":true,' .. rest)
  return log(c, '"type":"message.created","message":' .. number .. rest .. '}')
end

-- Open a turn that answers the messages `answers` ("3,4"); the asking worker becomes its owner.
local function open_turn(c, answers, replaces, lease_ms)
  c.messages = c.messages + 1
  c.turn, c.answers, c.replaces, c.cancel = tostring(c.messages), answers, replaces, ''
  c.revision, c.attempt, c.length, c.crc = 1, 1, 0, 0
  c.asked, c.spent, c.since = 0, 0, now_ms()
  if c.owner ~= c.session then
    c.owner, c.fence, c.step = c.session, c.fence + 1, 0
  end
  c.lease = now_ms() + lease_ms
  redis.call('DEL', c.keys.text)
  redis.call('ZADD', c.keys.leases, c.lease, c.name)
  redis.call('EXPIRE', c.keys.leases, LEASE_INDEX_S)
  log(c, '"type":"answer.started","m":' .. c.turn .. ',"attempt":1,"r":1,"answers":[' .. answers ..
         ']' .. (replaces ~= '' and (',"replaces":' .. replaces) or '') .. '}')
end

-- True where the asking worker owns the open turn and shows the newest fence.
local function owns(c, fence)
  return c.turn ~= '' and c.owner == c.session and c.fence == tonumber(fence)
end

-- Everything logged after `offset`, as the bytes for the wire; nothing for a worker on which nobody
-- follows the conversation (-1).
local function frames_after(c, offset)
  if offset < 0 or offset >= c.top then
    return {}
  end
  if offset == c.first - 1 and #c.logged == c.top - offset then
    return c.logged
  end
  local frames = {}
  for _, entry in ipairs(redis.call('XRANGE', c.keys.log, (offset + 1) .. '-0', '+')) do
    frames[#frames + 1] = entry[2][2]
  end
  return frames
end

-- What an owner needs to know of the turn that is open.
local function turn_of(c)
  if c.turn == '' then
    return {}
  end
  return {tonumber(c.turn), c.fence, c.step, c.attempt, c.revision, c.answers, c.replaces, c.cancel,
          c.spent, c.since}
end

-- Write the conversation back, renew what keeps it alive, and publish what was logged:
-- a line with the session, the epoch and the first offset, then a line for each frame.
local function close(c)
  redis.call('HSET', c.keys.meta, 'top', c.top, 'messages', c.messages, 'status', c.status,
    'turn', c.turn, 'queued', c.queued, 'fence', c.fence, 'owner', c.owner, 'lease', c.lease,
    'attempt', c.attempt, 'step', c.step, 'revision', c.revision, 'length', c.length, 'crc', c.crc,
    'answers', c.answers, 'replaces', c.replaces, 'step_first', c.step_first,
    'step_top', c.step_top, 'cancel', c.cancel, 'last', c.last, 'last_reason', c.last_reason,
    'last_answers', c.last_answers, 'tat', c.tat, 'asked', c.asked, 'spent', c.spent,
    'since', c.since)
  redis.call('EXPIRE', c.keys.meta, c.retention)
  redis.call('EXPIRE', c.keys.ids, c.retention)
  redis.call('EXPIRE', c.keys.messages, c.retention)
  redis.call('EXPIRE', c.keys.text, LOG_OPEN_S)
  redis.call('EXPIRE', c.keys.log, c.turn == '' and LOG_IDLE_S or LOG_OPEN_S)
  if #c.logged > 0 then
    redis.call('SPUBLISH', c.channel, 'L ' .. c.session .. ' ' .. c.epoch .. ' ' .. c.first ..
      '\n' .. table.concat(c.logged, '\n'))
  end
end

-- A step is an owner's numbered write. Returns 'new' where it is to be done now, 'again' where it
-- was done already (its reply was lost), 'behind' where the steps before it are missing.
local function step_state(c, step)
  step = tonumber(step)
  if step == c.step and step > 0 then
    return 'again'
  end
  return step == c.step + 1 and 'new' or 'behind'
end

-- The conversation as its turn's owner writes it (args[5]: fence, args[6]: step) and the step's
-- state; or nil and what to return instead.
local function open_owned(keys, args)
  local c = open(keys, args)
  if not c then
    return nil, {'gone'}
  end
  if not owns(c, args[5]) then
    return nil, {'lost'}
  end
  local state = step_state(c, args[6])
  if state == 'behind' then
    return nil, {'behind', c.step}
  end
  return c, state
end

-- Renew the lease, as every write of an owner does.
local function renew_lease(c, lease_ms)
  c.lease = now_ms() + tonumber(lease_ms)
  redis.call('ZADD', c.keys.leases, c.lease, c.name)
end

local function end_step(c)
  c.step, c.step_first, c.step_top = c.step + 1, c.first, c.top
end
