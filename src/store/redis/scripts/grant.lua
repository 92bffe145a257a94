-- Giving a session to a connection. KEYS[4] is the session's lock.
-- include: record.lua
local function is_locked_against(own_value)
  local value = redis.call('GET', KEYS[4])
  return value and value ~= own_value
end

-- Saves and publishes. `to` names the new owner (connectionId, nodeId, bootId, leaseMs, requestId); `given` holds
-- principal, token, consumed, attempt, attempt_at.
local function grant(session, record, to, given, reason, outcome)
  local epoch = math.max(record.epoch + 1, read_meta().floor + 1, now_us)
  local next_record = changed(record, {
    state = 'owned', epoch = epoch, rev = record.rev + 1,
    connection = to.connectionId, node = to.nodeId, boot = to.bootId, principal = given.principal,
    deadline = now + to.leaseMs, freed_at = 0,
    token = given.token, consumed = given.consumed, attempt = given.attempt, attempt_at = given.attempt_at,
    request = to.requestId, outcome = outcome,
  })
  save(session, next_record)
  redis.call('HSET', KEYS[2], 'floor', text(epoch))
  publish(session, next_record, reason, record.connection)
  return next_record
end
