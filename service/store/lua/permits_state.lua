-- What one step works on: read once at its start, changed in Lua tables, written once at its end.
--
-- meta        hash      the semaphore itself: numbers, and the words `epoch` and `run`
-- sessions    hash      session -> "state registration granted acked silent held sum"
-- permits     hash      permit -> "session class number granted waiter"; every permit that counts
-- live        sorted    waiters of that class, by start tag: "arrival:session:waiter"
-- background  sorted    the same for the other class
-- finish_*    sorted    flow -> the tag after its last one; whoever is behind virtual time is pruned
-- alarms      sorted    everything that happens by time alone, by the lease clock
-- absent      set       sessions that an epoch still waits for
-- fenced      sorted    session -> clock at which its sockets were known to be closed
-- schemas     hash      session -> the SCHEMA of the functions that it calls
-- waits       list      the newest waits, for people: "class ms"
-- waiters:S   hash      waiter -> "class flow tag arrival", what the session S has in the queues
-- inbox:S     stream    grants pushed to the session S
--
-- The last two are named after a session, so they cannot be in KEYS; they share the others' tag.

local CLOCK_STEP_MS = 1000 -- a jump of the server's clock, or a pause of it, counts as no more
local ALARMS_MAX = 64 -- handled in one step; the rest in the next one, which is asked for at once
local GRANTS_MAX = 64 -- the same for grants
local SESSION_KEYS_S = 86400 -- a session's own keys; renewed whenever it waits or is granted
local NOBODY = '-' -- owns the permits of requests that were cut, until the provider has noticed

-- A library's locals live exactly as long as the server's process and are not replicated. So this
-- is empty after a restart and on a promoted replica, whatever the keys say.
local server_run = nil

local function this_run()
  if not server_run then
    server_run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or 'unknown'
  end
  return server_run
end

-- What a record begins with; also one that an earlier version wrote, which knew fewer.
local STARTS = {
  seq = 0, cut_seq = 0, before_cut = 0, virtual_live = 0, virtual_background = 0, hold_us = 0,
  holds = 0, arrivals = 1, schema = SCHEMA, lag = 0, refused_at = 0, refused_times = 0,
  trips = 0, overloads = 0, probe = 0, circuit_until = 0, circuit_seq = 0, circuit_code = 0,
  blocked_code = 0, blocked_seq = 0, blocked_at = 0, blocked_times = 0,
}

local function load_meta(key)
  local flat = redis.call('HGETALL', key)
  local meta = {}
  for i = 1, #flat, 2 do
    local name, value = flat[i], flat[i + 1]
    meta[name] = (name == 'epoch' or name == 'run') and value or tonumber(value)
  end
  return meta
end

-- The lease clock: the server's time, except that it never goes back and never leaps. Slow is safe
-- (permits are freed later); fast is not.
local function advance_clock(meta)
  local time = now_ms()
  local passed = time - (meta.seen or time)
  meta.clock = (meta.clock or time) + math.max(0, math.min(passed, CLOCK_STEP_MS))
  meta.seen = time
end

local KEY_NAMES = {
  'meta', 'sessions', 'permits', 'live', 'background',
  'finish_live', 'finish_background', 'alarms', 'absent', 'fenced', 'schemas', 'waits',
}

local function open_step(keys)
  local step = { keys = {}, sessions = {}, changed = {}, pushes = {}, asked = {}, unknown = {},
                 now_due = false }
  for i, name in ipairs(KEY_NAMES) do step.keys[name] = keys[i] end
  step.prefix = string.sub(keys[1], 1, -#'meta' - 1)
  step.meta = load_meta(step.keys.meta)
  step.before = {}
  for name, value in pairs(step.meta) do step.before[name] = value end
  for name, start in pairs(STARTS) do step.meta[name] = step.meta[name] or start end
  advance_clock(step.meta)
  step.clock = step.meta.clock
  step.used = redis.call('HLEN', step.keys.permits) -- all that counts
  return step
end

local function waiters_key(step, session) return step.prefix .. 'waiters:' .. session end
local function inbox_key(step, session) return step.prefix .. 'inbox:' .. session end

local SESSION_PATTERN = '^(%a+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$'

-- A session's record, or nil where it is not registered in this epoch.
-- `silent`: since when (clock) it owes the receipt of a grant; 0 if it owes none.
-- `held` and `sum`: how many permits it has, and the sum of their numbers, to compare with its own.
local function session_of(step, name)
  local session = step.sessions[name]
  if session ~= nil then return session or nil end
  local text = redis.call('HGET', step.keys.sessions, name)
  if not text then
    step.sessions[name] = false
    return nil
  end
  local state, registration, granted, acked, silent, held, sum = string.match(text, SESSION_PATTERN)
  session = {
    state = state, registration = tonumber(registration), granted = tonumber(granted),
    acked = tonumber(acked), silent = tonumber(silent), held = tonumber(held), sum = tonumber(sum),
  }
  step.sessions[name] = session
  return session
end

local function session_changed(step, name) step.changed[name] = true end

-- Permit ids are "epoch:number". The number alone repeats after the server lost its keys.
local function number_of(permit) return tonumber(string.match(permit, ':(%d+)$')) or 0 end

local function read_permit(text)
  local session, class, number, granted, waiter = string.match(text, '^(%S+) (%a+) (%d+) (%d+) (%S+)$')
  return {
    session = session, class = class, number = tonumber(number), granted = tonumber(granted),
    waiter = waiter,
  }
end

local function permit_of(step, id)
  local text = redis.call('HGET', step.keys.permits, id)
  return text and read_permit(text) or nil
end

-- All permits of one session, by id. Reads every permit: for the rare steps only.
local function permits_of(step, session)
  local found = {}
  local flat = redis.call('HGETALL', step.keys.permits)
  for i = 1, #flat, 2 do
    local permit = read_permit(flat[i + 1])
    if permit.session == session then found[flat[i]] = permit end
  end
  return found
end

local function write_permit(step, id, permit)
  step.used = step.used + redis.call('HSET', step.keys.permits, id, string.format('%s %s %d %d %s',
    permit.session, permit.class, permit.number, permit.granted, permit.waiter))
end

local function erase_permit(step, id)
  step.used = step.used - redis.call('HDEL', step.keys.permits, id)
end

local function close_step(step)
  for name in pairs(step.changed) do
    local s = step.sessions[name]
    if s then
      redis.call('HSET', step.keys.sessions, name, string.format('%s %d %d %d %d %d %d',
        s.state, s.registration, s.granted, s.acked, s.silent, s.held, s.sum))
    end
  end
  local fields = {}
  for name, value in pairs(step.meta) do
    if step.before[name] ~= value then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  if #fields > 0 then redis.call('HSET', step.keys.meta, unpack(fields)) end
end
