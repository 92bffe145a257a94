-- The audit stream of a partition: an entry holds handle, kind and time of the event, then its fields.
-- include: time.lua
local function audit(stream, handle, kind, fields)
  redis.call('XADD', stream, 'MAXLEN', '~', MAX_AUDIT_EVENTS, '*', 'handle', handle, 'kind', kind, 'at', now,
    unpack(fields))
end
