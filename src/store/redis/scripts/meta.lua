-- The partition's meta hash, KEYS[2]: the highest epoch ever given, the last sweep, the last gap between sweeps.
-- include: time.lua

-- True when the partition was not swept for too long, or when the clock went back: nodes could not renew meanwhile.
local function is_gap(swept_at)
  return not swept_at or now < tonumber(swept_at) or now - swept_at > MAX_SWEEP_GAP_MS
end

-- After a gap nothing lapses before it has had its whole lease, in which its node can renew it.
local function may_lapse(lease)
  local stored = redis.call('HMGET', KEYS[2], 'swept_at', 'gap_at')
  return not is_gap(stored[1]) and now >= (stored[2] or 0) + (lease or 0)
end
