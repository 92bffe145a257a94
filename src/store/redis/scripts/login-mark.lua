#!lua
-- Keeps the latest time from when on a principal's JWTs count.
-- KEYS: the mark
-- ARGV: time, how long it is kept in ms
-- Returns nothing.
local left = redis.call('PTTL', KEYS[1])
local latest = redis.call('GET', KEYS[1])
if not latest or tonumber(latest) < tonumber(ARGV[1]) then latest = ARGV[1] end
redis.call('SET', KEYS[1], latest, 'PX', string.format('%.0f', math.max(left, tonumber(ARGV[2]))))
