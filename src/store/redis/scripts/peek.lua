#!lua flags=no-writes
-- The views of many sessions as they are stored.
-- KEYS: records. ARGV: context.
-- Returns the views, one after the other. Publishes nothing.
-- include: time.lua
local views = {}
for _, key in ipairs(KEYS) do
  local stored = redis.call('HMGET', key, 'state', 'epoch', 'rev', 'connection', 'node', 'principal', 'deadline')
  local missing = not stored[1]
  for i = 1, 7 do views[#views + 1] = stored[i] or '' end
  if missing then
    views[#views - 6], views[#views - 5], views[#views - 4], views[#views] = 'free', '0', '0', '0'
  end
  views[#views + 1] = text(now)
end
return views
