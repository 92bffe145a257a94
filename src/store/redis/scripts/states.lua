#!lua
-- Where the messages of many sessions stand. Keeps that from expiring; a session that has no position gets its first.
-- KEYS: positions. ARGV: none.
-- Returns for each: epoch, top, first and forks, separated by tabs. Publishes nothing.
-- include: stream.lua
local states = {}
for i = 1, #KEYS do
  states[i] = stream_of(KEYS[i])
  local keep = redis.call('HGET', KEYS[i], 'keep') or DAY_MS
  if redis.call('PTTL', KEYS[i]) < keep / 2 then redis.call('PEXPIRE', KEYS[i], keep) end
end
return states
