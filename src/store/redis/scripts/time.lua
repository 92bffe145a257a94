-- The store's clock, read once. Names in capitals are settings, which scripts.ts writes in as literals.
-- Numbers of ms are exact in any form. Epochs are numbers of µs, too long for tostring: they stay the strings that they
-- are stored as, and only a new one is computed.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
