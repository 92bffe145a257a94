#!lua
-- Frees a session at the word of its owner.
-- KEYS: deadlines, meta, record, watchers
-- ARGV: session id, request id, connection, epoch, reason, '1' to put the connection on the list of watchers
-- Returns 1 if the session was that connection's at that epoch (or this request freed it before), else 0.
-- Publishes the request's reason, or `expired` if the deadline had passed.
-- include: free.lua
-- include: watchers.lua
local state, epoch, rev, connection, deadline, done, lease = unpack(
  redis.call('HMGET', KEYS[3], 'state', 'epoch', 'rev', 'connection', 'deadline', 'request', 'lease'))
if state and state ~= 'free' and tonumber(deadline) <= now and may_lapse(lease) then
  free(KEYS[3], ARGV[1], epoch, rev, connection, 'expired', '', '')
  return 0
end
if done == ARGV[2] then return 1 end
if not state or state == 'free' or connection ~= ARGV[3] or epoch ~= ARGV[4] then return 0 end
free(KEYS[3], ARGV[1], epoch, rev, connection, ARGV[5], ARGV[2], 'released')
if ARGV[6] == '1' then add_watcher(KEYS[4], connection) end
return 1
