-- What a socket needs to show a conversation and follow it from here.
-- ARGV  1 conversation  2 channel  3 session  4 known offset (unused)
--       5 the client's epoch, or ''  6 the client's offset  7 messages in a snapshot
--       8 entries in a replay  9 bytes in a replay
-- Returns {mode, epoch, newest offset, status, generation, newest message, the open turn, its text,
-- frames of a replay, messages of a snapshot, site}, or {'gone'}.
--
-- Same epoch and still in the log: `replay`, unless that is long. Before the kept log, or long, or
-- no position at all: `snapshot`. Past the end, or of another epoch: `reset` and a snapshot.

local function replay(c, offset, entries, bytes)
  if c.top - offset > entries then
    return nil
  end
  local frames = frames_after(c, offset)
  local size = 0
  for _, frame in ipairs(frames) do
    size = size + #frame
  end
  if #frames ~= c.top - offset or size > bytes then
    return nil
  end
  return frames
end

local function newest_messages(c, count)
  local names = {}
  for m = math.max(1, c.messages - count + 1), c.messages do
    names[#names + 1] = m
  end
  if #names == 0 then
    return {}
  end
  local found = {}
  for _, message in ipairs(redis.call('HMGET', c.keys.messages, unpack(names))) do
    if message then
      found[#found + 1] = message
    end
  end
  return found
end

local function attach(keys, args)
  local c = open(keys, args)
  if not c then
    return {'gone'}
  end
  local epoch, offset = args[5], tonumber(args[6])
  local mode, frames, messages = 'snapshot', {}, {}
  if epoch ~= '' and (epoch ~= c.epoch or offset > c.top) then
    mode = 'reset'
  elseif epoch ~= '' then
    frames = replay(c, offset, tonumber(args[8]), tonumber(args[9]))
    mode = frames and 'replay' or 'snapshot'
  end
  if mode ~= 'replay' then
    frames, messages = {}, newest_messages(c, tonumber(args[7]))
  end
  local text = (mode ~= 'replay' and c.turn ~= '') and redis.call('GET', c.keys.text) or ''
  return {mode, c.epoch, c.top, c.status, c.generation, c.messages, turn_of(c), text or '', frames,
          messages, c.site}
end
