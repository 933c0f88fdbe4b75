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

-- The last of a flow first, so that each gives its round back.
local function drop_waiters(step, session)
  local flat, waiters = redis.call('HGETALL', waiters_key(step, session)), {}
  for i = 1, #flat, 2 do
    local tag = tonumber(string.match(flat[i + 1], '^%a+ %S+ (%-?%d+)'))
    waiters[#waiters + 1] = { number = flat[i], tag = tag }
  end
  table.sort(waiters, function(a, b) return a.tag > b.tag end)
  for _, waiter in ipairs(waiters) do leave(step, session, waiter.number) end
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
