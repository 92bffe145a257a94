#!lua
-- The session's view.
-- KEYS: deadlines, meta, record, watchers, position
-- ARGV: session id, connection to put on the list of watchers or ''
-- Returns the view, and the stream as stream.lua has it. Publishes `expired` if the deadline had passed.
-- include: free.lua
-- include: watchers.lua
-- include: stream.lua
local stream = stream_of(KEYS[5])
if ARGV[2] ~= '' then add_watcher(KEYS[4], ARGV[2]) end
local state, epoch, rev, connection, node, principal, deadline, lease = unpack(
  redis.call('HMGET', KEYS[3], 'state', 'epoch', 'rev', 'connection', 'node', 'principal', 'deadline', 'lease'))
if not state then return { 'free', 0, 0, '', '', '', 0, now, stream } end
if state ~= 'free' and tonumber(deadline) <= now and may_lapse(lease) then
  rev = free(KEYS[3], ARGV[1], epoch, rev, connection, 'expired', '', '')
  state = 'free'
end
if state == 'free' then return { state, epoch, rev, '', '', '', 0, now, stream } end
return { state, epoch, rev, connection, node, principal, deadline, now, stream }
