-- Who is in a session, at most 1,000 principals. Principals with many connections each make the search longer: it ends
-- after 16,000 fields.
-- @return rev, count, then principal and number of connections of each
local function present(members)
  local stored = redis.call('HMGET', members, 'rev', 'count')
  local reply, at = { stored[1] or '0', tonumber(stored[2] or 0) }, 2
  local full = 2 + 2 * math.min(reply[2], 1000)
  local cursor = '0'
  for _ = 1, 16 do
    local page = redis.call('HSCAN', members, cursor, 'MATCH', 'p:*', 'COUNT', 1000)
    for i = 1, #page[2], 2 do
      if at >= full then return reply end
      reply[at + 1], reply[at + 2] = string.sub(page[2][i], 3), tonumber(page[2][i + 1])
      at = at + 2
    end
    cursor = page[1]
    if cursor == '0' then break end
  end
  return reply
end
