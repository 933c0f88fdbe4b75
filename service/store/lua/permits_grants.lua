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
  if circuit_open(step) then meta.probe = meta.seq end
  note(step, 'grant', id)
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
    note(step, 'release', id)
    erase_permit(step, id)
    if permit.class == 'background' then step.meta.background = step.meta.background - 1 end
  end
end

-- Releasing twice, or what is unknown or somebody else's, does nothing but be told.
local function release(step, session, id, outcome, timing)
  local permit = permit_of(step, id)
  if not permit or permit.session ~= session then
    step.unknown[#step.unknown + 1] = id
    return
  end
  local used = step.used
  local linger = linger_after(step, outcome, timing)
  if outcome ~= 'unused' then
    learn_hold(step, step.clock - permit.granted + linger)
    learn_outcome(step, id, outcome, used)
  end
  take_back(step, id, permit, linger)
end

-- Live before background, but of twenty grants one is background's, within its cap. While the
-- platform is full, background tries it only where no customer waits.
local function choose(step, background_waits)
  local meta = step.meta
  local live = first_waiter(step, 'live')
  local background = nil
  if background_waits and meta.background < background_cap(step) then
    background = first_waiter(step, 'background')
  end
  local its_turn = meta.since_background >= BACKGROUND_EVERY - 1 and not circuit_open(step)
  if background and (its_turn or not live) then
    meta.since_background = 0
    return background
  end
  if live and background then meta.since_background = meta.since_background + 1 end
  return live
end

-- The handover: as long as a permit is free and somebody waits who answers.
local function hand_out(step)
  local room = admissible(step) - step.used
  if room <= 0 then return end
  room = room_for_circuit(step, room)
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
