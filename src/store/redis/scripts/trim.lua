-- Dropping the oldest messages of a log.

-- Drops from `first` on while more than `max_count` or more than `max_bytes` are kept, or the oldest is from before
-- `min_at` (ms).
-- @return first and bytes as they are then
local function trim(log, first, top, bytes, max_count, max_bytes, min_at)
  local before, done = first, false
  while first <= top and not done do
    local entries = redis.call('XRANGE', log, first .. '-0', '+', 'COUNT', 64)
    if #entries == 0 then first = top + 1 end
    for i = 1, #entries do
      local fields = entries[i][2]
      done = top - first < max_count and bytes <= max_bytes and tonumber(fields[2]) >= min_at
      if done then break end
      bytes, first = bytes - #fields[4], first + 1
    end
  end
  if first > top then
    redis.call('DEL', log)
    return first, 0
  end
  if first > before then redis.call('XTRIM', log, 'MINID', first .. '-0') end
  return first, bytes
end
