-- One login's record. With the login-*.lua it mirrors src/login/machine.ts; the contract suite holds the two together.
-- KEYS: record, audit stream, upstream grant, owned sessions; ARGV[1] is the login's handle.
-- include: time.lua
-- include: login-audit.lua
-- include: outbox.lua
local EVENT_FIELDS = {
  'principal', 'attributes', 'rights', 'created_at', 'last_seen_at', 'expires_at', 'max_expires_at', 'generation',
  'state', 'ended_at', 'end_reason',
}
local HIDDEN_FIELDS = {
  'login_id', 'principal_handle', 'request_hash', 'idle', 'fixed_end', 'token', 'first_used_at', 'rotated_at',
  'previous', 'previous2', 'previous2_until', 'ended_by',
}

-- The fields as they are stored, and as they shall be: all text.
local stored, record = {}, {}

local function text(number)
  return string.format('%.0f', number)
end

local function put(fields)
  for name, value in pairs(fields) do record[name] = value end
end

local function changes(names, into)
  for i = 1, #names do
    local name = names[i]
    if record[name] ~= stored[name] then
      into[#into + 1] = name
      into[#into + 1] = record[name]
    end
  end
  return into
end

local function kind_of_change()
  if not stored.state then return 'created' end
  if record.state ~= stored.state then return 'ended' end
  return record.generation == stored.generation and 'touched' or 'refreshed'
end

-- Writes what differs, and the event that tells of it.
local function save()
  local told = changes(EVENT_FIELDS, {})
  if #told > 0 then audit(KEYS[2], ARGV[1], kind_of_change(), told) end
  local changed = changes(HIDDEN_FIELDS, told)
  if #changed > 0 then redis.call('HSET', KEYS[1], unpack(changed)) end
  for name, value in pairs(record) do stored[name] = value end
end

-- `request` is whose call it was, so that the same call gets the same answer.
local function finish(state, reason, ended_at, request)
  put({ state = state, end_reason = reason, ended_at = text(ended_at), ended_by = request })
  save()
  if state == 'revoked' then
    tell(string.sub(KEYS[2], 1, -6), 'login', ARGV[1], 'principal', record.principal, 'reason', reason)
  end
  redis.call('UNLINK', KEYS[3])
  redis.call('PEXPIREAT', KEYS[1], text(now + RETENTION_MS))
  redis.call('PEXPIREAT', KEYS[4], text(now + RETENTION_MS))
end

local function lapse()
  local expires_at = tonumber(record.expires_at)
  if record.state ~= 'active' or now < expires_at then return end
  local is_max = expires_at >= tonumber(record.max_expires_at)
  finish('expired', is_max and 'max_age' or record.fixed_end == '1' and 'expired' or 'idle', expires_at, '')
end

-- @return whether there is a record; it is ended first if it has lapsed
local function load()
  local function read(names)
    local values = redis.call('HMGET', KEYS[1], unpack(names))
    for i = 1, #names do
      stored[names[i]] = values[i] or nil
      record[names[i]] = values[i] or nil
    end
  end
  read(EVENT_FIELDS)
  if not record.state then return false end
  read(HIDDEN_FIELDS)
  lapse()
  return true
end

local function slide()
  record.last_seen_at = text(now)
  if record.fixed_end ~= '1' then
    record.expires_at = text(math.min(now + record.idle, tonumber(record.max_expires_at)))
  end
end

-- A sign of life, which is recorded only if it moves a time far enough: or it would flush the audit stream.
local function note_life(is_activity)
  local ACTIVITY_STEP_MS = 30000
  local seen, ends = record.last_seen_at, record.expires_at
  local step = math.min(ACTIVITY_STEP_MS, record.idle / 20)
  if is_activity then slide() end
  record.last_seen_at = text(now)
  if record.last_seen_at - seen < step and record.expires_at - ends < step then
    put({ last_seen_at = seen, expires_at = ends })
  end
end

-- The result, and the record as callers see it.
local function answer(result)
  local reply = { result, record.login_id }
  for i = 1, #EVENT_FIELDS do reply[i + 2] = record[EVENT_FIELDS[i]] end
  return reply
end
