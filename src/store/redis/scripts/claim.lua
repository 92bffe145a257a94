#!lua
-- Takes a free session, or repeats the answer to the same request or attempt.
-- KEYS: deadlines, meta, record, lock, watchers
-- ARGV: context, ClaimRequest as JSON
-- Returns result, replayed (0 or 1), token expired (0 or 1), token hash, retry after (ms), and the view.
-- Publishes `expired` if the deadline had passed, and the new owner if there is one.
-- include: claim-step.lua
return answer(function(record)
  if record.state == 'free' then return claim_free(record, request.mode, false) end
  return claim_taken(record, request.mode, false)
end)
