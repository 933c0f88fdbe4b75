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

-- A flow is "site~hash". One row for each site and class, with the place of its first waiter.
local function view_queues(step)
  local rows, by = {}, {}
  for _, name in ipairs(redis.call('HKEYS', step.keys.sessions)) do
    local flat = redis.call('HGETALL', waiters_key(step, name))
    for i = 1, #flat, 2 do
      local class, flow, _, arrival = string.match(flat[i + 1], '^(%a+) (%S+) (%-?%d+) (%d+)$')
      local site = string.match(flow, '^(.*)~') or ''
      local row = by[class .. site]
      if not row then
        row = { site = site, priority = class, waiting = 0, first = 0 }
        by[class .. site], rows[#rows + 1] = row, row
      end
      row.waiting = row.waiting + 1
      local place = place_of(step, class, member_of(tonumber(arrival), name, flat[i])) or 0
      if place > 0 and (row.first == 0 or place < row.first) then row.first = place end
    end
  end
  return rows
end

local function view_waits(step)
  local waits = { live = {}, background = {} }
  for _, text in ipairs(redis.call('LRANGE', step.keys.waits, 0, -1)) do
    local class, ms = string.match(text, '^(%a+) (%d+)$')
    if class then waits[class][#waits[class] + 1] = tonumber(ms) end
  end
  return waits
end

local function view_provider(step)
  local meta = step.meta
  local closed = closed_for(step)
  local view = {
    circuit = {
      state = not circuit_open(step) and 'closed' or closed > 0 and 'open' or 'probing',
      code = circuit_open(step) and meta.circuit_code or 0, left_ms = closed, trips = meta.trips,
    },
    refused = { times = meta.refused_times, last_ms = step.clock - meta.refused_at, lag_ms = meta.lag },
  }
  view.blocked = { code = meta.blocked_code, times = meta.blocked_times,
                   since_ms = step.clock - meta.blocked_at }
  return view
end

-- cjson writes an empty table as an object; who reads it wants a list, so the field is left out.
local function without_empty(view)
  for name, value in pairs(view) do
    if type(value) == 'table' and next(value) == nil then view[name] = nil end
  end
  return view
end

local function permits_view(keys, args)
  local step = open_step(keys)
  local meta = step.meta
  if not meta.epoch then return '' end
  local view = view_provider(step)
  view.epoch, view.schema, view.tier = meta.epoch, meta.schema, meta.configured or 0
  view.cap, view.limit = meta.tier or 0, meta.limit or 0
  view.admissible, view.recovering = admissible(step), recovering(step)
  view.hold_ms, view.used = meta.hold_us / 1000, step.used
  view.background = meta.background
  view.waiting_live = redis.call('ZCARD', keys[4])
  view.waiting_background = redis.call('ZCARD', keys[5])
  view.sessions, view.queues = view_sessions(step), view_queues(step)
  view.absent = redis.call('SMEMBERS', keys[9])
  view.waits = without_empty(view_waits(step))
  return cjson.encode(without_empty(view))
end
