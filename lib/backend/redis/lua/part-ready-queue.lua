-- Lanes: the groups of one queue that ask the same of a worker, in the order of service. A lane is named by a digest of what it asks, so that
-- its name means the same whatever else is lost. Hides which lanes are known to workers, and which have groups.
-- Gives: laneOf laneFor needIn relane isGrantable firstOf readyIn registerLane commitLanes
-- Needs:
--   base: many nowMicros readHint setShard shardNumber shardValue whole
--   group: asCounted groupOrder load readyOf specOf
-- By name: what a lane asks. Fields for T:l.
local lanes, newLanes = {}, {}
-- By demand: the name; and by name what the demand says, which nothing changes. Kept from call to call.
local names, demands, namesKnown = {}, {}, 0

function begin_ready_queue()
  if next(lanes) then lanes = {} end
  if newLanes[1] then newLanes = {} end
end

local function laneFrom(demand)
  local queue, requires, tasks = match(demand, '^([^|]*)|([^|]*)|(.*)$')
  return { queue = queue, requires = requires, tasks = tasks, demand = demand }
end

-- What a lane asks of a worker: queue, and lists of capabilities and tasks.
function laneOf(lane)
  local known = lanes[lane]
  if not known then
    known = laneFrom(match(readHint('HGET', T .. ':l', lane) or '', '^%d+\t(.*)$') or '||')
    lanes[lane] = known
  end
  return known
end

local function nameFor(demand)
  local name = names[demand]
  if not name then
    if namesKnown >= 1000 then
      names, demands, namesKnown = {}, {}, 0
    end
    name = sub(redis.sha1hex(demand), 1, 12)
    names[demand], demands[name], namesKnown = name, laneFrom(demand), namesKnown + 1
  end
  lanes[name] = lanes[name] or demands[name]
  return name
end

-- The lane for what a group in ARGV asks of a worker.
function laneFor(ARGV, at)
  return nameFor(ARGV[at + 3] .. '|' .. ARGV[at + 4] .. '|' .. ARGV[at + 5])
end

-- What a group that is there asks, out of its spec; of `need`, names of code, in place of its tasks.
local function demandBySpec(g, need)
  local spec = cjson.decode(specOf(g))
  local requires, tasks = spec.requires, spec.tasks
  table.sort(requires)
  table.sort(tasks)
  return spec.queue .. '|' .. concat(requires, ' ') .. '|' .. (need or concat(tasks, ' '))
end

-- Names of code as they travel: behind a `|`; nil where nothing is said of them.
function needIn(argument)
  return argument ~= '' and sub(argument, 2) or nil
end

-- What a root asks once a driver was lost, if a driver said so; false when none did.
local function needOf(root)
  return root.need or call('HGET', root.b, 'need')
end

-- What a group that is there asks: only where its lane is not known any more.
local function demandOf(g)
  local demand = demandBySpec(g)
  local need = g.isRoot and nameFor(demand) ~= g.lane and needOf(g)
  return need and demandBySpec(g, need) or demand
end

-- From now on a root of which nothing is ready stands in the lane of what is left of it, and a group that was opened again in that of its spec.
function relane(root)
  local need = needOf(root)
  local lane = (need or root.isReopened) and nameFor(demandBySpec(root, need)) or root.lane
  if lane ~= root.lane then
    root.laneBefore = root.laneBefore or root.lane
    root.lane = lane
  end
end

-- From now on, workers that ask for new lanes get the lane of `g`.
function registerLane(lane, g)
  local known = lanes[lane]
  if not known or known.demand == '||' then
    local isFine, demand = pcall(demandOf, g)
    if not isFine then
      return
    end
    known = laneFrom(demand)
    lanes[lane] = known
  end
  local number = whole((tonumber(shardValue('lanes')) or nowMicros()) + 1)
  setShard('lanes', number)
  setShard('kinds', whole(shardNumber('kinds') + 1))
  local at = #newLanes
  newLanes[at + 1], newLanes[at + 2], newLanes[at + 3], newLanes[at + 4] = lane, number .. '\t' .. known.demand, '#' .. number, lane
end

-- Whether something of the group can be granted now. What its run forbids (paused, over, abandoned) acquire finds out: such a group is barred.
-- `ready`: how many are ready, where the caller knows.
function isGrantable(g, ready)
  return g.state == 'o' and (ready or readyOf(g)) > 0 and (g.limit == 0 or g.inFlight < g.limit) and not (g.isBarred or g.isOpeners)
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
      ready = ready + asCounted(g, readyOf(g)) - g.readyBefore
    end
  end
  return ready
end

function commitLanes()
  if newLanes[1] then many('HSET', T .. ':l', newLanes) end
end
