#!lua
-- Renews entries of live connections, and makes those that are missing.
-- KEYS: index, then the members of each entry's session
-- ARGV: session id, connection and principal of each
-- Returns nothing. Publishes `joined` for principals that were missing.
-- include: presence-entry.lua
for i = 2, #KEYS do
  local at = 3 * i - 5
  enter(KEYS[i], ARGV[at], ARGV[at + 1], ARGV[at + 2])
end
