#!lua
-- Puts a login on its principal's list, on which those whose time is over are no longer.
-- KEYS: the list
-- ARGV: handle, for how long in ms
-- Returns 1, or 0 when the list is full.
-- include: time.lua
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local is_listed = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not is_listed and redis.call('ZCARD', KEYS[1]) >= MAX_LOGINS then return 0 end
redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now + ARGV[2]), ARGV[1])
redis.call('PEXPIREAT', KEYS[1], redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
return 1
