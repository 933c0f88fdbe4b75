-- What the semaphore looks like now, for people; changes nothing.
--
-- Purpose   the state behind `PermitsState`
-- KEYS      as in permits.lua
-- ARGV      none
-- Returns   JSON; "" where no epoch has begun

local function view_sessions(step)
  local sessions = {}
  for _, name in ipairs(redis.call('HKEYS', step.keys.sessions)) do
    local session = session_of(step, name)
    local due = redis.call('ZSCORE', step.keys.alarms,
      (session.state == 'live' and 'lease:' or 'quarantine:') .. name)
    sessions[name] = {
      state = session.state, held = session.held, unseen = session.granted - session.acked,
      waiting = redis.call('HLEN', waiters_key(step, name)),
      due_ms = due and math.max(0, tonumber(due) - step.clock) or 0,
    }
  end
  return sessions
end

local function permits_view(keys, args)
  local step = open_step(keys)
  local meta = step.meta
  if not meta.epoch then return '' end
  local view = {
    epoch = meta.epoch, tier = meta.tier or 0, limit = meta.limit or 0,
    admissible = admissible(step), recovering = recovering(step), hold_ms = meta.hold_us / 1000,
    used = redis.call('HLEN', keys[3]), background = meta.background,
    waiting_live = redis.call('ZCARD', keys[4]), waiting_background = redis.call('ZCARD', keys[5]),
    sessions = view_sessions(step), absent = table.concat(redis.call('SMEMBERS', keys[9]), ' '),
  }
  if next(view.sessions) == nil then view.sessions = nil end
  return cjson.encode(view)
end
