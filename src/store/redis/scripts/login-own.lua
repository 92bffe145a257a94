#!lua
-- Notes a session that a connection of the login owns. The list lives as long as the record.
-- KEYS: record, owned sessions
-- ARGV: epoch, connection and session as JSON, how many are kept
-- Returns nothing.
local left = redis.call('PTTL', KEYS[1])
if left <= 0 then return end
redis.call('ZADD', KEYS[2], 'GT', ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[3])
redis.call('PEXPIRE', KEYS[2], left)
