#!lua
-- Records that a request is about to be sent.
-- KEYS: the grant
-- ARGV: generation and time of the last request as they were found, id of this request
-- Returns the time that is recorded; 0 when the grant is no longer as it was found
-- include: time.lua
local generation, sending_since, request = unpack(redis.call('HMGET', KEYS[1], 'generation', 'sending_since', 'request'))
if generation ~= ARGV[1] then return 0 end
-- The same call, sent again because its reply was lost.
if request == ARGV[3] then return tonumber(sending_since) end
if sending_since ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'sending_since', now, 'request', ARGV[3])
return now
