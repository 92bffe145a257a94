#!lua
-- Moves an event to the dead letters, of which the last are kept.
-- KEYS: outbox, dead letters
-- ARGV: id, then the fields of the dead letter
-- Returns nothing.
redis.call('XACK', KEYS[1], 'webhooks', ARGV[1])
if redis.call('XDEL', KEYS[1], ARGV[1]) == 1 then
  redis.call('XADD', KEYS[2], 'MAXLEN', 1000, '*', unpack(ARGV, 2))
end
