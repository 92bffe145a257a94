-- Where the messages of a session stand. With append.lua, truncate.lua and history.lua it mirrors src/session/history.ts;
-- the contract suite holds the two together.
-- The hash: epoch; top, the last offset given; first, the oldest that is kept; bytes, of what is kept; run, what
-- server_run gave at the last offset; forks, "epoch:offset,…", the newest first; until, when the log's TTL ends (ms); aged,
-- when to look for messages that are too old (ms); keep, the hash's own TTL (ms); born, its first epoch; w:<writer>, the
-- last answer to a writer. A field that is absent is 0 or ''. The hash outlives the log: offsets go on.
-- include: time.lua
local DAY_MS = 86400000

local function stream_text(epoch, top, first, forks)
  return epoch .. '\t' .. top .. '\t' .. first .. '\t' .. forks
end

-- @return epoch, top, first and forks, separated by tabs; nil when the session has none
local function stored_stream(position)
  local epoch, top, first, ends_at, forks = unpack(
    redis.call('HMGET', position, 'epoch', 'top', 'first', 'until', 'forks'))
  if not epoch then return nil end
  top = top or 0
  if tonumber(ends_at or 0) <= now then first = top + 1 end
  return stream_text(epoch, top, first, forks or '')
end

-- What names this server's run of the data. A restart and every promotion change it, also that of a master which another
-- had replaced meanwhile; each may have lost what was written last.
local function server_run()
  local info = redis.call('INFO', 'replication')
  local _, ends = string.find(info, 'master_replid:', 1, true)
  return string.sub(info, ends + 1, ends + 40)
end

-- With the run, though no offset was given yet: a run that lost the first ones finds the stream as it is now.
local function begin_stream(position, keep)
  local epoch = string.format('%.0f', now_us)
  redis.call('HSET', position, 'epoch', epoch, 'run', server_run())
  redis.call('PEXPIRE', position, keep)
  return epoch
end

-- The same; a session that has none gets its first.
local function stream_of(position)
  return stored_stream(position) or stream_text(begin_stream(position, DAY_MS), 0, 1, '')
end
