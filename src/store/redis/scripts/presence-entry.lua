-- Entries of connections in sessions. KEYS[1] is the partition's index: a sorted set of `<session> <connection>` by when
-- the entry ends. `members` is the key of a session's hash: `c:<connection>` has its principal, `p:<principal>` how many
-- connections it has, beside `rev` and `count`.
-- include: time.lua

-- Both keys outlive their entries, so that the sweep can tell who left, and then go by themselves.
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end

-- Publishes as src/store/redis/events.ts reads it; the channel is the hash's key without ':members'.
-- A rev is at least the time, so that it rises also when the store has lost the last ones.
local function tell(members, event, principal, change)
  local rev = math.max((redis.call('HGET', members, 'rev') or 0) + 1, now_us)
  local text = string.format('%.0f', rev)
  redis.call('HSET', members, 'rev', text)
  local count = redis.call('HINCRBY', members, 'count', change)
  redis.call(PUBLISH, string.sub(members, 1, -9), 'p\t' .. event .. '\t' .. text .. '\t' .. count .. '\t' .. principal)
end

local function enter(members, id, connection, principal)
  local is_new = redis.call('HSETNX', members, 'c:' .. connection, principal) == 1
  if is_new and redis.call('HINCRBY', members, 'p:' .. principal, 1) == 1 then tell(members, 'joined', principal, 1) end
  redis.call('ZADD', KEYS[1], now + PRESENCE_TTL_MS, id .. ' ' .. connection)
  keep(members, 2 * PRESENCE_TTL_MS)
  keep(KEYS[1], 2 * PRESENCE_TTL_MS)
end

local function finish(members, id, connection)
  redis.call('ZREM', KEYS[1], id .. ' ' .. connection)
  local principal = redis.call('HGET', members, 'c:' .. connection)
  if not principal then return end
  redis.call('HDEL', members, 'c:' .. connection)
  if redis.call('HINCRBY', members, 'p:' .. principal, -1) > 0 then return end
  redis.call('HDEL', members, 'p:' .. principal)
  tell(members, 'left', principal, -1)
end
