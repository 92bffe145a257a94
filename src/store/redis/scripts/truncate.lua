#!lua
-- Removes a session's messages up to an offset.
-- KEYS: position, log
-- ARGV: offset
-- Returns epoch, top, first and forks, separated by tabs; '' when the session has none. Publishes nothing.
-- include: stream.lua
-- include: trim.lua
local position, log = KEYS[1], KEYS[2]
local epoch, top, first, bytes, ends_at, forks = unpack(
  redis.call('HMGET', position, 'epoch', 'top', 'first', 'bytes', 'until', 'forks'))
if not epoch then return '' end
top, first, bytes = tonumber(top or 0), tonumber(first or 1), tonumber(bytes or 0)
if tonumber(ends_at or 0) > now then
  local keep = top - math.min(ARGV[1], top)
  first, bytes = trim(log, first, top, bytes, keep, math.huge, 0)
  redis.call('HSET', position, 'first', first, 'bytes', bytes)
else
  first = top + 1
end
return stream_text(epoch, top, first, forks or '')
