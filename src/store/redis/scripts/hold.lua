#!lua
-- Holds sessions whose owner's connection is gone. Acts only on a record that is owned by exactly that lease.
-- KEYS: deadlines, meta, then the records
-- ARGV: context, how long to hold in ms, then session id, connection and epoch of each record
-- Returns a letter for each: h held, n nothing done. Publishes `disconnected` for each that is held now.
-- include: record.lua
local results = {}
for i = 3, #KEYS do
  local at = 3 * (i - 2)
  local session = { id = ARGV[at], owner = KEYS[i] }
  local record = load(session)
  local holds = record.state == 'owned' and matches(record, ARGV[at + 1], tonumber(ARGV[at + 2]))
  if holds then
    local held = changed(record, { state = 'held', rev = record.rev + 1, deadline = now + ARGV[2] })
    save(session, held)
    publish(session, held, 'disconnected', record.connection)
  end
  results[#results + 1] = holds and 'h' or 'n'
end
return table.concat(results)
