#!lua
-- Notes that a node is there, and forgets those that have been silent for long.
-- KEYS: sorted set of nodes by when they were last heard of, hash of what they said
-- ARGV: node, what it says, after how many ms of silence a node is forgotten
-- Returns the time in ms.
-- include: time.lua
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3], 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], node)
  redis.call('HDEL', KEYS[2], node)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return now
