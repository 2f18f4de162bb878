-- Parked branches: nobody holds them, and nothing of them is ready until what they wait for is there. Waking one only makes it ready: whoever gets
-- it sees for itself whether it can go on, so that an early or doubled wake is harmless. In the table such a branch is delayed, with a flag; in
-- field `w` of its group is how many there are, and in `q<index>` what ends it, beside a wait.
-- Gives: parking
-- Needs:
--   base: activity now notify whole
--   branch-table: DELAYED HAS_CHILDREN HAS_PARK HAS_SAVED IS_PARKED READY cellOf isParked lastingFlags setCells
--   children: childrenOf
--   drivers: loseDriver
--   due-queue: wakes
--   group: isClosedBy load loadReadable packing touch
--   retries: requeue
--   run: WAITING loadRun standings setRun
--   waking: addReady
-- A function of its own: Lua has room for 200 names in one, and the parts around have taken nearly all.
(function()
-- When it is ready at the latest, or -1; when its group is looked at, and how long that is after the look before. Behind it: the gid of the group.
local RECORD, RECORD_BYTES = '<ddd', 24
-- A group that a parked branch waits for may be closed by a release that does not know of it: so it is looked at, ever less often.
local FIRST_LOOK_MS, LAST_LOOK_MS = 60000, 3600000
-- Of the flags of a cell: that of tasks in hand.
local HAS_TASK = 4
-- Stands in place of the session that waits for a group: the branch that opened it is parked.
local PARKED = '~'

local function entryOf(g, index)
  return concat({ g.run, '\t~', whole(index), '\t', g.gid })
end

local function setParked(g, change)
  g.parkedBefore = g.parkedBefore or g.parked
  g.parked, g.isParkedChanged = g.parked + change, true
end

local function setRecord(g, index, record)
  touch(g)
  g.taskChanges = g.taskChanges or {}
  g.taskChanges['q' .. whole(index)] = record
end

-- The branch waits until it is woken; `dueMs`: ready at the latest then, or -1; `until`: a group of its own, or ''. Its cell as it was.
local function park(g, index, cell, dueMs, gid)
  local _, errors, losses, flags = byte(cell, 1, 4)
  local due = dueMs >= 0 and now() + dueMs or -1
  local hasRecord = due >= 0 or gid ~= ''
  flags = lastingFlags(flags) % HAS_SAVED + HAS_SAVED + IS_PARKED + (hasRecord and HAS_PARK or 0)
  setCells(g, index, char(DELAYED, errors, losses, flags) .. sub(cell, 5))
  setParked(g, 1)
  if hasRecord then
    local look = gid ~= '' and now() + FIRST_LOOK_MS or HUGE
    setRecord(g, index, pack(RECORD, due, look, FIRST_LOOK_MS) .. gid)
    wakes.plan(due >= 0 and min(due, look) or look, entryOf(g, index))
  end
  if flags % 4 >= HAS_CHILDREN then
    for child in gmatch(childrenOf(g, index), '[^\n]+') do
      child = loadReadable(child)
      if child and child.state == 'o' then
        touch(child)
        child.inbox = PARKED
      end
    end
  end
  if g.isRoot then
    local run = loadRun(g.run)
    setRun(run, 'driver', '')
    setRun(run, 'parked', '1')
    standings.relist(run, WAITING)
    if not hasRecord and not g.hasChildren and g.inline and g.inline ~= '' and flags % 8 < HAS_TASK then
      packing.allow(g)
    end
    activity(g.run, 'state', g.run)
  end
end

-- Makes a parked branch ready; one that is not parked, or whose group is closed, stays as it is.
local function wake(g, index)
  local cell = g.state == 'o' and cellOf(g, index)
  if not cell or not isParked(cell) then
    return
  end
  touch(g)
  local _, errors, losses, flags = byte(cell, 1, 4)
  if flags >= HAS_PARK then
    wakes.unplan(entryOf(g, index))
    setRecord(g, index, false)
  end
  requeue(g, index, char(READY, errors, losses, lastingFlags(flags)) .. sub(cell, 5))
  setParked(g, -1)
  if g.isRoot then
    local run = loadRun(g.run)
    setRun(run, 'parked', '0')
    loseDriver(g, run, true)
  end
  addReady(g, 1)
end

-- What is planned for a parked branch is due: its deadline, or a look at the group that it waits for.
local function wakeByTime(gid, index)
  local g = load(gid)
  local cell = g and g.state == 'o' and cellOf(g, index)
  local record = cell and isParked(cell) and call('HGET', g.b, 'q' .. whole(index))
  if not record then
    return
  end
  local due, look, interval = unpackBytes(RECORD, record)
  local child = sub(record, RECORD_BYTES + 1)
  local s = child ~= '' and call('HGET', T .. ':b:' .. child, 's')
  if due >= 0 and due <= now() or child ~= '' and (not s or isClosedBy(s)) then
    wake(g, index)
    return
  end
  if look <= now() then
    interval = min(interval * 2, LAST_LOOK_MS)
    look = now() + interval
    setRecord(g, index, pack(RECORD, due, look, interval) .. child)
  end
  wakes.plan(due >= 0 and min(due, look) or look, entryOf(g, index))
end

-- Whether a group has this in place of a session: the branch that opened it is parked.
local function isParkedFor(inbox)
  return inbox == PARKED
end

-- What is planned for a parked branch is planned anew, where it is known; whether it is.
local function wakeAgain(g, index)
  local record = call('HGET', g.b, 'q' .. whole(index))
  if not record or #record < RECORD_BYTES then
    return false
  end
  local due, look = unpackBytes(RECORD, record)
  local at = due >= 0 and min(due, look) or look
  if at == HUGE or at ~= at then
    return false
  end
  wakes.plan(at, entryOf(g, index))
  return true
end

-- So many branches were found to be parked, those included that were woken since.
local function recountParked(g, count)
  local woken = g.isParkedChanged and g.parkedBefore - g.parked or 0
  setParked(g, count - woken - g.parked)
end

-- Whether all branches that are left of an open group are parked.
local function isIdle(g)
  return g.state == 'o' and g.parked > 0 and g.parked == g.left
end

-- Notifies the holder of the branch that opened the group where it is idle.
local function noteIdle(g)
  if isIdle(g) and g.inbox ~= '' and g.inbox ~= PARKED then
    notify(g.inbox, 'idle', g.gid)
  end
end

parking = { park = park, wake = wake, wakeByTime = wakeByTime, wakeAgain = wakeAgain, recountParked = recountParked, isParkedFor = isParkedFor,
  isIdle = isIdle, noteIdle = noteIdle }
end)()
