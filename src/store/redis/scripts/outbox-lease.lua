#!lua
-- Takes or keeps the delivery of a partition, or gives it up.
-- KEYS: outbox, lease
-- ARGV: consumer, for how long in ms, or 0 to give it up
-- Returns 1 if the consumer has the lease now, else 0.
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[2])
  return 0
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
-- Fails for a group that is there.
if not holder then redis.pcall('XGROUP', 'CREATE', KEYS[1], 'webhooks', '0', 'MKSTREAM') end
return 1
