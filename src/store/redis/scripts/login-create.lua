#!lua
-- Makes a login, unless its id is taken.
-- KEYS: record, audit stream, upstream grant, owned sessions, mark of an id that stays taken
-- ARGV: handle, login id, '1' if the application chose it, request hash or '', principal, principal handle, attributes,
--   rights, idle ms, max ms, end or '0', token hash
-- Returns the result, and but for `duplicate` and `invalid_expiry` the record. Tells `created`.
-- include: login-record.lua
if load() then
  local is_same = record.token == ARGV[12] or (ARGV[4] ~= '' and record.request_hash == ARGV[4])
  return is_same and answer('replayed') or { 'duplicate' }
end
if redis.call('EXISTS', KEYS[5]) == 1 then return { 'duplicate' } end
local max_expires_at, fixed_end = now + ARGV[10], tonumber(ARGV[11])
if fixed_end ~= 0 and fixed_end <= now then return { 'invalid_expiry' } end
if ARGV[3] == '1' then redis.call('SET', KEYS[5], '1') end
put({
  login_id = ARGV[2], request_hash = ARGV[4], principal = ARGV[5], principal_handle = ARGV[6], attributes = ARGV[7],
  rights = ARGV[8], idle = ARGV[9], token = ARGV[12],
  created_at = text(now), last_seen_at = text(now), rotated_at = text(now), max_expires_at = text(max_expires_at),
  expires_at = text(math.min(fixed_end ~= 0 and fixed_end or now + ARGV[9], max_expires_at)),
  fixed_end = fixed_end ~= 0 and '1' or '0', generation = '1', state = 'active', ended_at = '0', end_reason = '',
  first_used_at = '0', previous = '', previous2 = '', previous2_until = '0', ended_by = '',
})
save()
redis.call('PEXPIREAT', KEYS[1], text(max_expires_at + RETENTION_MS))
return answer('created')
