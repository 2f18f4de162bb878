-- Lanes: the groups of one queue that ask the same of a worker, in the order of service. Hides how lanes are numbered.
-- Gives: laneOf demandOf laneNumber isGrantable firstOf readyIn commitLanes
-- Needs:
--   base: many setShard shardNumber whole
--   group: groupOrder load readyOf
-- By number: what a lane asks. By demand: the number of a new lane. Fields for T:l.
local lanes, opened, newLanes = {}, {}, {}

function begin_ready_queue()
  if next(lanes) then lanes = {} end
  if next(opened) then opened = {} end
  if newLanes[1] then newLanes = {} end
end

local function laneFrom(demand)
  local queue, requires, tasks = match(demand, '^([^|]*)|([^|]*)|(.*)$')
  return { queue = queue, requires = requires, tasks = tasks }
end

-- What a lane asks of a worker: queue, and lists of capabilities and tasks.
function laneOf(lane)
  local known = lanes[lane]
  if not known then
    known = laneFrom(call('HGET', T .. ':l', '#' .. lane) or '||')
    lanes[lane] = known
  end
  return known
end

-- What a group asks of a worker, as T:l has it.
function demandOf(ARGV, at)
  return ARGV[at + 3] .. '|' .. ARGV[at + 4] .. '|' .. ARGV[at + 5]
end

-- The number of the lane for a demand, `known` by T:l or false; a new one is added.
function laneNumber(demand, known)
  local number = known or opened[demand]
  if not number then
    number = whole(shardNumber('lanes') + 1)
    setShard('lanes', number)
    local at = #newLanes
    newLanes[at + 1], newLanes[at + 2], newLanes[at + 3], newLanes[at + 4] = demand, number, '#' .. number, demand
    opened[demand] = number
  end
  if not lanes[number] then
    lanes[number] = laneFrom(demand)
  end
  return number
end

-- Whether something of the group can be granted now. What its run forbids (paused, over) acquire finds out.
function isGrantable(g)
  return g.state == 'o' and readyOf(g) > 0 and (g.limit == 0 or g.inFlight < g.limit) and not g.isParked
end

-- Groups that stand first in a lane, as far as they can be read.
function firstOf(lane, count)
  local found = {}
  for _, gid in ipairs(call('ZRANGE', T .. ':q:' .. lane, 0, count - 1)) do
    local isFine, g = pcall(load, gid)
    if isFine and g then
      found[#found + 1] = g
    end
  end
  return found
end

-- Branches ready in a lane, those included that became ready in this call.
function readyIn(lane)
  local ready = shardNumber('n:' .. lane)
  for _, g in ipairs(groupOrder) do
    if g.isTouched and g.lane == lane then
      ready = ready + readyOf(g) - g.readyBefore
    end
  end
  return ready
end

function commitLanes()
  if newLanes[1] then many('HSET', T .. ':l', newLanes) end
end
