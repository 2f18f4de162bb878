-- Who waits for work, what each could take, and whom to notify: one for each branch while those are few, and never nobody where somebody waits
-- beside work.

-- Of more than these, only as many are notified at once as have room for the branches; each that comes notifies the next.
local MOST_NOTIFIED = 16

local function laneFrom(demand)
  local queue, requires, tasks = match(demand, '^([^|]*)|([^|]*)|(.*)$')
  return { queue = queue, requires = requires, tasks = tasks }
end

-- What a lane asks of a worker: queue, and lists of capabilities and tasks.
local function laneOf(lane)
  local known = lanes[lane]
  if not known then
    known = laneFrom(call('HGET', T .. ':l', '#' .. lane) or '||')
    lanes[lane] = known
  end
  return known
end

-- Whether a text of names with commas around each has all these (with spaces between); `*` has all.
local function hasAll(have, wanted)
  if have == '*' or wanted == '' then
    return true
  end
  for name in gmatch(wanted, '%S+') do
    if not find(have, ',' .. name .. ',', 1, true) then
      return false
    end
  end
  return true
end

-- Sessions that wait, longest first, with what they would take.
local function waitingSessions()
  if waiting then
    return waiting
  end
  waiting = {}
  for _, session in ipairs(call('ZRANGEBYSCORE', T .. ':wait', 0, '+inf', 'LIMIT', 0, MOST_WAITING)) do
    waiting[#waiting + 1] = { session = session }
  end
  return waiting
end

-- Whether a group is reserved for a live worker other than this one.
local function isHeldForOther(g, base)
  if g.affinity == '' or g.affinityUntil <= now() or base == g.affinity then
    return false
  end
  return (tonumber((tryCall('HGET', T .. ':wb', g.affinity))) or 0) - (leaving[g.affinity] or 0) > 0
end

local function mayTake(waiter, g)
  if waiter.isNotified then
    return false
  end
  if waiter.free == nil then
    local values = tryCall('HMGET', T .. ':wi:' .. waiter.session, 'wait', 'tasks', 'base')
    local free, deeper, queues, capabilities, quick, acceptsPush = match(values[1] or '', '^!?(%d+)\t(%d+)\t([^\t]*)\t([^\t]*)\t?([^\t]*)\t?([^\t]*)$')
    waiter.wait, waiter.quick, waiter.acceptsPush = values[1], quick or '', acceptsPush == '1'
    waiter.free, waiter.deeper, waiter.queues, waiter.capabilities = tonumber(free) or 0, tonumber(deeper) or 0, queues or '', capabilities or ''
    waiter.tasks, waiter.base = values[2] or '', values[3] or ''
  end
  local lane = laneOf(g.lane)
  return waiter.free > 0 and hasAll(waiter.queues, lane.queue) and hasAll(waiter.capabilities, lane.requires) and hasAll(waiter.tasks, lane.tasks)
    and (waiter.deeper == 0 or g.depth > waiter.deeper) and not isHeldForOther(g, waiter.base)
end

-- Whether branches of this lane are not worth sharing: all their tasks are among these (,a,b,).
local function isQuick(quick, lane)
  return #quick > 2 and hasAll(quick, laneOf(lane).tasks)
end

local function notifyWork(waiter)
  waiter.isNotified = true
  notified[#notified + 1] = waiter
  notify(waiter.session, 'work')
end

-- Wakes some for `count` branches of the group.
local function notifyFor(g, count)
  if not isGrantable(g) or shardValue('p:' .. laneOf(g.lane).queue) == '1' then
    return
  end
  local wanted = g.limit == 0 and min(count, readyOf(g)) or min(count, g.limit - g.inFlight)
  local free, number = 0, 0
  for _, waiter in ipairs(waitingSessions()) do
    if number >= wanted or (number >= MOST_NOTIFIED and free >= wanted) then
      return
    end
    if mayTake(waiter, g) then
      free, number = free + waiter.free, number + (isQuick(waiter.quick, g.lane) and waiter.free or 1)
      notifyWork(waiter)
    end
  end
end

-- Groups that stand first in a lane, as far as they can be read.
local function firstOf(lane, count)
  local found = {}
  for _, gid in ipairs(call('ZRANGE', T .. ':q:' .. lane, 0, count - 1)) do
    local isFine, g = pcall(load, gid)
    if isFine and g then
      found[#found + 1] = g
    end
  end
  return found
end

-- Offers what is ready to who waits: all of it, or one waiting session (`isOne`) that could take what the others left.
local function notifyAll(isOne)
  if #waitingSessions() == 0 or shardNumber('ready') <= 0 then
    return
  end
  for lane = 1, shardNumber('lanes') do
    if shardNumber('n:' .. lane) > 0 then
      for _, g in ipairs(firstOf(lane, 16)) do
        local before = #notified
        local isFine, run = pcall(loadRun, g.run)
        if isFine and run and not run.isPaused and not run.isEnded then
          notifyFor(g, isOne and 1 or readyOf(g))
        end
        if isOne and #notified > before then
          return
        end
      end
    end
  end
end
