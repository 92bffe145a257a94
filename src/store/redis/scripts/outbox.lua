-- What the application is to be told of, written by the step that changes it: streams that src/store/redis/outbox.ts
-- reads. `base` is what the keys of the partition begin with.
-- include: time.lua

-- A full stream loses its oldest entries.
local function tell(base, ...)
  if OUTBOX == 1 then redis.call('XADD', base .. 'outbox', 'MAXLEN', '~', 10000, '*', ...) end
end

-- Notes that a free session is in use no longer, or was used just now.
local function idle_from_now(base, id)
  if IDLE_MS > 0 then redis.call('ZADD', base .. 'idle', now + IDLE_MS, id) end
end

local function not_idle(base, id)
  if IDLE_MS > 0 then redis.call('ZREM', base .. 'idle', id) end
end
