-- Flags: no-writes
-- Needs:
--   base: now whole
-- What all lanes have, and since when the oldest group of each has waited. In a lane, groups of one priority and depth stand in the order of their
-- opening, so the first of each such class are asked: at most 8 of a class, and of all lanes together about 256 (at least one of each lane).
-- KEYS: T:m
-- Derives: T:l T:q:<lane> T:b:<gid>
-- ARGV: none
-- Answers: now, the fields of T:m, the fields of T:l, then a list of lane and time in turn
-- Groups whose scores are within one multiple of this are of one class (part-opening).
local CLASS, MOST_OF_CLASS, MOST = 549755813888, 8, 256
local lanes = {}
for lane in gmatch(call('HGET', M, 'act') or '', '%x+') do
  lanes[#lanes + 1] = lane
end
local mostOfLane = max(1, floor(MOST / max(1, #lanes)))

-- The groups of a lane that are asked.
local function firstIn(lane)
  local found, from, most = {}, '-inf', min(MOST_OF_CLASS, mostOfLane)
  while #found < mostOfLane do
    local page = call('ZRANGEBYSCORE', T .. ':q:' .. lane, from, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
    for i = 1, #page, 2 do
      found[#found + 1] = page[i]
    end
    if #page < most * 2 then
      break
    end
    from = whole((floor(tonumber(page[#page]) / CLASS) + 1) * CLASS)
  end
  return found
end

local function oldestOf(gids)
  local since
  for _, gid in ipairs(gids) do
    local state = tryCall('HGET', T .. ':b:' .. gid, 's')
    -- a state begins with when its branches became ready (part-group)
    local mine = type(state) == 'string' and #state > 8 and (unpackBytes('<d', state))
    if mine and (not since or mine < since) then
      since = mine
    end
  end
  return since
end

local oldest = {}
for _, lane in ipairs(lanes) do
  local since = oldestOf(firstIn(lane))
  if since then
    oldest[#oldest + 1], oldest[#oldest + 2] = lane, since
  end
end
return { now(), call('HGETALL', M), call('HGETALL', T .. ':l'), oldest }
