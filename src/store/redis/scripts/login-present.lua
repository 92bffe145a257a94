#!lua
-- Presents a refresh token whose MAC is genuine.
-- KEYS: record, audit stream, upstream grant, owned sessions
-- ARGV: handle, request id, generation, token hash, its successor's hash, '1' to rotate, '1' to spare the family
-- Returns the result as `PresentResult` names it, and but for `unknown` the record. Tells `refreshed`, `touched` or
-- `ended`. Sent again, a call that rotated is answered `replayed`, which is as good.
-- include: login-record.lua
local request, generation, token, successor = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local is_rotation = ARGV[6] == '1'

local function present_current()
  if record.first_used_at == '0' then record.first_used_at = text(now) end
  if not is_rotation or now - record.rotated_at < REUSE_INTERVAL_MS then
    note_life(true)
    return 'current'
  end
  slide()
  put({
    generation = text(record.generation + 1), token = successor, rotated_at = text(now), first_used_at = '0',
    previous = record.token, previous2 = record.previous,
    previous2_until = text(record.first_used_at + REUSE_INTERVAL_MS),
  })
  return 'rotated'
end

-- A predecessor counts until its successor's first use and the reuse interval after that.
local function may_repeat()
  if token == record.previous then
    return record.first_used_at == '0' or now < record.first_used_at + REUSE_INTERVAL_MS
  end
  return token == record.previous2 and now < tonumber(record.previous2_until)
end

local function present()
  if token == record.token then return present_current() end
  if may_repeat() then
    note_life(true)
    return 'replayed'
  end
  local current = tonumber(record.generation)
  if generation > current then
    -- The store lost the rotation that made it in a failover.
    put({ previous = record.token, token = token, generation = text(generation), first_used_at = '0', rotated_at = '0' })
    return present_current()
  end
  if generation == current then return 'unknown' end
  if ARGV[7] ~= '1' then finish('revoked', 'token_reuse', now, request) end
  return 'reused'
end

if not load() then return { 'unknown' } end
if record.state ~= 'active' then return answer(record.ended_by == request and 'reused' or 'ended') end
local result = present()
if result == 'unknown' then return { result } end
save()
return answer(result)
