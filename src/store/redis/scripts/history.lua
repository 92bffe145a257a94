#!lua flags=no-writes
-- A part of a session's messages.
-- KEYS: position, log
-- ARGV: 'after' or 'before', offset, limit
-- Returns epoch, top, first and forks, separated by tabs, or '' when the session has none; then entry id, time (ms) and
-- tail of each message, from the offset on in its direction: at most the limit, and not much more than 256 KiB.
-- Publishes nothing.
-- include: stream.lua
local MAX_BYTES, STEP = 262144, 16
local state = stored_stream(KEYS[1])
if not state then return { '' } end
local top, first = string.match(state, '\t(%d+)\t(%d+)\t')
top, first = tonumber(top), tonumber(first)

local forward, left = ARGV[1] == 'after', tonumber(ARGV[3])
local at = forward and math.max(ARGV[2] + 1, first) or math.min(ARGV[2] - 1, top)
local reply, length, bytes = { state }, 1, 0
while left > 0 and at >= first and at <= top and bytes < MAX_BYTES do
  local step = math.min(left, STEP)
  local entries = forward and redis.call('XRANGE', KEYS[2], at .. '-0', '+', 'COUNT', step)
    or redis.call('XREVRANGE', KEYS[2], at .. '-0', first .. '-0', 'COUNT', step)
  for i = 1, #entries do
    local fields = entries[i][2]
    reply[length + 1], reply[length + 2], reply[length + 3] = entries[i][1], fields[2], fields[4]
    length, bytes = length + 3, bytes + #fields[4]
    if bytes >= MAX_BYTES then break end
  end
  left = left - step
  at = forward and at + step or at - step
end
return reply
