#!lua
-- A sign of life, or a change by the application, of an active login.
-- KEYS: record, audit stream, upstream grant, owned sessions
-- ARGV: handle, '1' to slide the idle expiry, then new end, attributes and rights, each '' to leave it
-- Returns `changed` or `same` and the record, or `unknown`. Tells `touched`, or `ended` if it had lapsed.
-- include: login-record.lua
local expires_at = tonumber(ARGV[3])
if not load() then return { 'unknown' } end
if record.state ~= 'active' or (expires_at and expires_at <= now) then return answer('same') end
local is_change = expires_at or ARGV[4] ~= '' or ARGV[5] ~= ''
if not is_change then
  note_life(ARGV[2] == '1')
  save()
  return answer('changed')
end
if ARGV[2] == '1' then slide() end
record.last_seen_at = text(now)
if ARGV[4] ~= '' then record.attributes = ARGV[4] end
if ARGV[5] ~= '' then record.rights = ARGV[5] end
if expires_at then
  put({ fixed_end = '1', expires_at = text(math.min(expires_at, tonumber(record.max_expires_at))) })
end
save()
return answer('changed')
