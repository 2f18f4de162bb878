-- Flags: no-writes
-- Needs:
--   base: shardNumber
--   group: load specOf
--   tasks-in-hand: inHand
-- What groups are like now. One that cannot be read is left out.
-- KEYS: T:m
-- Derives: T:b:<gid>
-- ARGV: gids
-- Answers: a list for each group that is there: gid, state (o, r, w), size, ready, delayed, granted, succeeded, failed, dead, withdrawn, opened,
--   closed (0: not yet), spec, parked, ready since (0: nothing is), until when it is the preferred worker's (0: no more), the last error before a
--   delay behind its time ('': none), path and next start of tasks that wait in place
local answers = {}

local function readable(gid)
  local g = load(gid)
  return g, g and specOf(g)
end

local function waitsOf(g, ready, delayed, granted, ahead)
  if g.state ~= 'o' then
    return { 0, 0, 0, '', {} }
  end
  return { g.parked, ready > 0 and g.since > 0 and g.since - ahead or 0, g.affinityUntil > 0 and g.affinityUntil - ahead or 0,
    delayed > g.parked and call('HGET', g.b, 'why') or '', granted > 0 and inHand.waitingInPlace(g) or {} }
end

for _, gid in ipairs(ARGV) do
  local isFine, g, spec = pcall(readable, gid)
  if isFine and g then
    local succeeded, failed = g.size - g.left - g.failed, g.failed - g.dead
    local ahead = shardNumber('ahead')
    local ready, delayed, granted, withdrawn = g.left - g.delayed - g.parked - g.inFlight, g.delayed + g.parked, g.inFlight, 0
    if g.state ~= 'o' then
      ready, delayed, granted, withdrawn = 0, 0, 0, g.left
    end
    answers[#answers + 1] = { gid, g.state, g.size, ready, delayed, granted, succeeded, failed, g.dead, withdrawn, g.opened - ahead,
      g.closed > 0 and g.closed - ahead or 0, spec, unpack(waitsOf(g, ready, delayed, granted, ahead)) }
  end
end
return answers
