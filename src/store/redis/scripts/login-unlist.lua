#!lua
-- Takes logins off their principal's list.
-- KEYS: the list
-- ARGV: for how long (ms) one without a record stays, since it may be about to be made; then for each login '1' if it
--   has no record or '0' if it has ended, and its handle
-- Returns nothing.
-- include: time.lua
local score = string.format('%.0f', now + ARGV[1])
for i = 2, #ARGV, 2 do
  if ARGV[i] == '1' then
    redis.call('ZADD', KEYS[1], 'XX', 'LT', score, ARGV[i + 1])
  else
    redis.call('ZREM', KEYS[1], ARGV[i + 1])
  end
end
