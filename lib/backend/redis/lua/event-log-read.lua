-- Flags: no-writes
-- Needs:
--   event-log: eventLog
-- What was kept behind a position: of all that happens in the store, or of what was seen of one run.
-- KEYS: T:m
-- Derives: T:ev T:ev:<run> T:es:<run>
-- ARGV: run ('' all that happens), position ('' none, then no entries), most entries
-- Answers: a list: whether what happens is kept (0 or 1), the positions of the first and the last entry ('' none), what was seen last of the run (''
--   nothing), then of each entry its position and its fields
local run, after, most = ARGV[1], ARGV[2], ARGV[3]
local key = run == '' and T .. ':ev' or T .. ':ev:' .. run

-- `found` is what XREAD answers for one stream.
local function entriesIn(found)
  return found and not found.err and found[1] and found[1][2] or {}
end

local function readEvents()
  local first = entriesIn(tryCall('XREAD', 'COUNT', 1, 'STREAMS', key, '0'))[1]
  local last = first and call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  local seen = run ~= '' and tryCall('GET', T .. ':es:' .. run)
  local answer = { eventLog.isKept() and 1 or 0, first and first[1] or '', last and last[1] or '', type(seen) == 'string' and seen or '' }
  if first and after ~= '' then
    for _, entry in ipairs(entriesIn(call('XREAD', 'COUNT', most, 'STREAMS', key, after))) do
      answer[#answer + 1] = entry
    end
  end
  return answer
end

return readEvents()
