-- One session's ownership record. With the other includes it mirrors src/session/machine.ts; the contract suite holds
-- the two together.
-- KEYS: deadlines, meta, record; ARGV[1] is the session's id.
-- include: free.lua

-- @return the record, after its release if its deadline has passed
local function load_current()
  local stored = redis.call('HMGET', KEYS[3], 'state', 'epoch', 'rev', 'connection', 'node', 'principal', 'deadline',
    'freed_at', 'token', 'consumed', 'attempt', 'attempt_at', 'request', 'outcome', 'lease')
  local state, deadline = stored[1] or 'free', tonumber(stored[7] or 0)
  if state ~= 'free' and deadline <= now and may_lapse(stored[15]) then
    free(KEYS[3], ARGV[1], stored[2], stored[3], stored[4], 'expired', '', '')
    stored = { 'free', stored[2], stored[3] + 1, '', '', '', 0, now }
    state, deadline = 'free', 0
  end
  return {
    state = state, epoch = stored[2] or '0', rev = stored[3] or 0,
    connection = stored[4] or '', node = stored[5] or '', principal = stored[6] or '',
    deadline = deadline, freed_at = state == 'free' and tonumber(stored[8] or 0) or 0,
    token = stored[9] or '', consumed = stored[10] or '',
    attempt = stored[11] or '', attempt_at = tonumber(stored[12] or 0),
    request = stored[13] or '', outcome = stored[14] or '',
  }
end
