-- What is ready, and which sessions are notified of it: one for each branch while those are few, and never none where a session waits beside
-- work.
-- Gives: addReady reopenLimit notifyLater dropNotifications isAnyToNotify notifyNext notifyAll notifyWork lessenWait mayTake isHeldForOther
--   MOST_NOTIFIED notifyPlanned isAnyNotified commitNotified
-- Needs:
--   base: notify now shardNumber shardValue whole
--   group: isOneTask readyOf
--   ready-queue: firstOf isGrantable laneOf
--   run: loadRun
--   sessions: hasAll isBaseThere isQuick passOver waitOf waitingSessions
--   wide-lanes: wideLanes
-- After so many sessions, no more are notified than have room for the branches; each session that acquires notifies the next.
MOST_NOTIFIED = 16
-- Branches to be offered once all is known; sessions that got a notice; those that can take less than before.
local notifications, notified, lessened = {}, {}, {}

function begin_waking()
  if notifications[1] then notifications = {} end
  if notified[1] then notified = {} end
  if lessened[1] then lessened = {} end
end

-- Offers `count` branches of the group to waiting sessions, once all is known.
function notifyLater(g, count)
  if count > 0 then
    notifications[#notifications + 1] = { g, count }
  end
end

function dropNotifications()
  notifications = {}
end

function isAnyToNotify()
  return notifications[1] ~= nil
end

function isAnyNotified()
  return notified[1] ~= nil
end

-- These many branches became ready: they are offered to sessions that wait.
function addReady(g, count)
  if count > 0 then
    if g.readyBefore == 0 or readyOf(g) == count then
      g.since = now()
    end
    notifyLater(g, count)
  end
end

-- Room under the group's limit came free.
function reopenLimit(g)
  if g.limit > 0 and not g.isQueued and g.state == 'o' then
    notifyLater(g, readyOf(g))
  end
end

-- Whether a group is reserved for a live worker other than this one.
function isHeldForOther(g, base)
  return g.affinity ~= '' and g.affinityUntil > now() and base ~= g.affinity and isBaseThere(g.affinity)
end

-- Whether a session that waits may be granted branches of the group.
function mayTake(waiter, g)
  if waiter.isNotified then
    return false
  end
  waitOf(waiter)
  local lane = laneOf(g.lane)
  return waiter.free > 0 and hasAll(waiter.queues, lane.queue) and hasAll(waiter.capabilities, lane.requires)
    and wideLanes.knows(waiter.tasks, g.lane, waiter.isForTasks and 'all' or nil) and (not waiter.isForTasks or isOneTask(g))
    and (waiter.deeper == 0 or g.depth > waiter.deeper) and not isHeldForOther(g, waiter.base)
end

function notifyWork(waiter)
  waiter.isNotified = true
  notified[#notified + 1] = waiter
  notify(waiter.session, 'work')
end

-- A session that waits can take less than before.
function lessenWait(waiter, count)
  waiter.free = waiter.free - count
  waiter.wait = whole(waiter.free) .. waiter.rest
  lessened[#lessened + 1] = waiter
end

-- Notifies waiting sessions for `count` branches of the group.
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

-- Offers up to `most` ready branches of a group, unless its run stands still.
local function offer(g, most)
  local isFine, run = pcall(loadRun, g.run)
  if isFine and run and not run.isPaused and not run.isEnded then
    notifyFor(g, most)
  end
end

local function isAnyReady()
  return #waitingSessions() > 0 and shardNumber('ready') > 0
end

-- Offers all that is ready to sessions that wait: after a change that is not about one group.
function notifyAll()
  if not isAnyReady() then
    return
  end
  for lane in gmatch(shardValue('act') or ',', '%x+') do
    for _, g in ipairs(firstOf(lane, 16)) do
      offer(g, readyOf(g))
    end
  end
end

-- Notifies one waiting session that could take what `asking` has left: each that comes notifies the next.
function notifyNext(asking)
  passOver(asking)
  if not isAnyReady() then
    return
  end
  for lane in gmatch(shardValue('act') or ',', '%x+') do
    for _, g in ipairs(firstOf(lane, 16)) do
      local before = #notified
      offer(g, 1)
      if #notified > before then
        return
      end
    end
  end
end

-- Does what `notifyLater` has put off.
function notifyPlanned()
  if notifications[1] and #waitingSessions() > 0 then
    for i = 1, #notifications do
      notifyFor(notifications[i][1], notifications[i][2])
    end
  end
end

function commitNotified()
  for i = 1, #notified do
    local waiter = notified[i]
    call('ZADD', T .. ':wait', 'XX', '-' .. whole(now()), waiter.session)
    call('HSET', T .. ':wi:' .. waiter.session, 'wait', '!' .. waiter.wait)
  end
  for i = 1, #lessened do
    call('HSET', T .. ':wi:' .. lessened[i].session, 'wait', lessened[i].wait)
  end
end
