-- What claim and reclaim have in common. KEYS: deadlines, meta, record, lock, watchers, position.
-- ARGV after those of grant.lua: policy, principal rule, value of the lock where the caller holds it.
-- include: grant.lua
-- include: stream.lua
-- include: watchers.lua
local policy, principal_rule, own_lock_value = ARGV[10], ARGV[11], ARGV[12]
local REASONS = { subscribe = 'claimed', claim = 'claimed', handover = 'handed_over', reestablish = 'reestablished' }
local watcher_before = policy == 'oldest_watcher' and first_watcher(KEYS[5]) or ''
local before_freed_at, before_epoch = record.freed_at, record.epoch
-- What is answered besides the record.
local replayed, token_expired, retry_after = false, false, 0

local function principal_allows()
  if principal_rule == 'exact' then return record.principal == principal end
  return string.sub(record.principal, 1, 5) == 'anon:'
end

local function is_repeated_attempt(consumed)
  return attempt ~= '' and attempt == record.attempt and record.consumed == consumed
    and now - record.attempt_at <= ATTEMPT_WINDOW_MS and principal_allows()
end

-- The form kept in the record; the token hash is the record's, and only what was answered `owned` is kept.
local function stored_outcome()
  return (replayed and 'replayed' or 'owned') .. (token_expired and ' expired' or '')
end

-- A busy answer to who has a right to the session must not cost it the session.
local function busy()
  local deadline = math.max(record.deadline, now + BUSY_EXTENSION_MS)
  record.deadline = deadline
  redis.call('HSET', KEYS[3], 'deadline', deadline)
  redis.call('PEXPIREAT', KEYS[3], deadline + RETENTION_MS)
  redis.call('ZADD', KEYS[1], deadline, id)
  return 'busy'
end

-- The same attempt again, after its reply was lost: the session at a new epoch, with the token it already has.
local function replay()
  replayed = true
  if record.state == 'owned' and record.connection == connection then return 'owned' end
  if principal_rule == 'replace' then record.principal = principal end
  grant('reclaimed', stored_outcome())
  return 'owned'
end

local function take(reason, new_principal, consumed)
  record.principal, record.token, record.consumed = new_principal, token, consumed
  record.attempt, record.attempt_at = attempt, attempt_at
  grant(reason, stored_outcome())
  return 'owned'
end

local function claim_free(mode)
  if is_locked_against(own_lock_value) then return 'busy' end
  if mode == 'reestablish' and record.epoch ~= '0' then return 'unclaimed' end
  local waited = now - record.freed_at
  if watcher_before ~= '' and watcher_before ~= connection and waited < HANDOVER_PATIENCE_MS then
    retry_after = HANDOVER_PATIENCE_MS - waited
    return 'not_next'
  end
  return take(REASONS[mode], principal, '')
end

local function claim_taken(mode)
  -- A handover that finds the session with its watcher already must leave the token alone: nothing would tell of it.
  local is_owner = mode ~= 'handover' and record.state == 'owned' and record.connection == connection
  local is_repeat = mode ~= 'reestablish' and is_repeated_attempt('')
  if not is_owner and not is_repeat then return 'unclaimed' end
  if is_locked_against(own_lock_value) then return busy() end
  if is_repeat then return replay() end
  -- The owner asks again because a reply never reached it: a fresh token at the same epoch.
  local deadline = now + lease
  record.deadline, record.token = deadline, token
  redis.call('HSET', KEYS[3], 'deadline', deadline, 'lease', lease, 'token', token, 'consumed', '',
    'attempt', attempt, 'attempt_at', attempt_at, 'request', request, 'outcome', stored_outcome())
  redis.call('PEXPIREAT', KEYS[3], deadline + RETENTION_MS)
  redis.call('ZADD', KEYS[1], deadline, id)
  return 'owned'
end

-- Runs `step` on the current record unless it did the request before, keeps the list of watchers, and builds the reply.
local function answer(step)
  local result
  if request == record.request then
    result = 'owned'
    replayed = string.sub(record.outcome, 1, 8) == 'replayed'
    token_expired = string.sub(record.outcome, -7) == 'expired'
  else
    result = step()
  end
  if policy == 'oldest_watcher' then
    if result == 'unclaimed' or result == 'not_next' then add_watcher(KEYS[5], connection) end
    -- The first one let the patience pass: it must not delay the next handover too.
    if before_freed_at ~= 0 and record.epoch ~= before_epoch then remove_watcher(KEYS[5], watcher_before) end
  end
  if result == 'owned' then remove_watcher(KEYS[5], connection) end
  return {
    result, replayed and 1 or 0, token_expired and 1 or 0, record.token, retry_after,
    record.state, record.epoch, record.rev, record.connection, record.node, record.principal, record.deadline, now,
    stream_of(KEYS[6]),
  }
end
