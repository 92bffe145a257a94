#!lua
-- Reads events for who has the partition's lease. Within the group all nodes are one consumer, since they deliver one
-- after the other; the group remembers what was read and not finished, and counts the failures.
-- KEYS: outbox, lease
-- ARGV: consumer, limit, '1' to leave out what was read before
-- Returns id, number of failures, and fields of each, oldest first; nothing to who has no lease.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {} end
local limit, reply = tonumber(ARGV[2]), {}
local unfinished = ARGV[3] == '1' and {} or redis.call('XPENDING', KEYS[1], 'webhooks', '-', '+', limit)
for i = 1, #unfinished do
  local id, deliveries = unfinished[i][1], unfinished[i][4]
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry then
    reply[#reply + 1] = { id, deliveries - 1, entry[2] }
  else
    -- A full stream has lost it.
    redis.call('XACK', KEYS[1], 'webhooks', id)
  end
end
if #reply == limit then return reply end
local read = redis.call('XREADGROUP', 'GROUP', 'webhooks', 'gateway', 'COUNT', limit - #reply, 'STREAMS', KEYS[1], '>')
local entries = read and read[1][2] or {}
for i = 1, #entries do reply[#reply + 1] = { entries[i][1], 0, entries[i][2] } end
return reply
