-- Sessions becoming free. KEYS[1] is the partition's deadlines. `owner` is the key of a record: a hash in which a field
-- that is absent is '' or 0.
-- include: meta.lua
-- include: outbox.lua
local base = string.sub(KEYS[1], 1, -10)

-- Tells the nodes, and the application. The channel is the record's key without ':owner'.
local function publish(owner, id, payload)
  redis.call(PUBLISH, string.sub(owner, 1, -7), payload)
  tell(base, 'session', id, 'ownership', payload)
end

-- Of the record no more is left than a free one has. The key outlives that by the retention, so that the epoch goes on.
-- Publishes, as src/store/redis/events.ts reads it.
-- @return the record's new rev
local function free(owner, id, epoch, rev, previous_connection, reason, request, outcome)
  rev = rev + 1
  redis.call('DEL', owner)
  redis.call('HSET', owner, 'state', 'free', 'epoch', epoch, 'rev', rev, 'freed_at', now,
    'request', request, 'outcome', outcome)
  redis.call('PEXPIREAT', owner, now + RETENTION_MS)
  redis.call('ZREM', KEYS[1], id)
  publish(owner, id, 'o\t' .. epoch .. '\t' .. rev .. '\tfree\t' .. reason .. '\t\t\t'
    .. previous_connection .. '\t0\t' .. now .. '\t' .. request .. '\t')
  idle_from_now(base, id)
  return rev
end
