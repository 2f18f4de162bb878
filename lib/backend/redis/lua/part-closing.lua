-- Closing: a group and all below it. Its branches that are not final count as withdrawn through the group's state alone; the sessions that
-- hold them are notified, and the holder that waits for the group. What is too much for one call is left to the sweep, in T:todo.
-- Gives: MOST_GROUPS close closeBelow closeChildren settleClosing leaveToSweep isLeftToSweep commitTodo
-- Needs:
--   base: activity many notify now quarantine setShard shardNumber whole
--   branch-table: ANYWHERE HAS_CHILDREN
--   children: childrenOf
--   due-queue: unplan
--   grants: endHolding recordOf
--   group: groupOrder groups isClosedBy loadReadable touch
--   parking: parking
-- A call looks at so many groups at most.
MOST_GROUPS = 96
-- Closed groups with groups below them; entries for T:todo; how many closed groups were passed on the way; how many groups were closed because the
-- branch that opened them is over.
local toClose, todo, passed, closedBelow = {}, {}, 0, 0

local function reset()
  toClose, todo, passed, closedBelow = {}, {}, 0, 0
end

function leaveToSweep(entry)
  if not todo[1] then begins[#begins + 1] = reset end
  todo[#todo + 1] = entry
end

function isLeftToSweep()
  return todo[1] ~= nil
end

-- What is below a closed group is to be closed, too.
function closeBelow(g, reason)
  if not toClose[1] then begins[#begins + 1] = reset end
  toClose[#toClose + 1] = { g, reason }
end

-- Sessions that hold branches of the group are notified, and hold none any more.
local function notifyHolders(g, reason)
  local isNotified = {}
  local fields = call('HGETALL', g.b)
  for i = 1, #fields, 2 do
    local grantNumber, task = match(fields[i], '^t(%d+)$'), match(fields[i], '^k(%d+)$')
    if task then
      unplan('e ' .. g.gid .. '#' .. task)
    end
    if grantNumber and g.records[grantNumber] ~= false then
      g.records[grantNumber] = fields[i + 1]
      -- one that cannot be read keeps nothing open: its holder finds out when it settles
      local isFine, token, branches, session = pcall(recordOf, g, grantNumber)
      if isFine then
        endHolding(g, grantNumber, session, branches, ANYWHERE)
        if not isNotified[session] then
          isNotified[session] = true
          notify(session, 'withdrawn', g.gid, reason)
        end
      end
    end
  end
end

-- Closes a group; those below it follow (`settleClosing`).
function close(g, as, reason)
  if g.state ~= 'o' then
    return
  end
  touch(g)
  g.state, g.closed = as, now()
  if g.inFlight > 0 then
    notifyHolders(g, reason)
  end
  g.inFlight, g.delayed = 0, 0
  if g.parked > 0 then
    g.parked, g.isParkedChanged = 0, true
  end
  if parking.isParkedFor(g.inbox) then
    local above = loadReadable(g.parent)
    if above then
      parking.wake(above, g.parentIndex)
    end
  elseif g.inbox ~= '' then
    notify(g.inbox, 'released', g.gid, g.onlyChunk)
  end
  if not g.isRoot then
    activity(g.run, 'group', g.gid)
  end
  if g.hasChildren then
    closeBelow(g, reason)
  end
end

-- Whether a group that is not loaded says of itself that it is closed: nearly all below one that closes are.
local function saysClosed(gid)
  return isClosedBy(tryCall('HGET', T .. ':b:' .. gid, 's'))
end

-- A branch is over: withdraws the open groups that it opened, where its cell says that there are any. Of very many the rest is left to the sweep.
function closeChildren(g, index, cell, reason)
  if not g.hasChildren or byte(cell, 4) % 4 < HAS_CHILDREN then
    return
  end
  local left = {}
  for gid in gmatch(childrenOf(g, index), '[^\n]+') do
    local isOpen = groups[gid] ~= nil or not saysClosed(gid)
    if isOpen and closedBelow >= MOST_GROUPS then
      left[#left + 1] = gid
      leaveToSweep(gid .. '\t' .. reason)
    elseif isOpen then
      local child = loadReadable(gid)
      if child and child.state == 'o' then
        if closedBelow == 0 then begins[#begins + 1] = reset end
        closedBelow = closedBelow + 1
        close(child, 'w', reason)
      end
    end
  end
  g.children = g.children or {}
  g.children[index] = concat(left, '\n')
end

-- The same of one that may be loaded, and a count of those that were looked at.
local function seemsClosed(gid)
  if groups[gid] ~= nil then
    return false
  end
  passed = passed + 1
  return saysClosed(gid)
end

-- Closes what stands in `lines` until the call has looked at enough; the lines that are left.
local function closeLines(lines, reason)
  local left = {}
  for gid in gmatch(lines, '[^\n]+') do
    if #groupOrder + passed >= MOST_GROUPS then
      left[#left + 1] = gid
    elseif not seemsClosed(gid) then
      local child = loadReadable(gid)
      if child then
        close(child, 'w', reason)
      end
    end
  end
  return concat(left, '\n')
end

-- Closes what is below one closed group, as far as this call may. True when nothing is left.
local function settleOne(g, reason)
  touch(g)
  g.children = g.children or {}
  -- Each call begins anew. A scan from the start looks at a bounded part of the table, and finds nothing once that part is empty.
  local fields = tryCall('HRANDFIELD', g.b .. ':k', MOST_GROUPS, 'WITHVALUES')
  if fields.err then
    -- what is below cannot be read, and that must not keep the group itself open
    quarantine(g.gid, fields)
    fields = {}
  end
  for i = 1, #fields, 2 do
    local index = tonumber(fields[i])
    g.children[index] = closeLines(g.children[index] or fields[i + 1], reason)
    if g.children[index] ~= '' then
      return false
    end
  end
  return #fields < MOST_GROUPS * 2
end

-- Walks what is below closed groups, as far as one call may; the rest is left to a sweep. What was walked is forgotten, so that each goes on
-- where the one before ended.
function settleClosing()
  local at = 1
  while toClose[at] do
    local g, reason = toClose[at][1], toClose[at][2]
    at = at + 1
    if #groupOrder + passed < MOST_GROUPS and settleOne(g, reason) then
      g.hasChildren, g.areChildrenGone = false, true
    else
      leaveToSweep(g.gid .. '\t' .. reason)
    end
  end
  if at > 1 then toClose = {} end
end

function commitTodo()
  if todo[1] then
    many('RPUSH', T .. ':todo', todo)
    setShard('todos', whole(shardNumber('todos') + #todo))
  end
end
