-- Flags: no-writes
-- Needs:
--   base: shardNumber
--   group: load specOf
-- What groups are like now. One that cannot be read is left out.
-- KEYS: T:m
-- Derives: T:b:<gid>
-- ARGV: gids
-- Answers: a list for each group that is there: gid, state (o, r, w), size, ready, delayed, granted, succeeded, failed, dead, withdrawn, opened,
--   closed (0: not yet), spec
local answers = {}

local function readable(gid)
  local g = load(gid)
  return g, g and specOf(g)
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
      g.closed > 0 and g.closed - ahead or 0, spec }
  end
end
return answers
