#!lua
-- Releases what is due in one partition, and keeps the guard against gaps in the store's time.
-- KEYS: deadlines, meta. The records have keys made of ARGV[1], in the same slot.
-- ARGV: what the partition's channels begin with, limit
-- Returns guarded (0 or 1), more (0 or 1), and the ids of the sessions released. Publishes `expired` for each.
-- Tells of the sessions that have become idle.
-- include: free.lua
local swept_at, gap_at = unpack(redis.call('HMGET', KEYS[2], 'swept_at', 'gap_at'))
redis.call('HSET', KEYS[2], 'swept_at', now)
if is_gap(swept_at) then
  redis.call('HSET', KEYS[2], 'gap_at', now)
  return { 1, 0 }
end

local limit = tonumber(ARGV[2])
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, limit + 1)
local reply = { 0, #due > limit and 1 or 0 }
for i = 1, math.min(#due, limit) do
  local id = due[i]
  local owner = ARGV[1] .. id .. ':owner'
  local state, epoch, rev, connection, deadline, lease = unpack(
    redis.call('HMGET', owner, 'state', 'epoch', 'rev', 'connection', 'deadline', 'lease'))
  local earliest = (gap_at or 0) + (lease or 0)
  -- The record decides. An entry that disagrees with it is left over from lost writes.
  if not state or state == 'free' then
    redis.call('ZREM', KEYS[1], id)
  elseif tonumber(deadline) > now then
    redis.call('ZADD', KEYS[1], deadline, id)
  elseif now < earliest then
    local extended = string.format('%.0f', earliest)
    redis.call('HSET', owner, 'deadline', extended)
    redis.call('PEXPIREAT', owner, earliest + RETENTION_MS)
    redis.call('ZADD', KEYS[1], extended, id)
    reply[1] = 1
  else
    free(owner, id, epoch, rev, connection, 'expired', '', '')
    reply[#reply + 1] = id
  end
end

for _, id in ipairs(redis.call('ZRANGE', base .. 'idle', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)) do
  local state = redis.call('HGET', ARGV[1] .. id .. ':owner', 'state')
  -- A node that is told of no idle sessions may have given it away.
  if not state or state == 'free' then tell(base, 'session', id, 'idle', '1') end
  -- Not by `not_idle`, which does nothing on a node that is told of none: it would tell again with each sweep.
  redis.call('ZREM', base .. 'idle', id)
end
return reply
