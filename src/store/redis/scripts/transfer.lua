#!lua
-- Gives a session to a named connection, or frees it, at the expected epoch; for who holds the session's lock.
-- KEYS: deadlines, meta, record, lock, watchers
-- ARGV: context, TransferRequest as JSON
-- Returns done, stale or busy, and the view. Publishes the request's reason; before that `expired` if it was due.
-- include: grant.lua
-- include: watchers.lua
local request = cjson.decode(ARGV[2])
local session = { id = request.sessionId, owner = KEYS[3] }
local target = request.target

local function transfer(record)
  if request.requestId == record.request then return 'done', record end
  if is_locked_against(request.lockValue) then return 'busy', record end
  if record.epoch ~= request.expectedEpoch then return 'stale', record end
  if not target then
    if record.state == 'free' then return 'done', record end
    return 'done', free(session, record, request.reason, request.requestId, 'done')
  end
  target.requestId = request.requestId
  local given = {
    principal = target.principal, token = target.tokenHash, consumed = '',
    attempt = target.attemptHash, attempt_at = target.attemptHash == '' and 0 or now,
  }
  return 'done', grant(session, record, target, given, request.reason, 'done')
end

local result, record = transfer(load_current(session))
if result == 'done' and target then remove_watcher(KEYS[5], target.connectionId) end
return { result, unpack(view(record)) }
