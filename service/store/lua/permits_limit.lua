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
