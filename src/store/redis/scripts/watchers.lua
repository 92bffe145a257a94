-- Who waits for a session under `oldest_watcher`: a sorted set by the time since when.
-- Renewals do not look at it: it outlives a week in which nobody comes.
-- include: time.lua
local WATCHERS_TTL_SECONDS = 604800

local function first_watcher(key)
  return redis.call('ZRANGE', key, 0, 0)[1] or ''
end

-- Who is on the list keeps its place; a full list stays as it is.
local function add_watcher(key, connection)
  if redis.call('ZSCORE', key, connection) or redis.call('ZCARD', key) < 128 then
    redis.call('ZADD', key, 'NX', string.format('%.0f', now_us), connection)
    redis.call('EXPIRE', key, WATCHERS_TTL_SECONDS)
  end
end

local function remove_watcher(key, connection)
  redis.call('ZREM', key, connection)
end
