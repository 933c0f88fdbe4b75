-- Conversations of a partition with an open turn that one session owns. KEYS 1: the partition's index
-- of leases. Their meta hashes share its tag.
-- ARGV  1 session  2 how many at most  3 the meta hashes' name up to the conversation's
-- Returns {conversation, ...}.
local function owned(keys, args)
  local found = {}
  for _, name in ipairs(redis.call('ZRANGE', keys[1], 0, -1)) do
    if redis.call('HGET', args[3] .. name, 'owner') == args[1] then
      found[#found + 1] = name
      if #found >= tonumber(args[2]) then return found end
    end
  end
  return found
end
