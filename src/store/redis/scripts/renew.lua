#!lua
-- Pushes the deadlines of leases that still stand. Never looks at a deadline: a late one moves nothing that lapsed.
-- KEYS: deadlines, meta, then the records
-- ARGV: lease in ms, then session id, connection and epoch of each record
-- Returns a letter for each: r renewed, l lost, m missing. Publishes nothing.
-- include: time.lua
local deadline = string.format('%.0f', now + ARGV[1])
local expire_at = string.format('%.0f', deadline + RETENTION_MS)
local results, scores = {}, {}
for i = 3, #KEYS do
  local at = 3 * i - 7
  local stored = redis.call('HMGET', KEYS[i], 'state', 'connection', 'epoch')
  if stored[1] == 'owned' and stored[2] == ARGV[at + 1] and stored[3] == ARGV[at + 2] then
    redis.call('HSET', KEYS[i], 'deadline', deadline)
    redis.call('PEXPIREAT', KEYS[i], expire_at)
    scores[#scores + 1] = deadline
    scores[#scores + 1] = ARGV[at]
    results[i - 2] = 'r'
  else
    results[i - 2] = stored[1] and 'l' or 'm'
  end
end
if #scores > 0 then redis.call('ZADD', KEYS[1], unpack(scores)) end
return table.concat(results)
