-- Giving a session to a connection.
-- KEYS[4] is the session's lock. ARGV, of which the names below tell: who gets the session, with what, for how long
-- (ms), by which request. The attempt's hash may be ''.
-- include: record.lua
local id, request, connection, node, boot, principal, token, attempt, lease = unpack(ARGV)
local record = load_current()
local attempt_at = attempt == '' and 0 or now

local function is_locked_against(own_value)
  local value = redis.call('GET', KEYS[4])
  return value and value ~= own_value
end

-- Changes the record to what it is under its new owner, saves and publishes it. The caller has set its principal, token,
-- consumed, attempt and attempt_at.
local function grant(reason, outcome)
  local previous_connection = record.connection
  local floor = redis.call('HGET', KEYS[2], 'floor') or 0
  local epoch = string.format('%.0f', math.max(record.epoch + 1, floor + 1, now_us))
  local rev, deadline = record.rev + 1, string.format('%.0f', now + lease)
  record.state, record.epoch, record.rev, record.deadline = 'owned', epoch, rev, deadline
  record.connection, record.node = connection, node
  redis.call('HSET', KEYS[3], 'state', 'owned', 'epoch', epoch, 'rev', rev,
    'connection', connection, 'node', node, 'boot', boot, 'principal', record.principal,
    'deadline', deadline, 'lease', lease, 'token', record.token, 'consumed', record.consumed,
    'attempt', record.attempt, 'attempt_at', record.attempt_at, 'request', request, 'outcome', outcome)
  redis.call('PEXPIREAT', KEYS[3], deadline + RETENTION_MS)
  redis.call('ZADD', KEYS[1], deadline, id)
  redis.call('HSET', KEYS[2], 'floor', epoch)
  publish(KEYS[3], id, 'o\t' .. epoch .. '\t' .. rev .. '\towned\t' .. reason .. '\t'
    .. connection .. '\t' .. node .. '\t' .. previous_connection .. '\t' .. deadline .. '\t' .. now .. '\t'
    .. request .. '\t' .. record.principal)
  not_idle(base, id)
end
