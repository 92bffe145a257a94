-- Who waits for a session under `oldest_watcher`: a sorted set by the time since when.
-- include: time.lua
local MAX_WATCHERS = 128

local function first_watcher(key)
  return redis.call('ZRANGE', key, 0, 0)[1] or ''
end

-- Who is on the list keeps its place; a full list stays as it is.
local function add_watcher(key, connection)
  if redis.call('ZSCORE', key, connection) or redis.call('ZCARD', key) < MAX_WATCHERS then
    redis.call('ZADD', key, 'NX', text(now_us), connection)
    redis.call('PEXPIRE', key, context.retentionMs)
  end
end

local function remove_watcher(key, connection)
  redis.call('ZREM', key, connection)
end
