#!lua
-- Counts who delivers events.
-- KEYS: sorted set of consumers by when they count no longer
-- ARGV: consumer, for how long it counts in ms, or 0 to leave
-- Returns how many there are.
-- include: time.lua
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('ZCARD', KEYS[1])
