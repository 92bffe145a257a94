#!lua
-- KEYS: record, audit stream, upstream grant, owned sessions
-- ARGV: handle
-- Returns `found` and the record and its principal's handle, or `unknown`. Tells `ended` if it had lapsed.
-- include: login-record.lua
if not load() then return { 'unknown' } end
local reply = answer('found')
reply[#reply + 1] = record.principal_handle
return reply
