-- Sessions that come, fall silent, return, and end; and epochs, which begin where the server may
-- have forgotten something.

local FENCED_KEEP_MS = 600000 -- longer than any permit's life, so that no late word revives one

local function alarm(step, name, at) redis.call('ZADD', step.keys.alarms, at, name) end
local function no_alarm(step, name) redis.call('ZREM', step.keys.alarms, name) end
local function roster_changed(step) step.meta.roster = step.meta.roster + 1 end

local function expect(step, session, by)
  redis.call('SADD', step.keys.absent, session)
  alarm(step, 'absent:' .. session, by)
end

local function expect_no_more(step, session)
  redis.call('SREM', step.keys.absent, session)
  no_alarm(step, 'absent:' .. session)
end

local function remove_session(step, name)
  drop_waiters(step, name)
  redis.call('UNLINK', inbox_key(step, name), waiters_key(step, name))
  redis.call('HDEL', step.keys.sessions, name)
  redis.call('HDEL', step.keys.schemas, name)
  no_alarm(step, 'lease:' .. name)
  no_alarm(step, 'quarantine:' .. name)
  step.sessions[name] = false
  roster_changed(step)
end

-- A lease ran out. The process may be paused with its requests open, so its permits stay counted
-- until it returns, a fence notice says that its sockets are closed, or no request that it began can
-- still run: it was last seen a lease ago and cuts every request `hold` after it last was sure of us.
local function quarantine(step, name, timing)
  local session = session_of(step, name)
  if not session then return end
  drop_waiters(step, name)
  redis.call('UNLINK', inbox_key(step, name))
  if session.held == 0 then return remove_session(step, name) end
  session.state = 'quarantined'
  session_changed(step, name)
  alarm(step, 'quarantine:' .. name, step.clock + timing.hold - timing.lease)
end

local function free_all(step, name, linger)
  for id, permit in pairs(permits_of(step, name)) do take_back(step, id, permit, linger) end
end

-- The session's sockets are closed: its permits may be used again after the linger.
local function fence(step, name, timing)
  redis.call('ZREMRANGEBYSCORE', step.keys.fenced, '-inf', step.clock - FENCED_KEEP_MS)
  if redis.call('ZSCORE', step.keys.fenced, name) then return end
  redis.call('ZADD', step.keys.fenced, step.clock, name)
  if session_of(step, name) then
    free_all(step, name, timing.linger)
    remove_session(step, name)
  elseif recovering(step) then -- known or not: its requests may have been cut only now
    expect(step, name, step.clock + timing.linger)
  end
end

local ON_ALARM = {
  lease = quarantine,
  quarantine = function(step, name)
    free_all(step, name, 0)
    remove_session(step, name)
  end,
  linger = function(step, id)
    local permit = permit_of(step, id)
    if permit and permit.session == NOBODY then take_back(step, id, permit, 0) end
  end,
  absent = expect_no_more,
  window = function() end,
}

local function ring_alarms(step, timing)
  local due = redis.call('ZRANGE', step.keys.alarms, '-inf', step.clock, 'BYSCORE', 'LIMIT', 0, ALARMS_MAX)
  for _, name in ipairs(due) do
    redis.call('ZREM', step.keys.alarms, name)
    local kind, subject = string.match(name, '^(%a+):?(.*)$')
    ON_ALARM[kind](step, subject, timing)
  end
  if #due == ALARMS_MAX then step.now_due = true end
end

-- Until when a session may have a request open: `by`, or a linger after its sockets were closed.
local function open_until(step, name, by, timing)
  local fenced = tonumber(redis.call('ZSCORE', step.keys.fenced, name) or nil)
  return fenced and math.min(by, fenced + timing.linger) or by
end

-- An epoch begins. The permits on record may be neither complete nor current, so they are forgotten;
-- the sessions are not: the epoch waits for each of them, at most until none of its requests can
-- still run. Until then the limit is what has been registered again. That is safe because all that
-- was in flight before was within the limit, and what is registered is a part of it. How long one was
-- silent is forgotten as well: a replica that lags may not have heard of its return. The window of one
-- linger covers requests that were cut just before, and whoever comes back at the same time.
local function begin_epoch(step, timing)
  local meta, keys = step.meta, step.keys
  local by = {}
  for _, name in ipairs(redis.call('HKEYS', keys.sessions)) do
    by[name] = step.clock + timing.hold
    redis.call('UNLINK', waiters_key(step, name), inbox_key(step, name))
  end
  for _, name in ipairs(redis.call('SMEMBERS', keys.absent)) do
    by[name] = open_until(step, name, step.clock + timing.hold, timing)
  end
  redis.call('UNLINK', keys.sessions, keys.permits, keys.live, keys.background, keys.finish_live,
    keys.finish_background, keys.alarms, keys.absent, keys.schemas)
  step.used = 0
  for name, at in pairs(by) do expect(step, name, at) end
  meta.run = this_run()
  meta.epoch = string.format('%x-%s', now_ms(), string.sub(meta.run, 1, 4))
  meta.began, meta.window = step.clock, step.clock + timing.linger
  alarm(step, 'window', meta.window)
  meta.registered, meta.background, meta.since_background, meta.successes = 0, 0, 0, 0
  meta.roster = (meta.roster or 0) + 1
  meta.schema = SCHEMA
  close_circuit(step) -- the alarm that would try the platform is gone
end

-- The servers' keys outlive a deploy, and while one rolls two versions work on them. Versions whose
-- schemas are more than one apart do not understand each other's records: whoever comes later is
-- refused while the others live. Those that fell silent are treated as at a server that restarted:
-- an epoch begins in our own form and waits for them. Returns whether the caller may go on.
--
-- The names of the keys, `clock` and `seen` in `meta`, `sessions` and `absent` by name, and alarms by
-- "kind:name" are the same in every schema.
local function meet_schemas(step, timing)
  local others = false
  local flat = redis.call('HGETALL', step.keys.schemas)
  for i = 1, #flat, 2 do
    if math.abs(tonumber(flat[i + 1]) - SCHEMA) > 1 then
      local lease = tonumber(redis.call('ZSCORE', step.keys.alarms, 'lease:' .. flat[i]) or 0)
      if lease > step.clock then return false end
      others = true
    end
  end
  if others or math.abs(step.meta.schema - SCHEMA) > 1 then begin_epoch(step, timing) end
  return true
end

-- A supervisor says of a worker that it lives. Where this epoch has not heard of it, it waits for it:
-- it may have requests open that no roster knows.
local function expect_living(step, name, timing)
  local by = step.meta.began + timing.hold
  if step.clock >= by or session_of(step, name) then return end
  if redis.call('ZSCORE', step.keys.fenced, name) then return end
  if redis.call('SISMEMBER', step.keys.absent, name) == 0 then expect(step, name, by) end
end

-- What a worker knew, for a server that may have lost it.
local function remember(step, known)
  local meta = step.meta
  if not meta.tier then set_tier(step, known.tier) end
  if known.fresh and meta.configured and meta.configured ~= known.configured then
    set_tier(step, known.configured) -- the deploy that starts last knows best
  end
  if known.fresh or not meta.configured then meta.configured = known.configured end
  if meta.holds == 0 and known.hold_us > 0 then meta.hold_us, meta.holds = known.hold_us, HOLDS_KNOWN end
  if known.epoch == '' or known.epoch == meta.epoch then return end
  meta.virtual_live = math.max(meta.virtual_live, known.virtual_live)
  meta.virtual_background = math.max(meta.virtual_background, known.virtual_background)
end

-- Sessions that the caller knew in a former epoch, of whom this one has not heard.
local function expect_roster(step, known, timing)
  local meta = step.meta
  local by = meta.began + timing.hold
  if known.epoch == '' or known.epoch == meta.epoch or step.clock >= by then return end
  for _, name in ipairs(known.roster) do
    local until_clock = open_until(step, name, by, timing)
    if name ~= known.session and not session_of(step, name) and step.clock < until_clock then
      expect(step, name, until_clock)
    end
  end
end

-- The session says: these permits and no others are mine. Whatever else is on record as its own it
-- never saw, and never used.
local function reconcile(step, name, session, held)
  local on_record = permits_of(step, name)
  for _, mine in ipairs(held) do
    local permit = on_record[mine.id]
    on_record[mine.id] = nil
    if not permit and not permit_of(step, mine.id) then
      permit = { session = name, class = mine.class, granted = step.clock - mine.age }
      if mine.class == 'background' then step.meta.background = step.meta.background + 1 end
    end
    if permit then
      permit.number, permit.waiter = 0, NOBODY
      write_permit(step, mine.id, permit)
      session.held = session.held + 1
      session.sum = session.sum + number_of(mine.id)
    end
  end
  for id, permit in pairs(on_record) do
    permit.session = NOBODY -- counted above, or not at all
    take_back(step, id, permit, 0)
  end
end

-- What a session still has after its first step in this epoch. Not what it gave back in that step:
-- a step whose reply was lost may have given it back before, and it may be somebody else's since.
local function came_back(step, name)
  step.meta.registered = step.meta.registered + session_of(step, name).held
end

-- A session comes, or comes back, and says everything that it knows. Returns whether it is new here.
local function register(step, known, timing)
  local name, meta = known.session, step.meta
  remember(step, known)
  expect_roster(step, known, timing)
  local new_here = session_of(step, name) == nil
  drop_waiters(step, name)
  redis.call('UNLINK', inbox_key(step, name))
  no_alarm(step, 'quarantine:' .. name)
  expect_no_more(step, name)
  local session = { state = 'live', registration = known.registration, granted = 0, acked = 0,
                    silent = 0, held = 0, sum = 0 }
  step.sessions[name] = session
  session_changed(step, name)
  redis.call('HSET', step.keys.schemas, name, SCHEMA)
  meta.schema = math.max(meta.schema, SCHEMA)
  reconcile(step, name, session, known.held)
  if new_here then roster_changed(step) end
  for _, w in ipairs(known.waiters) do
    local tag, arrival = w.tag, w.arrival
    if arrival then
      meta.arrivals = math.max(meta.arrivals, arrival)
    else
      tag, arrival = draw_tag(step, w.class, w.flow, w.age)
    end
    enqueue(step, name, w.waiter, w.class, w.flow, tag, arrival)
    step.asked[#step.asked + 1] = { waiter = w.waiter, class = w.class, tag = tag, arrival = arrival }
  end
  return new_here
end
