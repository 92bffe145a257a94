#!lua
-- Stores a new grant in place of any other.
-- KEYS: the grant, the audit stream, the login
-- ARGV: handle, generation that was found ('0' for none), provider, sealed secret
-- Returns 1; 0 when the login is not active; -1 when the generation is no longer this one
-- include: time.lua
-- include: upstream-event.lua
local state, expires_at = unpack(redis.call('HMGET', KEYS[3], 'state', 'expires_at'))
if state ~= 'active' or now >= tonumber(expires_at) then return 0 end
local generation, secret = unpack(redis.call('HMGET', KEYS[1], 'generation', 'secret'))
-- The same call, sent again because its reply was lost.
if secret == ARGV[4] then return 1 end
if (generation or '0') ~= ARGV[2] then return -1 end
generation = string.format('%.0f', ARGV[2] + 1)
redis.call('HSET', KEYS[1], 'provider', ARGV[3], 'generation', generation, 'secret', ARGV[4], 'access', '',
  'refreshed_at', 0, 'sending_since', 0, 'request', '', 'not_before', 0, 'state', 'ok')
redis.call('PEXPIREAT', KEYS[1], redis.call('PEXPIRETIME', KEYS[3]))
note('grant_stored', generation)
return 1
