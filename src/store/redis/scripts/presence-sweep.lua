#!lua
-- Ends what is due in one partition. After a silence, in which nodes may have been unable to renew, nothing ends before
-- they have had the time to.
-- KEYS: index, meta. The sessions' hashes have keys made of ARGV[1], in the same slot.
-- ARGV: what the partition's channels begin with, limit
-- Returns how many entries ended, and 1 if there are more. Publishes `left` for the last connection of a principal.
-- include: presence-entry.lua
local patience = PRESENCE_TTL_MS / 2
local swept_at, gap_at = unpack(redis.call('HMGET', KEYS[2], 'presence_swept_at', 'presence_gap_at'))
redis.call('HSET', KEYS[2], 'presence_swept_at', now)
if swept_at and (now < tonumber(swept_at) or now - swept_at > patience) then
  redis.call('HSET', KEYS[2], 'presence_gap_at', now)
  return { 0, 0 }
end
-- A clock that went back would make the wait longer than it is.
if gap_at and now - gap_at < patience and now >= tonumber(gap_at) then return { 0, 0 } end

local limit = tonumber(ARGV[2])
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, limit + 1)
for i = 1, math.min(#due, limit) do
  local id, connection = string.match(due[i], '^(%S+) (.+)$')
  finish(ARGV[1] .. id .. ':members', id, connection)
end
return { math.min(#due, limit), #due > limit and 1 or 0 }
