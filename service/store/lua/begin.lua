-- Begin a conversation. One that is there already is left as it is.
-- ARGV  1 conversation  2 channel  3 session  4 known offset  5 epoch  6 site  7 retention, seconds
-- Returns {'ok', generation}.
local function begin(keys, args)
  local meta = keys_of(keys).meta
  if redis.call('EXISTS', meta) == 0 then
    redis.call('HSET', meta, 'epoch', args[5], 'top', 0, 'messages', 0, 'status', 'assisted',
      'site', args[6], 'turn', '', 'queued', '', 'fence', 0, 'owner', '', 'lease', 0, 'attempt', 0,
      'step', 0, 'revision', 0, 'length', 0, 'crc', 0, 'answers', '', 'replaces', '',
      'step_first', 0, 'step_top', 0, 'cancel', '', 'last', 0, 'last_reason', '',
      'last_answers', '', 'generation', 1, 'tat', 0, 'retention', args[7], 'created', now_ms())
  end
  redis.call('EXPIRE', meta, args[7])
  return {'ok', tonumber(redis.call('HGET', meta, 'generation'))}
end
