#!lua
-- Stores what the provider answered.
-- KEYS: the grant, the audit stream
-- ARGV: handle, generation that was sent, sealed secret, sealed access
-- Returns 1; 0 when the generation is no longer this one
-- include: time.lua
-- include: upstream-event.lua
local generation, secret = unpack(redis.call('HMGET', KEYS[1], 'generation', 'secret'))
-- The same call, sent again because its reply was lost.
if secret == ARGV[3] then return 1 end
if generation ~= ARGV[2] then return 0 end
generation = string.format('%.0f', generation + 1)
redis.call('HSET', KEYS[1], 'generation', generation, 'secret', ARGV[3], 'access', ARGV[4], 'refreshed_at', now,
  'sending_since', 0, 'request', '', 'not_before', 0, 'state', 'ok')
note('grant_refreshed', generation)
return 1
