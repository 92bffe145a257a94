#!lua
-- Removes a session's messages and its position.
-- KEYS: position, log
-- ARGV: none
-- Returns nothing. Publishes nothing.
redis.call('DEL', KEYS[1], KEYS[2])
