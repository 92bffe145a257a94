#!lua
-- Gives a session to a named connection, or frees it, at the expected epoch; for who holds the session's lock.
-- KEYS: deadlines, meta, record, lock, watchers
-- ARGV: session id, request id, connection or '' to free, node, boot, principal, token hash, attempt hash, lease in ms,
--   value of the lock, expected epoch, reason
-- Returns done, stale or busy, and the view. Publishes the request's reason; before that `expired` if it was due.
-- include: grant.lua
-- include: watchers.lua
local function transfer(own_value, expected_epoch, reason)
  if request == record.request then return 'done' end
  if is_locked_against(own_value) then return 'busy' end
  if record.epoch ~= expected_epoch then return 'stale' end
  if connection ~= '' then
    record.principal, record.token, record.consumed = principal, token, ''
    record.attempt, record.attempt_at = attempt, attempt_at
    grant(reason, 'done')
  elseif record.state ~= 'free' then
    record.rev = free(KEYS[3], id, record.epoch, record.rev, record.connection, reason, request, 'done')
    record.state, record.connection, record.node, record.principal, record.deadline = 'free', '', '', '', 0
  end
  return 'done'
end

local result = transfer(ARGV[10], ARGV[11], ARGV[12])
if result == 'done' and connection ~= '' then remove_watcher(KEYS[5], connection) end
return {
  result, record.state, record.epoch, record.rev, record.connection, record.node, record.principal, record.deadline, now,
}
