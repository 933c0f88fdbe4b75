-- Redeem a resume handle of a conversation, and issue its successor.
-- ARGV  1 conversation  2 channel  3 session  4 known offset  5 the handle's digest, or '' for the
--       first one  6 the successor's digest  7 seconds a handle lives
-- Returns {'ok', generation}, or {'unknown'}, or {'revoked'}.
--
-- A handle stays good until a successor of it has been used and a minute after: two tabs may hold
-- the same one, and a reply may be lost. A later use means that somebody else holds a copy: then
-- all handles of the conversation end, and its tokens with them.
local GRACE_MS = 60000
local HANDLES = 256  -- remembered a conversation: more than anybody has tabs
local NOT_RETIRED = 1e15  -- sorts behind every time

-- Beyond the bound the handles that have served their time go first, then the oldest; the one that
-- is in use stays.
local function forget_oldest(key, used)
  if redis.call('HLEN', key) <= HANDLES then
    return
  end
  local oldest, rank = nil, nil
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local born, retired = flat[i + 1]:match('^(%d+),%w*,(%d*)$')
    local time = retired == '' and born + NOT_RETIRED or tonumber(retired)
    if flat[i] ~= used and (not rank or time < rank) then
      oldest, rank = flat[i], time
    end
  end
  redis.call('HDEL', key, oldest)
end

-- A handle's record: "time of issue,parent's digest,time a successor was first used".
local function redeem(keys, args)
  local names = keys_of(keys)
  local used, successor, lives = args[5], args[6], tonumber(args[7])
  local generation = redis.call('HGET', names.meta, 'generation')
  if not generation then
    return {'unknown'}
  end
  local now = now_ms()
  if used ~= '' then
    local record = redis.call('HGET', names.handles, used)
    if not record then
      return {'unknown'}
    end
    local born, parent, retired = record:match('^(%d+),(%w*),(%d*)$')
    if retired ~= '' and now > tonumber(retired) + GRACE_MS then
      redis.call('DEL', names.handles)
      redis.call('HINCRBY', names.meta, 'generation', 1)
      redis.call('SPUBLISH', args[2], 'R ' .. args[3] .. '\n')  -- open sockets end as well
      return {'revoked'}
    end
    local above = parent ~= '' and redis.call('HGET', names.handles, parent)
    if above then
      local a_born, a_parent, a_retired = above:match('^(%d+),(%w*),(%d*)$')
      if a_retired == '' then
        redis.call('HSET', names.handles, parent, a_born .. ',' .. a_parent .. ',' .. now)
      end
    end
  end
  redis.call('HSET', names.handles, successor, now .. ',' .. used .. ',')
  redis.call('EXPIRE', names.handles, lives)
  forget_oldest(names.handles, used)
  return {'ok', tonumber(generation)}
end
