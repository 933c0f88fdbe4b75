#!lua name=parley_permits_bf0900d3a3b5
-- The only file that asks for the time. Tests load another one in its place.
-- Returns milliseconds since 1970, by the server's clock.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

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
  'finish_live', 'finish_background', 'alarms', 'absent', 'fenced',
}

local function open_step(keys)
  local step = { keys = {}, sessions = {}, changed = {}, pushes = {}, asked = {}, now_due = false }
  for i, name in ipairs(KEY_NAMES) do step.keys[name] = keys[i] end
  step.prefix = string.sub(keys[1], 1, -#'meta' - 1)
  step.meta = load_meta(step.keys.meta)
  step.before = {}
  for name, value in pairs(step.meta) do step.before[name] = value end
  advance_clock(step.meta)
  step.clock = step.meta.clock
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
  redis.call('HSET', step.keys.permits, id, string.format('%s %s %d %d %s',
    permit.session, permit.class, permit.number, permit.granted, permit.waiter))
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

-- The two queues: start-time fair queueing over flows, first come first served inside a flow.
--
-- A waiter gets a tag and an arrival number. The tag is the round in which its flow's turn
-- comes: virtual time, or one more than the flow's last tag, whichever is later. So a flow that asks
-- a hundred times stands once in each of the next hundred rounds, and a flow that comes new stands
-- in the present one. Virtual time is the tag of the last waiter served. One sorted set per class is
-- the whole schedule, and a waiter's place is its rank.

local SCAN_MAX = 2048 -- waiters looked at to find one whose worker answers
local SCAN_PAGE = 64
local HEAD = 2 ^ 50 -- what queues again comes before all tags, oldest first
local HOLDS_KNOWN = 8 -- requests that must have ended before anybody is refused by their mean
local ACK_MS = 250 -- a worker that owes a receipt for longer gets no further grant

local function member_of(arrival, session, waiter)
  return string.format('%014d:%s:%s', arrival, session, waiter)
end

-- `age`: ms since it queued first, for one that queues again; -1 otherwise.
local function draw_tag(step, class, flow, age)
  local meta = step.meta
  meta.arrivals = meta.arrivals + 1
  if age >= 0 then return step.clock - age - HEAD, meta.arrivals end
  local finish = tonumber(redis.call('ZSCORE', step.keys['finish_' .. class], flow) or 0)
  return math.max(meta['virtual_' .. class], finish), meta.arrivals
end

local function enqueue(step, session, waiter, class, flow, tag, arrival)
  redis.call('ZADD', step.keys[class], tag, member_of(arrival, session, waiter))
  redis.call('HSET', waiters_key(step, session), waiter,
    string.format('%s %s %d %d', class, flow, tag, arrival))
  if tag >= 0 then redis.call('ZADD', step.keys['finish_' .. class], 'GT', tag + 1, flow) end
end

-- Take a waiter out; unknown is no error. If it stood last in its flow, the flow gets the round back.
local function leave(step, session, waiter)
  local record = redis.call('HGET', waiters_key(step, session), waiter)
  if not record then return end
  local class, flow, tag, arrival = string.match(record, '^(%a+) (%S+) (%-?%d+) (%d+)$')
  tag = tonumber(tag)
  redis.call('HDEL', waiters_key(step, session), waiter)
  redis.call('ZREM', step.keys[class], member_of(tonumber(arrival), session, waiter))
  local finish_key = step.keys['finish_' .. class]
  if tag >= 0 and tonumber(redis.call('ZSCORE', finish_key, flow) or -1) == tag + 1 then
    redis.call('ZADD', finish_key, tag, flow)
  end
end

local function drop_waiters(step, session)
  for _, waiter in ipairs(redis.call('HKEYS', waiters_key(step, session))) do
    leave(step, session, waiter)
  end
end

-- 1 is next. Background comes after all of live. Nil: not in the queue.
local function place_of(step, class, member)
  local rank = redis.call('ZRANK', step.keys[class], member)
  if not rank then return nil end
  if class == 'background' then rank = rank + redis.call('ZCARD', step.keys.live) end
  return rank + 1
end

local function answers(step, name)
  local session = session_of(step, name)
  if not session or session.state ~= 'live' then return false end
  return session.silent == 0 or step.clock - session.silent <= ACK_MS
end

-- The first waiter of a class whose worker answers: {member, tag, session, waiter}, or nil. Waiters
-- of a worker that does not answer are passed over and keep their place.
local function first_waiter(step, class)
  local from, page = 0, 1
  while from < SCAN_MAX do
    local found = redis.call('ZRANGE', step.keys[class], from, from + page - 1, 'WITHSCORES')
    for i = 1, #found, 2 do
      local session, waiter = string.match(found[i], '^%d+:([^:]+):([^:]+)$')
      if answers(step, session) then
        return { member = found[i], tag = tonumber(found[i + 1]), session = session,
                 waiter = waiter, class = class }
      end
    end
    if #found < 2 * page then return nil end
    from, page = from + page, SCAN_PAGE
  end
  return nil
end

-- Flows behind virtual time would start at virtual time anyway: forget them.
local function prune_flows(step)
  for _, class in ipairs({ 'live', 'background' }) do
    redis.call('ZREMRANGEBYSCORE', step.keys['finish_' .. class], '-inf', step.meta['virtual_' .. class])
  end
end

-- How many permits there may be: the tier, less what the provider has refused of late, and in a new
-- epoch no more than what is known to be in use.

local CUT = 0.95 -- of the limit, at each refusal of a new generation
local BUSY = 0.9 -- of the limit in use: only then does a success say anything about the limit
local LIMIT_MIN = 2 -- a semaphore that never tries again never recovers
local RESERVE_MIN = 2 -- permits that background work leaves free for a customer who comes
local RESERVE_SHARE = 0.04
local HOLD_SAMPLES = 32 -- the mean hold follows about as many of the last requests

local function recovering(step)
  return step.clock < step.meta.window or redis.call('SCARD', step.keys.absent) > 0
end

-- Nothing before the first worker has said what the tier is.
local function admissible(step)
  if not step.meta.limit then return 0 end
  if recovering(step) then return math.min(step.meta.limit, step.meta.registered) end
  return step.meta.limit
end

local function background_cap(step)
  local limit = step.meta.limit
  return math.max(1, limit - math.max(RESERVE_MIN, math.floor(RESERVE_SHARE * limit)))
end

local function set_tier(step, tier)
  local meta = step.meta
  if not meta.limit or meta.limit == meta.tier or meta.limit > tier then meta.limit = tier end
  meta.tier = tier
end

-- How long a permit was away, in ms, the linger included: that is what a waiter waits for.
local function learn_hold(step, ms)
  local meta = step.meta
  meta.holds = math.min(meta.holds + 1, HOLD_SAMPLES)
  meta.hold_us = math.floor(meta.hold_us + (ms * 1000 - meta.hold_us) / meta.holds + 0.5)
end

-- Microseconds per place in the queue; 0 while nothing is known.
local function pace_us(step)
  return math.floor(step.meta.hold_us / step.meta.limit)
end

-- One cut per generation: requests that were granted before the last cut know nothing new.
local function learn_outcome(step, id, outcome, used)
  local meta = step.meta
  if outcome == '1302' or outcome == '1303' then
    if number_of(id) <= meta.cut_seq or string.match(id, '^[^:]+') ~= meta.epoch then return end
    meta.before_cut = meta.limit
    local cut = math.min(math.floor(CUT * meta.limit), used - 1)
    meta.limit = math.max(math.min(LIMIT_MIN, meta.tier), cut)
    meta.cut_seq = meta.seq
    meta.successes = 0
  elseif outcome == 'ok' and meta.limit < meta.tier and used >= BUSY * meta.limit then
    meta.successes = meta.successes + (meta.limit < CUT * meta.before_cut and 2 or 1)
    if meta.successes >= meta.limit then
      meta.limit = meta.limit + 1
      meta.successes = 0
    end
  end
end

-- Permits given out and taken back.

local BACKGROUND_EVERY = 20 -- of the grants, while both classes wait

local function grant(step, chosen)
  local meta = step.meta
  local session = session_of(step, chosen.session)
  meta.seq = meta.seq + 1
  local id = meta.epoch .. ':' .. string.format('%d', meta.seq)
  session.granted = session.granted + 1
  session.held = session.held + 1
  session.sum = session.sum + meta.seq
  if session.silent == 0 then session.silent = step.clock end
  session_changed(step, chosen.session)
  if chosen.class == 'background' then meta.background = meta.background + 1 end
  write_permit(step, id, { session = chosen.session, class = chosen.class,
                           number = session.granted, granted = step.clock, waiter = chosen.waiter })
  local push = step.pushes[chosen.session] or {}
  step.pushes[chosen.session] = push
  push[#push + 1] = string.format('%d %s %s', session.granted, chosen.waiter, id)
end

-- Take a permit from whoever has it. With a linger it goes on counting for so long, as nobody's.
local function take_back(step, id, permit, linger)
  local owner = permit.session ~= NOBODY and session_of(step, permit.session)
  if owner then
    owner.held = owner.held - 1
    owner.sum = owner.sum - number_of(id)
    session_changed(step, permit.session)
  end
  if linger > 0 then
    write_permit(step, id, { session = NOBODY, class = permit.class, number = 0,
                             granted = permit.granted, waiter = NOBODY })
    redis.call('ZADD', step.keys.alarms, step.clock + linger, 'linger:' .. id)
  else
    redis.call('HDEL', step.keys.permits, id)
    if permit.class == 'background' then step.meta.background = step.meta.background - 1 end
  end
end

-- Releasing twice, or what is unknown or somebody else's, does nothing.
local function release(step, session, id, outcome, linger)
  local permit = permit_of(step, id)
  if not permit or permit.session ~= session then return end
  local used = redis.call('HLEN', step.keys.permits)
  if outcome ~= 'aborted' then linger = 0 end
  if outcome ~= 'unused' then
    learn_hold(step, step.clock - permit.granted + linger)
    learn_outcome(step, id, outcome, used)
  end
  take_back(step, id, permit, linger)
end

-- Live before background, but of twenty grants one is background's, within its cap.
local function choose(step, background_waits)
  local meta = step.meta
  local live = first_waiter(step, 'live')
  local background = nil
  if background_waits and meta.background < background_cap(step) then
    background = first_waiter(step, 'background')
  end
  if background and (not live or meta.since_background >= BACKGROUND_EVERY - 1) then
    meta.since_background = 0
    return background
  end
  if live and background then meta.since_background = meta.since_background + 1 end
  return live
end

-- The handover: as long as a permit is free and somebody waits who answers.
local function hand_out(step)
  local room = admissible(step) - redis.call('HLEN', step.keys.permits)
  if room <= 0 then return end
  local background_waits = redis.call('ZCARD', step.keys.background) > 0
  for _ = 1, math.min(room, GRANTS_MAX) do
    local chosen = choose(step, background_waits)
    if not chosen then return end
    local virtual = 'virtual_' .. chosen.class
    step.meta[virtual] = math.max(step.meta[virtual], chosen.tag)
    redis.call('ZREM', step.keys[chosen.class], chosen.member)
    redis.call('HDEL', waiters_key(step, chosen.session), chosen.waiter)
    grant(step, chosen)
  end
  step.now_due = room > GRANTS_MAX
end

-- Grants to the caller go into its reply; the others' to their inboxes.
local function push_grants(step, caller)
  for name, push in pairs(step.pushes) do
    if name ~= caller then
      redis.call('XADD', inbox_key(step, name), 'MAXLEN', '~', 256, '*',
        'r', session_of(step, name).registration, 'g', table.concat(push, ' '))
      redis.call('EXPIRE', inbox_key(step, name), SESSION_KEYS_S)
    end
  end
  return step.pushes[caller] and table.concat(step.pushes[caller], ' ') or ''
end

-- A push can be lost. Whatever is owed a receipt for too long is said again in the reply.
local function repeat_grants(step, name)
  local again = {}
  local session = session_of(step, name)
  if not session or session.silent == 0 or step.clock - session.silent <= ACK_MS then return '' end
  for id, permit in pairs(permits_of(step, name)) do
    if permit.number > session.acked then
      again[#again + 1] = string.format('%d %s %s', permit.number, permit.waiter, id)
    end
  end
  return table.concat(again, ' ')
end

-- Sessions that come, fall silent, return, and end; and epochs, which begin where the server may
-- have forgotten something.

local FENCED_KEEP_MS = 600000 -- longer than any permit's life, so that no late word revives one
local ARRIVALS_START = 1

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
  elseif redis.call('SISMEMBER', step.keys.absent, name) == 1 then
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

-- An epoch begins. The permits on record may be neither complete nor current, so they are forgotten;
-- the sessions are not: the epoch waits for each of them, at most until none of its requests can
-- still run. Until then the limit is what has been registered again. That is safe because all that
-- was in flight before was within the limit, and what is registered is a part of it. The window of
-- one linger covers requests that were cut just before, and whoever comes back at the same time.
local function begin_epoch(step, timing)
  local meta, keys = step.meta, step.keys
  local by = {}
  for _, name in ipairs(redis.call('HKEYS', keys.sessions)) do
    by[name] = tonumber(redis.call('ZSCORE', keys.alarms, 'quarantine:' .. name) or step.clock + timing.hold)
    redis.call('UNLINK', waiters_key(step, name), inbox_key(step, name))
  end
  for _, name in ipairs(redis.call('SMEMBERS', keys.absent)) do
    by[name] = tonumber(redis.call('ZSCORE', keys.alarms, 'absent:' .. name) or step.clock + timing.hold)
  end
  redis.call('UNLINK', keys.sessions, keys.permits, keys.live, keys.background, keys.finish_live,
    keys.finish_background, keys.alarms, keys.absent)
  for name, at in pairs(by) do expect(step, name, at) end
  meta.run = this_run()
  meta.epoch = string.format('%x-%s', now_ms(), string.sub(meta.run, 1, 4))
  meta.began, meta.window = step.clock, step.clock + timing.linger
  alarm(step, 'window', meta.window)
  meta.registered, meta.background, meta.since_background, meta.successes = 0, 0, 0, 0
  meta.roster = (meta.roster or 0) + 1
  for name, start in pairs({ seq = 0, cut_seq = 0, before_cut = 0, virtual_live = 0,
      virtual_background = 0, hold_us = 0, holds = 0, arrivals = ARRIVALS_START }) do
    meta[name] = meta[name] or start
  end
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
    local fenced = tonumber(redis.call('ZSCORE', step.keys.fenced, name) or nil)
    local until_clock = fenced and math.min(by, fenced + timing.linger) or by
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

-- A session comes, or comes back, and says everything that it knows.
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
  reconcile(step, name, session, known.held)
  if new_here then
    meta.registered = meta.registered + session.held
    roster_changed(step)
  end
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
end

-- One step of the semaphore: everything that one worker has to say since its last step.
--
-- Purpose   take what the worker gives back, queue what it asks for, and hand every free permit to
--           the next waiter, whoever's it is, all in one atomic call.
-- KEYS      meta sessions permits live background finish_live finish_background alarms absent fenced
--           (permits_state.lua says what they hold). All keys share one hash tag.
-- ARGV      1 session, or '' for a supervisor's or operator's step   2 its registration number
--           3 the epoch it knows   4 the grant up to which it has seen all   5 the roster it knows
--           6 linger   7 lease   8 hold (ms), then operations:
--             x configured tier fresh hold_us virtual_live virtual_background
--               n session*n   n (permit class age)*n   n (waiter class flow age tag arrival)*n
--                                       register; must come first. tag and arrival may be ''
--             r permit outcome          release
--             c waiter                  cancel
--             a waiter class flow age patience     acquire; age -1: not queued before
--             h held sum waiting        heartbeat: what it has, to compare; answered with all places
--             f session                 fence: this session's sockets are closed
--             t tier                    set the tier
-- Returns   1 status: ok; register: nothing was done, register first; differs: done, but register
--             again; fenced: this session has ended, its permits may be somebody else's
--           2 epoch   3 used   4 admissible   5 limit   6 tier   7 pace: microseconds per place
--           8 mean hold, microseconds   9 virtual time live   10 background
--           11 ms until time alone may free something; 0: step again at once; -1: never
--           12 grants "number waiter permit ..."   13 grants said again, in the same form
--           14 places {waiter, place, tag, arrival, ...}   15 refused {waiter, place, ...}
--           16 number of the roster   17 the roster, where the caller's number differs

local function reader(args, from)
  local at = from - 1
  return function()
    at = at + 1
    return args[at]
  end
end

local function read_list(take, read)
  local list = {}
  for i = 1, tonumber(take()) do list[i] = read() end
  return list
end

local function read_registration(take, session, registration, epoch)
  local known = { session = session, registration = registration, epoch = epoch }
  known.configured, known.tier = tonumber(take()), tonumber(take())
  known.fresh, known.hold_us = take() == '1', tonumber(take())
  known.virtual_live, known.virtual_background = tonumber(take()), tonumber(take())
  known.roster = read_list(take, take)
  known.held = read_list(take, function()
    return { id = take(), class = take(), age = tonumber(take()) }
  end)
  known.waiters = read_list(take, function()
    return { waiter = take(), class = take(), flow = take(), age = tonumber(take()),
             tag = tonumber(take()), arrival = tonumber(take()) }
  end)
  return known
end

local function acquire(step, name, waiter, class, flow, age, patience)
  if redis.call('HEXISTS', waiters_key(step, name), waiter) == 1 then return end
  local tag, arrival = draw_tag(step, class, flow, age)
  enqueue(step, name, waiter, class, flow, tag, arrival)
  step.asked[#step.asked + 1] =
    { waiter = waiter, class = class, tag = tag, arrival = arrival, patience = patience }
end

-- True where the worker and the record disagree about what the worker has. Only where every grant
-- has been seen: before that, both are right.
local function differs(step, name, held, sum, waiting)
  local session = session_of(step, name)
  if session.granted ~= session.acked then return false end
  return session.held ~= held or session.sum ~= sum
    or redis.call('HLEN', waiters_key(step, name)) ~= waiting
end

local function heartbeat(step, name, held, sum, waiting)
  step.differs = differs(step, name, held, sum, waiting)
  step.all_places = true
  prune_flows(step)
end

-- Every loop over operations is as long as what the caller sent.
local function apply(step, name, take, timing, op)
  while op do
    if op == 'a' then
      acquire(step, name, take(), take(), take(), tonumber(take()), tonumber(take()))
    elseif op == 'r' then
      release(step, name, take(), take(), timing.linger)
    elseif op == 'c' then
      leave(step, name, take())
    elseif op == 'h' then
      heartbeat(step, name, tonumber(take()), tonumber(take()), tonumber(take()))
    elseif op == 'f' then
      fence(step, take(), timing)
    elseif op == 't' then
      set_tier(step, tonumber(take()))
    end
    op = take()
  end
end

local function acknowledge(step, name, acked)
  local session = session_of(step, name)
  if acked > session.acked and acked <= session.granted then
    session.acked = acked
    session.silent = acked < session.granted and step.clock or 0
    session_changed(step, name)
  end
  alarm(step, 'lease:' .. name, step.clock + step.timing.lease)
end

-- Places of those who asked in this step and have to wait; who would wait longer than it can is
-- refused, and costs its flow nothing.
local function places_asked(step, name)
  local places, refused = {}, {}
  local pace = (recovering(step) or step.meta.holds < HOLDS_KNOWN) and 0 or pace_us(step)
  for _, w in ipairs(step.asked) do
    local place = place_of(step, w.class, member_of(w.arrival, name, w.waiter))
    if place and (w.patience or -1) >= 0 and place * pace > w.patience * 1000 then
      leave(step, name, w.waiter)
      refused[#refused + 1], refused[#refused + 2] = tonumber(w.waiter), place
    elseif place then
      local n = #places
      places[n + 1], places[n + 2] = tonumber(w.waiter), place
      places[n + 3], places[n + 4] = w.tag, w.arrival
    end
  end
  return places, refused
end

local function places_of_all(step, name)
  local places = {}
  local flat = redis.call('HGETALL', waiters_key(step, name))
  for i = 1, #flat, 2 do
    local class, tag, arrival = string.match(flat[i + 1], '^(%a+) %S+ (%-?%d+) (%d+)$')
    local place = place_of(step, class, member_of(tonumber(arrival), name, flat[i]))
    local n = #places
    places[n + 1], places[n + 2] = tonumber(flat[i]), place or 0
    places[n + 3], places[n + 4] = tonumber(tag), tonumber(arrival)
  end
  return places
end

local function due_in(step)
  if step.now_due then return 0 end
  local first = redis.call('ZRANGE', step.keys.alarms, 0, 0, 'WITHSCORES')
  return first[2] and math.max(1, tonumber(first[2]) - step.clock) or -1
end

local function roster(step)
  local names = redis.call('HKEYS', step.keys.sessions)
  for _, name in ipairs(redis.call('SMEMBERS', step.keys.absent)) do names[#names + 1] = name end
  return names
end

local function reply_of(step, status, name, known_roster)
  local meta = step.meta
  local own = push_grants(step, name)
  local again = name == '' and '' or repeat_grants(step, name)
  local places, refused = places_asked(step, name)
  if step.all_places then places = places_of_all(step, name) end
  local due = due_in(step)
  if step.all_places or #step.asked > 0 then
    redis.call('EXPIRE', waiters_key(step, name), SESSION_KEYS_S)
  end
  close_step(step)
  return {
    status, meta.epoch, redis.call('HLEN', step.keys.permits), admissible(step), meta.limit or 0,
    meta.tier or 0, meta.limit and pace_us(step) or 0, meta.hold_us, meta.virtual_live,
    meta.virtual_background, due, own, again, places, refused, meta.roster,
    known_roster ~= meta.roster and roster(step) or {},
  }
end

local function permits(keys, args)
  local name, registration, epoch, acked = args[1], tonumber(args[2]), args[3], tonumber(args[4])
  local known_roster = tonumber(args[5])
  local timing = { linger = tonumber(args[6]), lease = tonumber(args[7]), hold = tonumber(args[8]) }
  local take = reader(args, 9)
  local op = take()
  local step = open_step(keys)
  step.timing = timing
  if step.meta.run ~= this_run() then begin_epoch(step, timing) end
  ring_alarms(step, timing)

  local session = name ~= '' and session_of(step, name) or nil
  local status = 'ok'
  if name == '' then
    apply(step, name, take, timing, op)
  elseif not session and redis.call('ZSCORE', keys[10], name) then
    status = 'fenced'
  elseif op == 'x' then
    register(step, read_registration(take, name, registration, epoch), timing)
    acknowledge(step, name, 0)
    apply(step, name, take, timing, take())
  elseif not session or session.state ~= 'live' or session.registration ~= registration
    or epoch ~= step.meta.epoch then
    status = 'register'
  else
    acknowledge(step, name, acked)
    apply(step, name, take, timing, op)
    if step.differs then status = 'differs' end
  end
  hand_out(step)
  return reply_of(step, status, name, known_roster)
end

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

redis.register_function('permits_bf0900d3a3b5', permits)
redis.register_function('permits_view_bf0900d3a3b5', permits_view)
