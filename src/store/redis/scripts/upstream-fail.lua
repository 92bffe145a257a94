#!lua
-- Ends a request that was recorded.
-- KEYS: the grant, the audit stream
-- ARGV: handle, generation, when the request was recorded, '' or for how long (ms) none may follow
-- Returns 1; 0 when it is no longer the last request
-- include: time.lua
-- include: upstream-event.lua
local generation, sending_since, state = unpack(
  redis.call('HMGET', KEYS[1], 'generation', 'sending_since', 'state'))
if generation ~= ARGV[2] then return 0 end
-- The same call, sent again because its reply was lost.
if state == 'reauth_required' then return 1 end
if sending_since ~= ARGV[3] then return 0 end
if ARGV[4] == '' then
  redis.call('HSET', KEYS[1], 'state', 'reauth_required', 'access', '', 'sending_since', 0, 'request', '')
  note('grant_lost', generation)
else
  redis.call('HSET', KEYS[1], 'sending_since', 0, 'request', '', 'not_before', string.format('%.0f', now + ARGV[4]))
end
return 1
