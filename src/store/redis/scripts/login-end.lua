#!lua
-- Ends an active login and destroys its upstream grant.
-- KEYS: record, audit stream, upstream grant, owned sessions
-- ARGV: handle, state, reason, request id
-- Returns `ended` (also if this request did it before) or `same` and the record, or `unknown`. Tells `ended`.
-- include: login-record.lua
if not load() then return { 'unknown' } end
if record.state == 'active' then finish(ARGV[2], ARGV[3], now, ARGV[4]) end
return answer(record.ended_by == ARGV[4] and 'ended' or 'same')
