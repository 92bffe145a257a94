#!lua
-- Checks, stores and publishes messages of one session.
-- KEYS: record, position, log, then for each item with a fingerprint the key of its idempotency hash, in their order
-- ARGV: writer, sequence, most messages kept, most bytes kept, their greatest age in ms, '1' to refuse what there is no
--   room for, then of each item: 's' (stored) or 'e' (ephemeral); owner's connection and epoch, '' for the application;
--   expected owner epoch or '', expected offset or '', '<fingerprint>:<how long to know it, ms>' or '', tail
-- Returns epoch, top and results, separated by tabs. Results: a word for each item, separated by spaces: a<offset>
--   accepted, d<offset> duplicate, n not_owner, s stale_epoch, x offset_conflict, k idempotency_conflict, f history_full;
--   none when a later request of the writer came before.
-- Publishes what was accepted in one message: m, epoch and now, each with a tab behind, then for each item its letter
--   and offset, the tail's bytes, each with a tab behind, and the tail.
-- include: stream.lua
-- include: trim.lua
-- include: outbox.lua
local record, position, log = KEYS[1], KEYS[2], KEYS[3]
local writer, sequence = 'w:' .. ARGV[1], ARGV[2]
local max_count, max_bytes, max_age = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local refuses = ARGV[6] == '1'
local MAX_FORKS = 8
local MAX_WRITERS, WRITER_TTL_MS = 16, 60000

local epoch, top, first, bytes, run, forks, ends_at, aged, keep, born, answered = unpack(redis.call('HMGET', position,
  'epoch', 'top', 'first', 'bytes', 'run', 'forks', 'until', 'aged', 'keep', 'born', writer))
top, first, bytes, aged = tonumber(top or 0), tonumber(first or 1), tonumber(bytes or 0), tonumber(aged or 0)
forks = forks or ''

if answered then
  local last, answer = string.match(answered, '^(%d+)\t%d+\t(.*)')
  if last == sequence then return answer end
  if tonumber(sequence) < tonumber(last) then return epoch .. '\t' .. top .. '\t' end
end
if not epoch then epoch = begin_stream(position, max_age + DAY_MS) end
born = born or epoch
local stored_first = first
if tonumber(ends_at or 0) <= now then
  redis.call('DEL', log)
  first, bytes = top + 1, 0
end

local before_top, results, at = top, {}, string.format('%.0f', now)
local out, publishing = { 'm\t', epoch, '\t' .. at .. '\t' }, 3

local state, connection, owner_epoch
local function load_record()
  if state then return end
  state, connection, owner_epoch = unpack(redis.call('HMGET', record, 'state', 'connection', 'epoch'))
  state, owner_epoch = state or 'free', owner_epoch or '0'
end

-- @return the result of the item at ARGV[i] unless it is accepted
local function refusal(i, sent_key, fingerprint)
  if sent_key then
    local offset, sent, stream = string.match(redis.call('GET', sent_key) or '', '^(%d+)\t(.*)\t(%d+)$')
    if stream == born then return sent == fingerprint and 'd' .. offset or 'k' end
  end
  if ARGV[i + 2] ~= '' then
    load_record()
    if state == 'free' or connection ~= ARGV[i + 1] or owner_epoch ~= ARGV[i + 2] then return 'n' end
  end
  if ARGV[i + 3] ~= '' then
    load_record()
    if owner_epoch ~= ARGV[i + 3] then return 's' end
  end
  if ARGV[i + 4] ~= '' and tonumber(ARGV[i + 4]) ~= top then return 'x' end
  if refuses and ARGV[i] == 's' and (top - first + 2 > max_count or bytes + #ARGV[i + 6] > max_bytes) then return 'f' end
end

local next_sent = 4
for i = 7, #ARGV, 7 do
  local sent_key, fingerprint, keep_ms
  if ARGV[i + 5] ~= '' then
    sent_key, next_sent = KEYS[next_sent], next_sent + 1
    fingerprint, keep_ms = string.match(ARGV[i + 5], '^(.*):(%d+)$')
  end
  local result = refusal(i, sent_key, fingerprint)
  if not result then
    local kind, tail = ARGV[i], ARGV[i + 6]
    if kind == 's' then top = top + 1 end
    local offset = tostring(top)
    if kind == 's' and max_count > 0 then
      redis.call('XADD', log, offset .. '-0', 'a', at, 'm', tail)
      bytes = bytes + #tail
    end
    if sent_key then redis.call('SET', sent_key, offset .. '\t' .. fingerprint .. '\t' .. born, 'PX', keep_ms) end
    out[publishing + 1], out[publishing + 2] = kind .. offset .. '\t' .. #tail .. '\t', tail
    publishing = publishing + 2
    result = 'a' .. offset
  end
  results[#results + 1] = result
end
results = table.concat(results, ' ')

-- Another server process: a promoted replica, or one that was restarted, may lack offsets that were given.
local function fork(server)
  local kept = { epoch .. ':' .. before_top }
  for earlier in string.gmatch(forks, '[^,]+') do
    if #kept < MAX_FORKS then kept[#kept + 1] = earlier end
  end
  forks, epoch = table.concat(kept, ','), string.format('%.0f', math.max(epoch + 1, now_us))
end

local function prune_writers()
  local fields = redis.call('HGETALL', position)
  for i = 1, #fields, 2 do
    local seen_at = string.sub(fields[i], 1, 2) == 'w:' and string.match(fields[i + 1], '^%d+\t(%d+)')
    if seen_at and now - seen_at > WRITER_TTL_MS then redis.call('HDEL', position, fields[i]) end
  end
end

local accepted = publishing > 3
if accepted then
  local server = server_run()
  if run and run ~= server then fork(server) end
  out[2] = epoch

  local was_empty, slack = first > before_top, math.floor(max_age / 16)
  local most, most_bytes, min_at = math.huge, math.huge, 0
  local is_over = top - first >= max_count or bytes > max_bytes
  if is_over then
    -- Some more than needed, so that this is not the next append's work too.
    most, most_bytes = max_count - math.floor(max_count / 16), max_bytes - math.floor(max_bytes / 16)
  end
  local looks_for_aged = now >= aged
  if looks_for_aged then
    aged = now + slack
    if not was_empty then min_at = now - max_age end
  end
  if is_over or min_at > 0 then first, bytes = trim(log, first, top, bytes, most, most_bytes, min_at) end

  local kept_for = max_age + DAY_MS
  if run ~= server or first ~= stored_first or looks_for_aged or was_empty or tonumber(keep) ~= kept_for then
    redis.call('HSET', position, 'epoch', epoch, 'first', first, 'run', server, 'forks', forks, 'aged', aged,
      'keep', kept_for, 'born', born)
    -- What counts is `until`. The keys last until this is done again, and as long as that.
    redis.call('PEXPIRE', log, max_age + slack)
    redis.call('PEXPIRE', position, kept_for + slack)
  end
end

local answer = epoch .. '\t' .. top .. '\t' .. results
local kept_answer = sequence .. '\t' .. at .. '\t' .. answer
if accepted then
  redis.call('HSET', position, 'top', top, 'bytes', bytes, 'until', now + max_age, writer, kept_answer)
  redis.call(PUBLISH, string.sub(position, 1, -5), table.concat(out))
  if IDLE_MS > 0 then
    load_record()
    if state == 'free' then idle_from_now(string.match(position, '^(.-}:)s:(.*):pos$')) end
  end
else
  redis.call('HSET', position, writer, kept_answer)
end
-- Ten fields are not writers.
if not answered and redis.call('HLEN', position) > MAX_WRITERS + 10 then prune_writers() end
return answer
