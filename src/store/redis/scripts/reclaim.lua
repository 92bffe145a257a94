#!lua
-- Takes a session back with its reconnect token, which is consumed and replaced.
-- KEYS: deadlines, meta, record, lock, watchers
-- ARGV: context, ReclaimRequest as JSON
-- Returns and publishes as claim.lua does.
-- include: claim-step.lua

-- A genuine token that is no longer current makes a new subscription.
local function expired_token(record, claim)
  if not request.claimIfExpired then return record, outcome_of('unclaimed', record, { token_expired = true }) end
  local after, outcome = claim(record, 'subscribe', true)
  outcome.token_expired = true
  return after, outcome
end

local function reclaim_taken(record)
  local is_current = record.token == request.presentedTokenHash and principal_allows(record)
  local is_repeat = is_repeated_attempt(record, request.presentedTokenHash)
  if is_current or is_repeat then
    if is_locked_against('') then return busy(record) end
    if is_repeat then return replay(record, false) end
    local given = {
      principal = request.principalRule == 'restore' and record.principal or request.principal,
      token = request.tokenHash, consumed = request.presentedTokenHash,
      attempt = request.attemptHash, attempt_at = attempt_time(),
    }
    local owned = grant(session, record, request, given, 'reclaimed', stored(false, false))
    return owned, outcome_of('owned', owned)
  end
  if record.consumed == request.presentedTokenHash then return record, outcome_of('token_used', record) end
  return expired_token(record, claim_taken)
end

return answer(function(record)
  if record.state == 'free' then return expired_token(record, claim_free) end
  return reclaim_taken(record)
end)
