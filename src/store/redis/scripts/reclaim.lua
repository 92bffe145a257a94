#!lua
-- Takes a session back with its reconnect token, which is consumed and replaced.
-- KEYS: deadlines, meta, record, lock, watchers, position
-- ARGV: session id, request id, connection, node, boot, principal, token hash, attempt hash, lease in ms, policy,
--   principal rule, value of the lock or '', hash of the presented token, '1' to claim if that is no longer current
-- Returns and publishes as claim.lua does.
-- include: claim-step.lua
local presented = ARGV[13]

-- A genuine token that is no longer current makes a new subscription.
local function expired_token(claim)
  token_expired = true
  if ARGV[14] ~= '1' then return 'unclaimed' end
  return claim('subscribe')
end

return answer(function()
  if record.state == 'free' then return expired_token(claim_free) end
  local is_current = record.token == presented and principal_allows()
  local is_repeat = is_repeated_attempt(presented)
  if is_current or is_repeat then
    if is_locked_against(own_lock_value) then return busy() end
    if is_repeat then return replay() end
    return take('reclaimed', principal_rule == 'restore' and record.principal or principal, presented)
  end
  if record.consumed == presented then return 'token_used' end
  return expired_token(claim_taken)
end)
