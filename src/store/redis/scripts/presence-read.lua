#!lua flags=no-writes
-- KEYS: members. ARGV: none.
-- Returns who is there, as presence-members.lua says. Publishes nothing.
-- include: presence-members.lua
return present(KEYS[1])
