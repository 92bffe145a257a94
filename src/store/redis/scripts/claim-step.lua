-- What claim and reclaim have in common. KEYS: deadlines, meta, record, lock, watchers. ARGV[2]: the request as JSON.
-- A step returns the record after it and the outcome: { result, replayed, token_expired, token, retry_after }.
-- include: grant.lua
-- include: watchers.lua
local request = cjson.decode(ARGV[2])
local session = { id = request.sessionId, owner = KEYS[3] }
local by_oldest_watcher = request.policy == 'oldest_watcher'
local watcher_before = by_oldest_watcher and first_watcher(KEYS[5]) or ''
local REASONS = { subscribe = 'claimed', claim = 'claimed', handover = 'handed_over', reestablish = 'reestablished' }

local function outcome_of(result, record, extra)
  local outcome = { result = result, replayed = false, token_expired = false, token = record.token, retry_after = 0 }
  for name, value in pairs(extra or {}) do outcome[name] = value end
  return outcome
end

-- The form kept in the record; the token hash is the record's, and only what was answered `owned` is kept.
local function stored(replayed, token_expired)
  return (replayed and 'replayed' or 'owned') .. (token_expired and ' expired' or '')
end

local function restored(record)
  return outcome_of('owned', record, {
    replayed = string.sub(record.outcome, 1, 8) == 'replayed',
    token_expired = string.sub(record.outcome, -7) == 'expired',
  })
end

local function attempt_time()
  return request.attemptHash == '' and 0 or now
end

local function principal_allows(record)
  if request.principalRule == 'exact' then return record.principal == request.principal end
  return string.sub(record.principal, 1, 5) == 'anon:'
end

local function is_repeated_attempt(record, consumed)
  return request.attemptHash ~= '' and request.attemptHash == record.attempt and record.consumed == consumed
    and now - record.attempt_at <= context.attemptWindowMs and principal_allows(record)
end

-- A busy answer to who has a right to the session must not cost it the session.
local function busy(record)
  local extended = changed(record, { deadline = math.max(record.deadline, now + context.busyExtensionMs) })
  save(session, extended)
  return extended, outcome_of('busy', extended)
end

-- The same attempt again, after its reply was lost: the session at a new epoch, with the token it already has.
local function replay(record, token_expired)
  local outcome = outcome_of('owned', record, { replayed = true })
  if record.state == 'owned' and record.connection == request.connectionId then return record, outcome end
  local given = changed(record, request.principalRule == 'replace' and { principal = request.principal } or {})
  return grant(session, record, request, given, 'reclaimed', stored(true, token_expired)), outcome
end

local function claim_free(record, mode, token_expired)
  if is_locked_against('') then return record, outcome_of('busy', record) end
  if mode == 'reestablish' and record.epoch ~= 0 then return record, outcome_of('unclaimed', record) end
  local waited = now - record.freed_at
  local promised = by_oldest_watcher and watcher_before ~= '' and watcher_before ~= request.connectionId
    and waited < context.handoverPatienceMs
  if promised then
    return record, outcome_of('not_next', record, { retry_after = context.handoverPatienceMs - waited })
  end
  local given = {
    principal = request.principal, token = request.tokenHash, consumed = '',
    attempt = request.attemptHash, attempt_at = attempt_time(),
  }
  local owned = grant(session, record, request, given, REASONS[mode], stored(false, token_expired))
  return owned, outcome_of('owned', owned)
end

local function claim_taken(record, mode, token_expired)
  local is_owner = record.state == 'owned' and record.connection == request.connectionId
  local is_repeat = mode ~= 'reestablish' and is_repeated_attempt(record, '')
  if not is_owner and not is_repeat then return record, outcome_of('unclaimed', record) end
  if is_locked_against('') then return busy(record) end
  if is_repeat then return replay(record, token_expired) end
  -- The owner asks again because a reply never reached it: a fresh token at the same epoch.
  local renewed = changed(record, {
    deadline = now + request.leaseMs, token = request.tokenHash, consumed = '',
    attempt = request.attemptHash, attempt_at = attempt_time(),
    request = request.requestId, outcome = stored(false, token_expired),
  })
  save(session, renewed)
  return renewed, outcome_of('owned', renewed)
end

-- Runs `step` on the current record, keeps the list of watchers, and builds the reply.
local function answer(step)
  local before = load_current(session)
  local after, outcome
  if request.requestId == before.request then
    after, outcome = before, restored(before)
  else
    after, outcome = step(before)
  end
  local result = outcome.result
  if by_oldest_watcher then
    if result == 'unclaimed' or result == 'not_next' then add_watcher(KEYS[5], request.connectionId) end
    -- The first one let the patience pass: it must not delay the next handover too.
    if before.freed_at ~= 0 and after.epoch ~= before.epoch then remove_watcher(KEYS[5], watcher_before) end
  end
  if result == 'owned' then remove_watcher(KEYS[5], request.connectionId) end
  return {
    result, outcome.replayed and 1 or 0, outcome.token_expired and 1 or 0, outcome.token,
    outcome.retry_after, unpack(view(after)),
  }
end
