-- The ownership record: reading, writing, publishing, lapsing. With the other includes it mirrors
-- src/session/machine.ts; the contract suite holds the two together.
-- KEYS[1] is the partition's deadlines, KEYS[2] its meta. A session is { id, owner = key of the record }.
-- include: meta.lua
local FIELDS = {
  'state', 'epoch', 'rev', 'connection', 'node', 'boot', 'principal', 'deadline', 'freed_at',
  'token', 'consumed', 'attempt', 'attempt_at', 'request', 'outcome',
}
local NUMBERS = { epoch = true, rev = true, deadline = true, freed_at = true, attempt_at = true }

local function changed(record, changes)
  local copy = {}
  for _, field in ipairs(FIELDS) do
    local change = changes[field]
    if change == nil then copy[field] = record[field] else copy[field] = change end
  end
  return copy
end

local function empty_record()
  local record = {}
  for _, field in ipairs(FIELDS) do record[field] = NUMBERS[field] and 0 or '' end
  record.state = 'free'
  return record
end

local function load(session)
  local values = redis.call('HMGET', session.owner, unpack(FIELDS))
  if not values[1] then return empty_record() end
  local record = {}
  for i, field in ipairs(FIELDS) do
    record[field] = NUMBERS[field] and tonumber(values[i]) or values[i]
  end
  return record
end

-- The key outlives the deadline by the retention, so that the epoch goes on.
local function save(session, record)
  local values = {}
  for i, field in ipairs(FIELDS) do
    values[2 * i - 1] = field
    values[2 * i] = NUMBERS[field] and text(record[field]) or record[field]
  end
  redis.call('HSET', session.owner, unpack(values))
  if record.state == 'free' then
    redis.call('ZREM', KEYS[1], session.id)
    redis.call('PEXPIREAT', session.owner, text(record.freed_at + context.retentionMs))
  else
    redis.call('ZADD', KEYS[1], text(record.deadline), session.id)
    redis.call('PEXPIREAT', session.owner, text(record.deadline + context.retentionMs))
  end
end

-- Fields as src/store/redis/events.ts reads them. The channel is the record's key without ':owner'.
local function publish(session, record, reason, previous_connection)
  local caused_by_request = reason ~= 'expired' and reason ~= 'disconnected'
  local event = table.concat({
    'o', text(record.epoch), text(record.rev), record.state, reason, record.connection, record.node,
    previous_connection, text(record.deadline), text(now), caused_by_request and record.request or '',
    record.principal,
  }, '\t')
  redis.call(context.publish, string.sub(session.owner, 1, -7), event)
end

local function view(record)
  return {
    record.state, text(record.epoch), text(record.rev), record.connection, record.node, record.principal,
    text(record.deadline), text(now),
  }
end

-- Makes the session free and says so. @return the free record
local function free(session, record, reason, request, outcome)
  local next_record = changed(empty_record(), {
    epoch = record.epoch, rev = record.rev + 1, freed_at = now, request = request, outcome = outcome,
  })
  save(session, next_record)
  publish(session, next_record, reason, record.connection)
  return next_record
end

local function is_due(record)
  return record.state ~= 'free' and record.deadline <= now and may_lapse()
end

-- The record, after its release if its deadline has passed.
local function load_current(session)
  local record = load(session)
  if is_due(record) then return free(session, record, 'expired', '', '') end
  return record
end

local function matches(record, connection, epoch)
  return record.connection == connection and record.epoch == epoch
end
