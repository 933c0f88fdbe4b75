-- What the provider says that is not about our tier.
--
-- "The platform is full" (1305, 1312) is about everybody. To ask on does not help, and to cut our
-- limit would be wrong: it was not us. So the circuit opens: nothing is granted for a pause, then one
-- request at a time tries whether the platform is back, and each that finds it full makes the next
-- pause twice as long. Who waits keeps its place and is told the longer wait.
--
-- "This account may not" (balance, key, quota, ban) is about us, and no waiting helps. Requests go on,
-- because they fail at once, a customer gets words in place of an answer, and the first that succeeds
-- ends the alarm. Somebody has to be told: the alarm stands in the metrics and in `parley permits`.

local TRIP_AFTER = 5 -- overloads without a word of another kind between them
local PAUSE_MS = 500
local PAUSE_MAX_MS = 30000
local OVERLOADS = { ['1305'] = true, ['1312'] = true }

-- Codes for which somebody has to do something: the key, the account, the purse, a plan's quota.
local function blocks(outcome)
  local code = tonumber(outcome)
  if not code then return false end
  return (code >= 1000 and code < 1200) or code == 1220 or code == 1304
    or (code >= 1308 and code <= 1321 and code ~= 1312)
end

local function circuit_open(step) return step.meta.trips > 0 end

-- Milliseconds until the next request may try the platform.
local function closed_for(step)
  if not circuit_open(step) then return 0 end
  return math.max(0, step.meta.circuit_until - step.clock)
end

local function trip(step, outcome)
  local meta = step.meta
  meta.trips = meta.trips + 1
  local longest = math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ^ meta.trips)
  local chance = (now_ms() * 7919 + meta.seq * 104729) % 1000 / 1000 -- other accounts trip with us
  meta.circuit_until = step.clock + math.floor(PAUSE_MS + (longest - PAUSE_MS) * chance)
  meta.circuit_seq, meta.circuit_code = meta.seq, tonumber(outcome)
  meta.overloads, meta.probe = 0, 0
  redis.call('ZADD', step.keys.alarms, meta.circuit_until, 'window:circuit')
end

local function close_circuit(step)
  local meta = step.meta
  meta.trips, meta.overloads, meta.probe = 0, 0, 0
  redis.call('ZREM', step.keys.alarms, 'window:circuit')
end

-- Requests that were granted before the circuit opened know nothing new about the platform.
local function learn_platform(step, number, outcome)
  local meta = step.meta
  if number <= meta.circuit_seq then return end
  if OVERLOADS[outcome] then
    meta.overloads = meta.overloads + 1
    if circuit_open(step) or meta.overloads >= TRIP_AFTER then trip(step, outcome) end
  elseif outcome == 'aborted' then
    if meta.probe == number then meta.probe = 0 end
  else
    meta.overloads = 0
    if circuit_open(step) then close_circuit(step) end
  end
end

local function learn_account(step, number, outcome)
  local meta = step.meta
  if blocks(outcome) then
    if meta.blocked_code == 0 then meta.blocked_at, meta.blocked_times = step.clock, 0 end
    meta.blocked_code, meta.blocked_seq = tonumber(outcome), meta.seq
    meta.blocked_times = meta.blocked_times + 1
  elseif outcome == 'ok' and number > meta.blocked_seq then
    meta.blocked_code = 0
  end
end

-- How many may be granted now, of ``room`` that are free: one that tries, while the circuit is open.
-- Its permit may have come to nobody's ears: dropped with its session, or in quarantine.
local function room_for_circuit(step, room)
  local meta = step.meta
  if not circuit_open(step) then return room end
  if closed_for(step) > 0 then return 0 end
  if meta.probe > 0 then
    local id = meta.epoch .. ':' .. string.format('%d', meta.probe)
    local permit = permit_of(step, id)
    local session = permit and permit.session ~= NOBODY and session_of(step, permit.session)
    if session and session.state == 'live' then return 0 end
  end
  return math.min(room, 1)
end
