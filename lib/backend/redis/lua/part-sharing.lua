-- A fair share: how many branches of a lane one session takes while others wait for such work. Hides which sessions count and how the shares are
-- found.
-- Gives: shareOf
-- Needs:
--   sessions: comingSessions heldBy waitingSessions
--   waking: mayTake

-- The other sessions that could take the group and wait, or were notified a moment ago, with what they hold.
local function idleFor(g, session, shareMs)
  local others = {}
  for _, list in ipairs({ waitingSessions(), comingSessions(shareMs) }) do
    for _, other in ipairs(list) do
      if other.session ~= session and mayTake(other, g) then
        others[#others + 1] = other
      end
    end
  end
  for _, other in ipairs(others) do
    other.held = heldBy(other.session)
  end
  return others
end

-- So many that this session and those with room that wait, or come, would hold equally many branches in the end: at most `most`. `g` is the
-- first group of the lane; `taken` were taken in this call before.
function shareOf(g, session, most, taken, readyInLane, shareMs)
  local others = readyInLane >= 2 and idleFor(g, session, shareMs) or {}
  if #others == 0 then
    return most
  end
  local mine = heldBy(session) + taken
  local top = mine
  for _, other in ipairs(others) do
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
