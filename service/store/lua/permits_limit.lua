-- How many permits there may be: the tier, less what the provider has refused of late, and in a new
-- epoch no more than what is known to be in use.

local CUT = 0.95 -- of the limit, at each refusal of a new generation
local BUSY = 0.9 -- of the limit in use: only then does a success say anything about the limit
local LIMIT_MIN = 2 -- a semaphore that never tries again never recovers
local RESERVE_MIN = 2 -- permits that background work leaves free for a customer who comes
local RESERVE_SHARE = 0.04
local HOLD_SAMPLES = 32 -- the mean hold follows about as many of the last requests
local LAG_STEP_MS = 20 -- more linger after each refusal that our own count does not explain
local LAG_MAX_MS = 100 -- what the provider may need to see that a request ended
local LAG_KEEP_MS = 600000 -- then one step less

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

-- `tier` in the record is what may be used at most: what the workers were told the account has
-- (`configured`), or less where an operator says so.
local function set_tier(step, tier)
  local meta = step.meta
  if not meta.limit or meta.limit == meta.tier or meta.limit > tier then meta.limit = tier end
  meta.tier = tier
end

-- An operator's word. Above the account's tier it is refused: nobody may be led over it.
local function set_limit(step, limit)
  if not step.meta.configured then return 'empty' end
  if limit > step.meta.configured then return 'above' end
  set_tier(step, limit)
  return 'ok'
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
--
-- Refused although we have no more in flight than allowed: the account has less than its tier just
-- now, or the provider counts a request for a while after its last byte. We cannot tell which, so the
-- limit is cut and the linger grows.
local function refuse(step, id, used)
  local meta = step.meta
  if number_of(id) <= meta.cut_seq then return end
  meta.before_cut = meta.limit
  local cut = math.min(math.floor(CUT * meta.limit), used - 1)
  meta.limit = math.max(math.min(LIMIT_MIN, meta.tier), cut)
  meta.cut_seq = meta.seq
  meta.successes = 0
  meta.lag = math.min(LAG_MAX_MS, meta.lag + LAG_STEP_MS)
  meta.refused_at, meta.refused_times = step.clock, meta.refused_times + 1
end

-- A success at a full limit gives a part of what was cut back.
local function restore(step, used)
  local meta = step.meta
  if meta.limit >= meta.tier or used < BUSY * meta.limit then return end
  meta.successes = meta.successes + (meta.limit < CUT * meta.before_cut and 2 or 1)
  if meta.successes >= meta.limit then
    meta.limit = meta.limit + 1
    meta.successes = 0
  end
end

local function learn_outcome(step, id, outcome, used)
  if string.match(id, '^[^:]+') ~= step.meta.epoch then return end -- another server's numbers
  if outcome == '1302' or outcome == '1303' then
    refuse(step, id, used)
  elseif outcome == 'ok' then
    restore(step, used)
  end
  learn_platform(step, number_of(id), outcome)
  learn_account(step, number_of(id), outcome)
end

-- How long a permit still counts after its request ended: after one that we cut, because nobody
-- documents when the provider notices; after one that ended by itself, what experience says.
local function linger_after(step, outcome, timing)
  if outcome == 'aborted' then return timing.linger end
  if outcome == 'unused' then return 0 end
  return math.max(timing.release, step.meta.lag)
end

local function forget_lag(step)
  local meta = step.meta
  if meta.lag > 0 and step.clock - meta.refused_at > LAG_KEEP_MS then
    meta.lag = meta.lag - LAG_STEP_MS
    meta.refused_at = step.clock
  end
end
