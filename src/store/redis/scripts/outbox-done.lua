#!lua
-- Removes events that were delivered.
-- KEYS: outbox
-- ARGV: their ids
-- Returns nothing.
redis.call('XACK', KEYS[1], 'webhooks', unpack(ARGV))
redis.call('XDEL', KEYS[1], unpack(ARGV))
