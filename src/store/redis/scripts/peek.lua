#!lua flags=no-writes
-- The views of many sessions as they are stored.
-- KEYS: records. ARGV: none.
-- Returns the views, one after the other. Publishes nothing.
-- include: time.lua
local views, at = {}, 0
for i = 1, #KEYS do
  local stored = redis.call('HMGET', KEYS[i], 'state', 'epoch', 'rev', 'connection', 'node', 'principal', 'deadline')
  views[at + 1], views[at + 2], views[at + 3] = stored[1] or 'free', stored[2] or 0, stored[3] or 0
  views[at + 4], views[at + 5], views[at + 6] = stored[4] or '', stored[5] or '', stored[6] or ''
  views[at + 7], views[at + 8] = stored[7] or 0, now
  at = at + 8
end
return views
