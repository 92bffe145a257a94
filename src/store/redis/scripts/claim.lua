#!lua
-- Takes a free session, or repeats the answer to the same request or attempt.
-- KEYS: deadlines, meta, record, lock, watchers, position
-- ARGV: session id, request id, connection, node, boot, principal, token hash, attempt hash, lease in ms, policy,
--   principal rule, value of the lock or '', mode
-- Returns result, replayed (0 or 1), token expired (0 or 1), token hash, retry after (ms), the view, and the stream
-- as stream.lua has it.
-- Publishes `expired` if the deadline had passed, and the new owner if there is one.
-- include: claim-step.lua
return answer(function()
  if record.state == 'free' then return claim_free(ARGV[13]) end
  return claim_taken(ARGV[13])
end)
