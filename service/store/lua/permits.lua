-- One step of the semaphore: everything that one worker has to say since its last step.
--
-- Purpose   take what the worker gives back, queue what it asks for, and hand every free permit to
--           the next waiter, whoever's it is, all in one atomic call.
-- KEYS      meta sessions permits live background finish_live finish_background alarms absent fenced
--           schemas waits (permits_state.lua says what they hold). All keys share one hash tag.
-- ARGV      1 session, or '' for a supervisor's or operator's step   2 its registration number
--           3 the epoch it knows   4 the grant up to which it has seen all   5 the roster it knows
--           6 linger   7 lease   8 hold   9 linger after a request's own end (ms), then operations:
--             x configured tier fresh hold_us virtual_live virtual_background
--               n session*n   n (permit class age)*n   n (waiter class flow age tag arrival)*n
--                                       register; must come first. tag and arrival may be ''
--             r permit outcome          release
--             c waiter                  cancel
--             a waiter class flow age patience     acquire; age -1: not queued before
--             h held sum waiting        heartbeat: what it has, to compare; answered with all places
--             w class n ms*n            how long its newest grants were waited for
--             f session                 fence: this session's sockets are closed
--             e session                 this session lives
--             l limit                   an operator's limit, at most the account's tier
-- Returns   1 status: ok; register: nothing was done, register first; differs: done, but register
--             again; fenced: this session has ended, its permits may be somebody else's; schema:
--             nothing was done, workers of a form too far from ours live; above: the limit is above
--             the tier; empty: no worker has said yet what the tier is
--           2 epoch   3 used   4 admissible   5 limit   6 tier   7 pace: microseconds per place
--           8 mean hold, microseconds   9 virtual time live   10 background
--           11 ms until time alone may free something; 0: step again at once; -1: never
--           12 grants "number waiter permit ..."   13 grants said again, in the same form
--           14 places {waiter, place, tag, arrival, ...}   15 refused {waiter, place, ...}
--           16 number of the roster   17 the roster, where the caller's number differs
--           18 releases of what the caller did not have   19 ms until the circuit lets one try, -1
--           while it is closed   20 the code for which the account is blocked, or 0   21 the account's
--           tier, as the workers were told

local WAITS_KEPT = 1000 -- of the newest, for percentiles
local WAITS_KEPT_S = 3600

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
  forget_lag(step)
end

local function note_waits(step, take)
  local class, waits = take(), {}
  for i = 1, tonumber(take()) do waits[i] = class .. ' ' .. take() end
  redis.call('LPUSH', step.keys.waits, unpack(waits))
  redis.call('LTRIM', step.keys.waits, 0, WAITS_KEPT - 1)
  redis.call('EXPIRE', step.keys.waits, WAITS_KEPT_S)
end

-- Every loop over operations is as long as what the caller sent.
local function apply(step, name, take, timing, op)
  while op do
    if op == 'a' then
      acquire(step, name, take(), take(), take(), tonumber(take()), tonumber(take()))
    elseif op == 'r' then
      release(step, name, take(), take(), timing)
    elseif op == 'c' then
      leave(step, name, take())
    elseif op == 'h' then
      heartbeat(step, name, tonumber(take()), tonumber(take()), tonumber(take()))
    elseif op == 'f' then
      fence(step, take(), timing)
    elseif op == 'e' then
      expect_living(step, take(), timing)
    elseif op == 'w' then
      note_waits(step, take)
    elseif op == 'l' then
      step.refused = set_limit(step, tonumber(take()))
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
  local closed_us = closed_for(step) * 1000
  for _, w in ipairs(step.asked) do
    local place = place_of(step, w.class, member_of(w.arrival, name, w.waiter))
    if place and (w.patience or -1) >= 0 and place * pace + closed_us > w.patience * 1000 then
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
    status, meta.epoch, step.used, admissible(step), meta.limit or 0,
    meta.tier or 0, meta.limit and pace_us(step) or 0, meta.hold_us, meta.virtual_live,
    meta.virtual_background, due, own, again, places, refused, meta.roster,
    known_roster ~= meta.roster and roster(step) or {}, step.unknown,
    circuit_open(step) and closed_for(step) or -1, meta.blocked_code, meta.configured or 0,
  }
end

-- Nothing but the clock is written: the rest may have a form that is not ours.
local function refused_by_schema(step)
  redis.call('HSET', step.keys.meta, 'clock', step.meta.clock, 'seen', step.meta.seen)
  return { 'schema', step.meta.epoch or '', 0, 0, 0, 0, 0, 0, 0, 0, -1, '', '', {}, {}, 0, {}, {}, -1,
           0, 0 }
end

local function permits(keys, args)
  local name, registration, epoch, acked = args[1], tonumber(args[2]), args[3], tonumber(args[4])
  local known_roster = tonumber(args[5])
  local timing = { linger = tonumber(args[6]), lease = tonumber(args[7]), hold = tonumber(args[8]),
                   release = tonumber(args[9]) }
  local take = reader(args, 10)
  local op = take()
  local step = open_step(keys)
  step.timing = timing
  local comes = name == '' or op == 'x'
  if (comes or math.abs(step.meta.schema - SCHEMA) > 1) and not meet_schemas(step, timing) then
    return refused_by_schema(step)
  end
  if step.meta.run ~= this_run() then begin_epoch(step, timing) end
  ring_alarms(step, timing)

  local session = name ~= '' and session_of(step, name) or nil
  local status = 'ok'
  if name == '' then
    apply(step, name, take, timing, op)
    status = step.refused or 'ok'
  elseif not session and redis.call('ZSCORE', keys[10], name) then
    status = 'fenced'
  elseif op == 'x' and session and registration <= session.registration then
    status = 'register' -- given up, and overtaken by a newer one: nobody waits for this reply
  elseif op == 'x' then
    local new_here = register(step, read_registration(take, name, registration, epoch), timing)
    acknowledge(step, name, 0)
    apply(step, name, take, timing, take())
    if new_here then came_back(step, name) end
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
