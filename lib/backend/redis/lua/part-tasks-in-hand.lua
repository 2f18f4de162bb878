-- The task in hand of a branch: its holder reports the terms of the task, which then hold in place of the group's. Stands in
-- a field of its group, where the branch's cell says that there is one. Hides what is remembered of tasks before it, so that one that is started
-- again goes on counting where it stopped.
-- Gives: inHand
-- Needs:
--   base: now shardNumber whole
--   branch-table: HAS_OUTLASTED
--   children: childrenOf
--   due-queue: plan unplan
--   group: isClosedBy touch
-- A function of its own: Lua has room for 200 names in one, and the parts around have taken nearly all.
(function()
-- Errors, losses, losses counted for tasks of the branch, attempts, maxLosses; path ('' between two tasks), what the branch ends with where it is
-- lost or late, and what was counted for other tasks.
local RECORD, REPORT, OTHER = '<I4I4I4I4I4I4c0I4c0I4c0I4c0', '<I4I4I4I4ddI4c0I4c0I4c0', '<I4I4dI4c0'
-- Of the flags of a cell: under this grant or one before, its holder has reported its task.
local HAS_TASK = 4
-- So many other tasks of a branch are remembered.
local MOST_OTHERS = 32

local function othersIn(text)
  local others, at = {}, 1
  while at <= #text do
    local errors, losses, startsAt, path
    errors, losses, startsAt, path, at = unpackBytes(OTHER, text, at)
    others[#others + 1] = { errors = errors, losses = losses, startsAt = startsAt, path = path }
  end
  return others
end

-- What is known of the task of a branch, or nil.
local function heldTask(g, index, flags)
  if flags % 8 < HAS_TASK then
    return nil
  end
  g.tasks = g.tasks or {}
  local held = g.tasks[index]
  if held == nil then
    local record = call('HGET', g.b, 'k' .. whole(index))
    held = false
    if record then
      local errors, losses, counted, attempts, maxLosses, path, ifLost, ifLate, others = unpackBytes(RECORD, record)
      held = { errors = errors, losses = losses, counted = counted, attempts = attempts, maxLosses = maxLosses, path = path, ifLost = ifLost,
        ifLate = ifLate, others = othersIn(others) }
    end
    g.tasks[index] = held
  end
  return held or nil
end

-- `held` is written by `commit`; false: there is none any more.
local function setHeld(g, index, held)
  touch(g)
  local record = false
  if held then
    local others = {}
    for i, other in ipairs(held.others) do
      others[i] = pack(OTHER, other.errors, other.losses, other.startsAt, #other.path, other.path)
    end
    others = concat(others)
    record = pack(RECORD, held.errors, held.losses, held.counted, held.attempts, held.maxLosses, #held.path, held.path, #held.ifLost, held.ifLost,
      #held.ifLate, held.ifLate, #others, others)
  end
  g.tasks = g.tasks or {}
  g.tasks[index] = held
  g.taskChanges = g.taskChanges or {}
  g.taskChanges['k' .. whole(index)] = record
end

local function deadlineOf(g, index)
  return 'e ' .. g.gid .. '#' .. whole(index)
end

-- Another task comes, or this one is to wait: what was counted for it is kept, in case that it is started again.
local function putAside(held, startsAt)
  local others = held.others
  if held.path ~= '' and held.errors + held.losses > 0 then
    others[#others + 1] = { errors = held.errors, losses = held.losses, startsAt = startsAt or 0, path = held.path }
    if #others > MOST_OTHERS then
      table.remove(others, 1)
    end
  end
  held.path, held.errors, held.losses = '', 0, 0
end

-- `losses`: losses of the branch that were counted for no task, and were of this one. Gives when the delay before its next start is over.
local function takeUp(held, path, losses)
  held.path, held.errors, held.losses, held.counted = path, 0, losses, held.counted + losses
  for i, other in ipairs(held.others) do
    if other.path == path then
      held.errors, held.losses = other.errors, other.losses + losses
      table.remove(held.others, i)
      return other.startsAt
    end
  end
  return 0
end

-- A step reports the task that its holder starts now; `-`: the one before is over; '': it reports nothing. A report ends the deadline of the start
-- before. Gives what was counted for the task, or nil.
local function reportTask(g, index, flags, report, graceMs)
  local known = report ~= '' and heldTask(g, index, flags)
  if report == '' or (report == '-' and not known) then
    return nil
  end
  local held = known or { errors = 0, losses = 0, counted = 0, path = '', others = {} }
  if report == '-' then
    unplan(deadlineOf(g, index))
    putAside(held)
    setHeld(g, index, held)
    return nil
  end
  local errors, losses, attempts, maxLosses, timeoutMs, delayMs, path, ifLost, ifLate = unpackBytes(REPORT, report)
  local startsAt = 0
  if held.path ~= path then
    putAside(held)
    startsAt = takeUp(held, path, known and 0 or losses)
  end
  held.errors, held.attempts, held.maxLosses, held.ifLost, held.ifLate = max(held.errors, errors), attempts, maxLosses, ifLost, ifLate
  local counts = { errors = held.errors, losses = held.losses, waitMs = startsAt > 0 and startsAt - now() or 0 }
  if delayMs > 0 then
    putAside(held, now() + delayMs)
  end
  setHeld(g, index, held)
  if timeoutMs > 0 then
    plan(now() + timeoutMs + graceMs, deadlineOf(g, index))
  elseif known then
    unplan(deadlineOf(g, index))
  end
  return counts
end

-- Tasks of held branches that wait for their next start where the branch is: path and when in turn; of very many some.
local MOST_IN_PLACE, MOST_FIELDS = 100, 1000
local function waitingInPlace(g)
  local found = {}
  if call('HLEN', g.b) > MOST_FIELDS then
    return found
  end
  for _, field in ipairs(call('HKEYS', g.b)) do
    local index = match(field, '^k(%d+)$')
    local held = index and heldTask(g, tonumber(index), HAS_TASK)
    for _, other in ipairs(held and held.path == '' and held.others or {}) do
      if other.startsAt > now() and #found < MOST_IN_PLACE * 2 then
        found[#found + 1], found[#found + 2] = other.path, whole(other.startsAt - shardNumber('ahead'))
      end
    end
  end
  return found
end

-- The branch is not held any more: the start of its task has no deadline. What was counted stays, unless it is over.
local function endStart(g, index, flags, isOver)
  if flags % 8 < HAS_TASK then
    return
  end
  unplan(deadlineOf(g, index))
  if isOver then
    setHeld(g, index, false)
  end
end

-- Whether a group is open that the branch opened.
local function hasOpenChild(g, index)
  for gid in gmatch(childrenOf(g, index), '[^\n]+') do
    local s = call('HGET', T .. ':b:' .. gid, 's')
    if s and not isClosedBy(s) then
      return true
    end
  end
  return false
end

-- Whether the branch only waits for a group that it opened, with no task in hand: its holder has said so under this grant. Then the loss of the
-- holder says nothing about any task.
local function isWaiting(g, index, flags)
  if flags % 2 ~= HAS_OUTLASTED then
    return false
  end
  local held = heldTask(g, index, flags)
  return (not held or held.path == '') and hasOpenChild(g, index)
end

-- A grant of the branch was lost, its loss number `losses`: whether the branch is dead, and what it ends with. While a group is open that its task
-- opened, the work of that group may be what its workers are lost to: then the branch may be lost twice as often.
local function isDeadBy(g, index, flags, losses)
  local held = heldTask(g, index, flags)
  if not held or held.path == '' then
    local counted = losses - (held and held.counted or 0)
    return counted > g.losses and (counted > g.losses * 2 or not hasOpenChild(g, index)), ''
  end
  held.losses, held.counted = min(held.losses + 1, 255), held.counted + 1
  setHeld(g, index, held)
  return held.losses > held.maxLosses, held.ifLost
end

-- The start of its task took too long: whether its attempts are spent, and what it ends with. Nil where no task is in hand.
local function isSpentBy(g, index, flags)
  local held = heldTask(g, index, flags)
  if not held or held.path == '' then
    return nil, ''
  end
  held.errors = min(held.errors + 1, 255)
  setHeld(g, index, held)
  return held.errors >= held.attempts, held.ifLate
end

-- One name for all: Lua has room for 200 on one way.
inHand = { HAS_TASK = HAS_TASK, reportTask = reportTask, endStart = endStart, isWaiting = isWaiting, isDeadBy = isDeadBy, isSpentBy = isSpentBy,
  waitingInPlace = waitingInPlace }
end)()
