#!lua
-- Holds sessions whose owner's connection is gone. Acts only on a record that is owned by exactly that lease.
-- KEYS: deadlines, meta, then the records
-- ARGV: how long to hold in ms, then session id, connection and epoch of each record
-- Returns a letter for each: h held, n nothing done. Publishes `disconnected` for each that is held now.
-- include: free.lua
local deadline = string.format('%.0f', now + ARGV[1])
local expire_at = string.format('%.0f', deadline + RETENTION_MS)
local results, scores = {}, {}
for i = 3, #KEYS do
  local at = 3 * i - 7
  local state, connection, epoch, rev, node, principal = unpack(
    redis.call('HMGET', KEYS[i], 'state', 'connection', 'epoch', 'rev', 'node', 'principal'))
  if state == 'owned' and connection == ARGV[at + 1] and epoch == ARGV[at + 2] then
    rev = rev + 1
    redis.call('HSET', KEYS[i], 'state', 'held', 'rev', rev, 'deadline', deadline)
    redis.call('PEXPIREAT', KEYS[i], expire_at)
    scores[#scores + 1] = deadline
    scores[#scores + 1] = ARGV[at]
    publish(KEYS[i], ARGV[at], 'o\t' .. epoch .. '\t' .. rev .. '\theld\tdisconnected\t'
      .. connection .. '\t' .. node .. '\t' .. connection .. '\t' .. deadline .. '\t' .. now .. '\t\t' .. principal)
    results[i - 2] = 'h'
  else
    results[i - 2] = 'n'
  end
end
if #scores > 0 then redis.call('ZADD', KEYS[1], unpack(scores)) end
return table.concat(results)
