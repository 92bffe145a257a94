#!lua
-- KEYS: sorted set of nodes by when they were last heard of, hash of what they said
-- ARGV: after how many ms of silence a node is forgotten
-- Returns for each node what it said and for how many ms it has been silent.
-- include: time.lua
local nodes = {}
local heard = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now - ARGV[1]), '+inf', 'WITHSCORES')
for i = 1, #heard, 2 do
  local said = redis.call('HGET', KEYS[2], heard[i])
  if said then nodes[#nodes + 1] = { said, math.max(0, now - heard[i + 1]) } end
end
return nodes
