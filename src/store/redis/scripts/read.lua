#!lua
-- The session's view.
-- KEYS: deadlines, meta, record, watchers
-- ARGV: context, session id, connection to put on the list of watchers or ''
-- Returns the view. Publishes `expired` if the deadline had passed.
-- include: record.lua
-- include: watchers.lua
if ARGV[3] ~= '' then add_watcher(KEYS[4], ARGV[3]) end
return view(load_current({ id = ARGV[2], owner = KEYS[3] }))
