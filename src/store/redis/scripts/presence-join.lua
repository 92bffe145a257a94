#!lua
-- Enters a connection into a session.
-- KEYS: index, members
-- ARGV: session id, connection, principal
-- Returns who is there, as presence-members.lua says. Publishes `joined` for the first connection of its principal.
-- include: presence-entry.lua
-- include: presence-members.lua
enter(KEYS[2], ARGV[1], ARGV[2], ARGV[3])
return present(KEYS[2])
