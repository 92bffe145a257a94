-- The partition's meta hash, KEYS[2]: the highest epoch ever given, the last sweep, the end of the guard time.
-- include: time.lua
local meta_cache

local function read_meta()
  if not meta_cache then
    local stored = redis.call('HMGET', KEYS[2], 'floor', 'swept_at', 'guard_until')
    meta_cache = {
      floor = tonumber(stored[1] or '0'),
      swept_at = tonumber(stored[2] or '-1'),
      guard_until = tonumber(stored[3] or '0'),
    }
  end
  return meta_cache
end

-- True when the partition was not swept for too long, or when the clock went back: nodes could not renew meanwhile.
local function is_gap(meta)
  return meta.swept_at < 0 or now < meta.swept_at or now - meta.swept_at > context.maxSweepGapMs
end

local function may_lapse()
  local meta = read_meta()
  return not is_gap(meta) and now >= meta.guard_until
end
