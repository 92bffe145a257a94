#!lua
-- Frees a session at the word of its owner.
-- KEYS: deadlines, meta, record, watchers
-- ARGV: context, ReleaseRequest as JSON
-- Returns 1 if the session was that connection's at that epoch (or this request freed it before), else 0.
-- Publishes the request's reason; before that `expired` if the deadline had passed.
-- include: record.lua
-- include: watchers.lua
local request = cjson.decode(ARGV[2])
local session = { id = request.sessionId, owner = KEYS[3] }
local record = load_current(session)
if request.requestId == record.request then return 1 end
if record.state == 'free' or not matches(record, request.connectionId, request.epoch) then return 0 end
free(session, record, request.reason, request.requestId, 'released')
if request.staysWatching and request.policy == 'oldest_watcher' then
  add_watcher(KEYS[4], request.connectionId)
end
return 1
