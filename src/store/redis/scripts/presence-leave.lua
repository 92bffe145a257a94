#!lua
-- The connections are gone: their entries end after the grace period.
-- KEYS: index, then the members of each entry's session
-- ARGV: grace in ms, then session id and connection of each
-- Returns nothing. Without grace it publishes `left` for the last connection of a principal.
-- include: presence-entry.lua
local grace = tonumber(ARGV[1])
for i = 2, #KEYS do
  local id, connection = ARGV[2 * i - 2], ARGV[2 * i - 1]
  if grace == 0 then
    finish(KEYS[i], id, connection)
  elseif redis.call('HEXISTS', KEYS[i], 'c:' .. connection) == 1 then
    redis.call('ZADD', KEYS[1], now + grace, id .. ' ' .. connection)
    keep(KEYS[i], grace + PRESENCE_TTL_MS)
    keep(KEYS[1], grace + PRESENCE_TTL_MS)
  end
end
