-- What happens to grants, told in the audit stream of the login's partition.
-- KEYS: the grant, the audit stream; ARGV[1] is the login's handle.
-- include: login-audit.lua
local function note(kind, generation)
  local provider = redis.call('HGET', KEYS[1], 'provider')
  audit(KEYS[2], ARGV[1], kind, { 'provider', provider, 'grant_generation', generation })
end
