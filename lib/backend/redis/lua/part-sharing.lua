-- A fair share: how many branches of a lane one session takes while others wait for such work. Hides who counts and how the shares are found.

-- Sessions that were notified a moment ago and have not asked since.
local function comingSessions(shareMs)
  local found = {}
  for _, session in ipairs(call('ZRANGEBYSCORE', T .. ':wait', -now(), -(now() - shareMs), 'LIMIT', 0, MOST_WAITING)) do
    found[#found + 1] = { session = session }
  end
  return found
end

local function heldBy(session)
  local held = 0
  for _, count in ipairs(tryCall('HVALS', T .. ':o:' .. session)) do
    held = held + (tonumber(count) or 0)
  end
  return held
end

-- So many that this session and those with room that wait, or come, would hold equally many branches in the end: at most `most`. `g` is the
-- first group of the lane; `taken` were taken in this call before.
local function shareOf(g, session, most, taken, readyInLane, shareMs)
  local others = {}
  for _, list in ipairs({ waitingSessions(), comingSessions(shareMs) }) do
    for _, other in ipairs(list) do
      if other.session ~= session and mayTake(other, g) then
        others[#others + 1] = other
      end
    end
  end
  if #others == 0 or readyInLane < 2 then
    return most
  end
  local mine = heldBy(session) + taken
  local top = mine
  for _, other in ipairs(others) do
    other.held = heldBy(other.session)
    top = max(top, other.held)
  end
  local function room(level)
    local sum = min(most, max(0, level - mine))
    for _, other in ipairs(others) do
      sum = sum + min(other.free, max(0, level - other.held))
    end
    return sum
  end
  local low, high = 0, top + readyInLane
  if room(high) < readyInLane then
    return most
  end
  while high - low > 1 do
    local middle = floor((low + high) / 2)
    if room(middle) >= readyInLane then
      high = middle
    else
      low = middle
    end
  end
  return min(most, max(0, high - mine))
end

-- Branches ready in a lane, those included that became ready in this call.
local function readyIn(lane)
  local ready = shardNumber('n:' .. lane)
  for _, g in ipairs(groupOrder) do
    if g.isTouched and g.lane == lane then
      ready = ready + readyOf(g) - g.readyBefore
    end
  end
  return ready
end
