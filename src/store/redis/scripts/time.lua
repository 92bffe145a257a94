-- The store's clock, read once, and ARGV[1]: the JSON of the timings (src/session/ports.ts) and of `publish`.
local context = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(now_us / 1000)

-- Epochs exceed what tostring and cjson print exactly.
local function text(number)
  return string.format('%.0f', number)
end
