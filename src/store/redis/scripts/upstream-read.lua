#!lua
-- KEYS: the grant
-- Returns the fields and the time; without a grant only the time.
-- include: time.lua
local grant = redis.call('HMGET', KEYS[1], 'provider', 'generation', 'secret', 'access', 'refreshed_at',
  'sending_since', 'not_before', 'state')
if not grant[2] then return { now } end
grant[9] = now
return grant
