#!lua
-- Releases what is due in one partition, and keeps the guard against gaps in the store's time.
-- KEYS: deadlines, meta. The records have keys made of ARGV[2], in the same slot.
-- ARGV: context, what the partition's channels begin with, limit
-- Returns guarded (0 or 1), more (0 or 1), and the ids of the sessions released. Publishes `expired` for each.
-- include: record.lua
local limit = tonumber(ARGV[3])
local meta = read_meta()
if is_gap(meta) then
  meta.guard_until = now + context.guardMs
  redis.call('HSET', KEYS[2], 'guard_until', text(meta.guard_until))
end
meta.swept_at = now
redis.call('HSET', KEYS[2], 'swept_at', text(now))
if not may_lapse() then return { 1, 0 } end

local due = redis.call('ZRANGE', KEYS[1], '-inf', text(now), 'BYSCORE', 'LIMIT', 0, limit + 1)
local reply = { 0, #due > limit and 1 or 0 }
for i = 1, math.min(#due, limit) do
  local session = { id = due[i], owner = ARGV[2] .. due[i] .. ':owner' }
  local record = load(session)
  -- The record decides. An entry that disagrees with it is left over from lost writes.
  if is_due(record) then
    free(session, record, 'expired', '', '')
    reply[#reply + 1] = session.id
  elseif record.state == 'free' then
    redis.call('ZREM', KEYS[1], session.id)
  else
    redis.call('ZADD', KEYS[1], text(record.deadline), session.id)
  end
end
return reply
