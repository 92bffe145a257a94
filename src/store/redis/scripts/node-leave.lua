#!lua
-- Forgets a node.
-- KEYS: sorted set of nodes by when they were last heard of, hash of what they said
-- ARGV: node
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return 1
