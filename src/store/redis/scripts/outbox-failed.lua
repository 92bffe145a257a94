#!lua
-- Counts a failure, as one more delivery than there were in truth.
-- KEYS: outbox
-- ARGV: id
-- Returns how many there were; 0 for an event that is gone.
local pending = redis.call('XPENDING', KEYS[1], 'webhooks', ARGV[1], ARGV[1], 1)[1]
if not pending then return 0 end
redis.call('XCLAIM', KEYS[1], 'webhooks', 'gateway', 0, ARGV[1], 'RETRYCOUNT', pending[4] + 1, 'JUSTID')
return pending[4]
