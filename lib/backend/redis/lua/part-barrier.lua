-- How branches move between states and what follows from it, as in the kernel's transitions. All of it changes the picture only; `commit`
-- writes it. From the first write on nothing is read. This file is long because its moves call each other in a circle: what ends a branch may
-- release its group, which may end a run, which closes groups and gives branches back.
local MOST_GROUPS, MOST_WAITING, MOST_NOTICE_BYTES = 96, 256, 4096
local toClose, closeLater, placeLater, notifications, due, dueGone, delayedDue, owned, deadLetters, saves = {}, {}, {}, {}, {}, {}, {}, {}, {}, {}
local newLanes, forgotten, promotedGone, lanes, leaving, notified, lessened, waiting = {}, {}, {}, {}, {}, {}, {}, nil
-- Writes of keys that were not read; and how many closed groups were passed on the way.
local early, passed = {}, 0

-- Fresh ones where the call before has filled them: most calls fill few.
local function begin_barrier()
  if toClose[1] then toClose = {} end
  if closeLater[1] then closeLater = {} end
  if placeLater[1] then placeLater = {} end
  if notifications[1] then notifications = {} end
  if due[1] then due = {} end
  if dueGone[1] then dueGone = {} end
  if delayedDue[1] then delayedDue = {} end
  if next(owned) then owned = {} end
  if deadLetters[1] then deadLetters = {} end
  if saves[1] then saves = {} end
  if newLanes[1] then newLanes = {} end
  if forgotten[1] then forgotten = {} end
  if promotedGone[1] then promotedGone = {} end
  if next(lanes) then lanes = {} end
  if next(leaving) then leaving = {} end
  if notified[1] then notified = {} end
  if lessened[1] then lessened = {} end
  if early[1] then early = {} end
  waiting, passed = nil, 0
end

-- Forgets what was to be changed of a group that turned out to be unreadable. Who waits for it is told to look.
local function forget(gid)
  local g = groups[gid]
  groups[gid] = false
  if not g then
    return
  end
  forgotten[#forgotten + 1] = g
  if g.inbox ~= '' then
    notify(g.inbox, 'released', gid)
  end
  for i = #groupOrder, 1, -1 do
    if groupOrder[i] == g then
      table.remove(groupOrder, i)
    end
  end
end

-- Whether something of the group can be granted now. What its run forbids (paused, over) acquire finds out.
local function isGrantable(g)
  return g.state == 'o' and readyOf(g) > 0 and (g.limit == 0 or g.inFlight < g.limit) and not g.isParked
end

-- Offers `count` branches of the group to who waits, once all is known.
local function notifyLater(g, count)
  if count > 0 then
    notifications[#notifications + 1] = { g, count }
  end
end

local function addReady(g, count)
  if count > 0 then
    if g.readyBefore == 0 or readyOf(g) == count then
      g.since = now()
    end
    notifyLater(g, count)
  end
end

local function reopenLimit(g)
  if g.limit > 0 and not g.isQueued and g.state == 'o' then
    notifyLater(g, readyOf(g))
  end
end

-- Makes a branch ready again, with its counters; `cell` has 0 as its grant when that means nothing any more.
local function requeue(g, index, cell)
  local requeued = g.requeued
  if not requeued then
    requeued = {}
    call('LLEN', g.b .. ':r')
    g.requeued = requeued
  end
  setCells(g, index, cell)
  requeued[#requeued + 1] = index
  g.requeuedCount = g.requeuedCount + 1
end

-- How the inputs of a grant lie in it: the ends, with the one before the first where first is above 0, and the bytes; all in `ends`; one shared
-- input in `bytes`.
local SPLIT, WHOLE, SHARED = 0, 1, 2

-- Told with the grant, so that whoever works for a run that nobody watches need not ask.
local function watchersOf(run)
  local counts = tryCall('PUBSUB', 'NUMSUB', T .. ':act:' .. run)
  return tonumber(counts[2]) or 0
end

-- Stands at the end of a token's nonce when nobody asked for the grant (part-pushing): until it is settled or confirmed it is planned to be
-- reclaimed.
local PUSHED = '!'

-- Grants `count` branches of a group, `branches` as its record has them, to a session; who asks sets their cells. The token, its fence, and the
-- grant's number as cells have it.
local function newGrant(g, session, nonce, branches, count, graceMs)
  local fence = nextFence()
  g.grantCount = g.grantCount + 1
  local grantNumber = g.grantCount
  local token = fence .. '.' .. nonce .. '-' .. grantNumber
  g.inFlight = g.inFlight + count
  setRecord(g, tostring(grantNumber), concat({ token, branches, whole(now()), session }, ' '))
  local mine = owned[session] or {}
  owned[session] = mine
  mine[g.gid .. '#' .. grantNumber] = count
  if g.timeout > 0 then
    due[#due + 1] = { now() + g.timeout + graceMs, 'd ' .. g.gid .. '#' .. grantNumber }
  end
  return token, fence, pack('<I4', grantNumber)
end

-- How many branches a grant had, by its record.
local function sizeOfGrant(branches)
  local size = 0
  for first, last in gmatch(branches, '(%d+)%-(%d+)') do
    size = size + last - first + 1
  end
  return size
end

-- `count` branches of a grant, which had `branches`, are no longer held by its session. True when none is.
local function endHolding(g, grantNumber, session, branches, count)
  local field = g.gid .. '#' .. grantNumber
  local mine = owned[session] or {}
  owned[session] = mine
  local had = mine[field]
  if count >= sizeOfGrant(branches) then
    mine[field] = 0
  else
    if had == nil then
      had = tonumber((tryCall('HGET', T .. ':o:' .. session, field)))
    end
    -- where that is lost, the table knows
    mine[field] = had and max(0, had - count) or #stillHeld(g, branches, grantNumber)
    if mine[field] > 0 then
      return false
    end
  end
  if find(g.records[grantNumber], PUSHED .. '-', 1, true) then
    dueGone[#dueGone + 1] = 's ' .. field
  end
  setRecord(g, grantNumber, false)
  if g.timeout > 0 then
    dueGone[#dueGone + 1] = 'd ' .. field
  end
  return true
end

-- Dead letters keep inputs of at most 64 KiB.
local function addDeadLetter(g, index, kind, errors, losses, value)
  local input = g.bytes > 0 and inputOf(g, index) or ''
  if #input > 65536 then
    input = false
  end
  now()
  deadLetters[#deadLetters + 1] = { g, index, kind, errors, losses, input, value }
end

local endRun

-- Closes a group; those below it follow (`settleClosing`).
local function close(g, as, reason)
  if g.state ~= 'o' then
    return
  end
  touch(g)
  g.state, g.closed = as, now()
  if g.inFlight > 0 then
    local told = {}
    local fields = call('HGETALL', g.b)
    for i = 1, #fields, 2 do
      local grantNumber = match(fields[i], '^t(%d+)$')
      if grantNumber and g.records[grantNumber] ~= false then
        g.records[grantNumber] = fields[i + 1]
        -- one that cannot be read keeps nothing open: its holder finds out when it settles
        local isFine, token, branches, session = pcall(recordOf, g, grantNumber)
        if isFine then
          endHolding(g, grantNumber, session, branches, ANYWHERE)
          if not told[session] then
            told[session] = true
            notify(session, 'withdrawn', g.gid, reason)
          end
        end
      end
    end
  end
  g.inFlight, g.delayed = 0, 0
  if g.inbox ~= '' then
    notify(g.inbox, 'released', g.gid, g.onlyChunk)
  end
  if not g.isRoot then
    activity(g.run, 'group', g.gid)
  end
  if g.hasChildren then
    toClose[#toClose + 1] = { g, reason }
  end
end

-- Lines of a text but one.
local function without(lines, line)
  local left = {}
  for other in gmatch(lines, '[^\n]+') do
    if other ~= line then
      left[#left + 1] = other
    end
  end
  return concat(left, '\n')
end

-- A group to be closed with what is above it; nothing when it cannot be read, which must not keep the others open.
local function loadBelow(gid)
  local isFine, child = pcall(load, gid)
  if isFine then
    return child
  end
  quarantine(gid, child)
  forget(gid)
  return nil
end

-- Withdraws the open groups that this branch opened.
local function closeChildren(g, index, reason)
  g.children = g.children or {}
  local children = g.children[index]
  if children == nil then
    children = call('HGET', g.b .. ':k', index) or ''
  end
  for gid in gmatch(children, '[^\n]+') do
    local child = loadBelow(gid)
    if child then
      close(child, 'w', reason)
    end
  end
  g.children[index] = ''
end

-- Whether a group, if it is not loaded, says of itself that it is closed: nearly all below one that closes are.
local function seemsClosed(gid)
  if groups[gid] ~= nil then
    return false
  end
  passed = passed + 1
  return isClosedBy(tryCall('HGET', T .. ':b:' .. gid, 's'))
end

-- Closes what stands in `lines` until the call has had enough; the lines that are left.
local function closeLines(lines, reason)
  local left = {}
  for gid in gmatch(lines, '[^\n]+') do
    if #groupOrder + passed >= MOST_GROUPS then
      left[#left + 1] = gid
    elseif not seemsClosed(gid) then
      local child = loadBelow(gid)
      if child then
        close(child, 'w', reason)
      end
    end
  end
  return concat(left, '\n')
end

-- Walks what is below closed groups, as far as one call may; the rest is left to a sweep. What was walked is forgotten, so that each goes on
-- where the one before had enough.
local function settleClosing()
  local at = 1
  while toClose[at] do
    local g, reason = toClose[at][1], toClose[at][2]
    at = at + 1
    if #groupOrder + passed >= MOST_GROUPS then
      closeLater[#closeLater + 1] = g.gid .. '\t' .. reason
    else
      touch(g)
      g.children = g.children or {}
      local page = tryCall('HSCAN', g.b .. ':k', 0, 'COUNT', MOST_GROUPS)
      if page.err then
        -- nobody knows what is below, and that must not keep the group itself open
        quarantine(g.gid, page)
        page = { '0', {} }
      end
      local isAll, fields = page[1] == '0', page[2]
      for i = 1, #fields, 2 do
        local index = tonumber(fields[i])
        g.children[index] = closeLines(g.children[index] or fields[i + 1], reason)
        if g.children[index] ~= '' then
          isAll = false
          break
        end
      end
      if isAll then
        g.hasChildren, g.areChildrenGone = false, true
      else
        closeLater[#closeLater + 1] = g.gid .. '\t' .. reason
      end
    end
  end
  toClose = {}
end

-- Final outcomes reach the barrier: `chunk` as it is stored, `count` of them, `failed` of which did not succeed.
local function arrive(g, chunk, count, failed, lastValue)
  touch(g)
  g.settles = g.settles + 1
  g.left, g.failed = g.left - count, g.failed + failed
  local isMet = g.left == 0 or (g.rule == 'ff' and failed > 0) or (g.rule == 'fs' and failed < count)
  if isMet and g.settles == 1 and #chunk <= MOST_NOTICE_BYTES then
    -- nothing follows: it stands with the group
    g.outcome = chunk
  else
    local outcomes = g.outcomes
    if not outcomes then
      outcomes = {}
      call('HLEN', g.b .. ':o')
      g.outcomes = outcomes
    end
    outcomes[#outcomes + 1] = { g.settles, chunk }
  end
  if not isMet then
    reopenLimit(g)
    return
  end
  if g.outcome and g.left == 0 then
    -- the notice brings it all: its holder need not ask
    g.onlyChunk = chunk
  end
  close(g, 'r', g.rule == 'ff' and 'another branch of the group failed' or 'another branch of the group succeeded')
  if g.isRoot then
    endRun(loadRun(g.run), failed > 0 and 'failed' or 'completed', lastValue or '', 'the run is over')
  end
end

-- A branch is over: the groups below it go.
local function forgetWork(g, index, cell)
  if g.hasChildren and byte(cell, 4) >= HAS_CHILDREN then
    closeChildren(g, index, 'the branch that opened it is over')
  end
end

-- One chunk of outcomes: indexes and values run in parallel; kinds is a text of one byte each.
local function chunkOf(indexes, kinds, values)
  local packedIndexes, ends, size = {}, {}, 0
  for i, index in ipairs(indexes) do
    packedIndexes[i] = pack('<I4', index)
    size = size + #values[i]
    ends[i] = pack('<I4', size)
  end
  return pack('<I4I4', #indexes, ANYWHERE) .. concat(packedIndexes) .. kinds .. concat(ends) .. concat(values)
end

-- Its driver is gone, and nobody may take it but who resumes it.
local function abandon(run)
  run.isAbandoned = true
  run.kept = now() + run.retention
  setRun(run, 'aband', '1')
  setRun(run, 'kept', run.kept)
  due[#due + 1] = { run.kept, 'p ' .. run.id }
  activity(run.id, 'state', run.id)
end

endRun = function(run, as, value, reason)
  if not run or run.isEnded then
    return
  end
  run.isEnded, run.ended = true, as
  setRun(run, 'end', as)
  setRun(run, 'value', value)
  setRun(run, 'endedAt', wall())
  local root = loadBelow(run.id)
  if root then
    close(root, 'w', reason)
  end
  run.kept = now() + run.retention
  setRun(run, 'kept', run.kept)
  due[#due + 1] = { min(now() + tonumber(shardValue('keep') or 600000), run.kept), 'p ' .. run.id }
  if run.timeout then
    dueGone[#dueGone + 1] = 't ' .. run.id
  end
  activity(run.id, 'state', run.id)
end

-- Reclaims up to `most` branches of a grant: `lost` with its session, `late` past its deadline, or `closed`. Says how many.
local function reclaim(g, grantNumber, cause, most)
  local token, branches, session = recordOf(g, grantNumber)
  if not token or g.state ~= 'o' then
    return 0, true
  end
  touch(g)
  local run = g.isRoot and loadRun(g.run)
  local parks = run and run.isStarted
  local taken, ready, isAll = 0, 0, true
  local ended, kinds, values = {}, {}, {}
  local indexes, cells = stillHeld(g, branches, grantNumber)
  for k, index in ipairs(indexes) do
    local _, errors, losses, flag = byte(cells[k], 1, 4)
    if not (cause == 'late' and flag % 2 == HAS_STEPPED) then
      if taken >= most then
        isAll = false
        break
      end
      taken = taken + 1
      local isSpent = false
      if cause == 'lost' then
        losses = min(losses + 1, 255)
        isSpent = losses > g.losses and not parks
      elseif cause == 'late' then
        errors = min(errors + 1, 255)
        isSpent = g.attempts > 0 and errors >= g.attempts
      end
      if isSpent then
        local kind = cause == 'lost' and DEAD or FAILED
        setCells(g, index, char(kind, errors, losses, 0) .. NO_GRANT)
        ended[#ended + 1], kinds[#kinds + 1], values[#values + 1] = index, char(kind), ''
        if kind == DEAD then
          g.dead = g.dead + 1
        end
        if not g.isRoot then
          addDeadLetter(g, index, kind, errors, losses, '')
        end
        forgetWork(g, index, cells[k])
      else
        requeue(g, index, char(READY, errors, losses, childrenFlag(flag)) .. NO_GRANT)
        ready = ready + 1
      end
    end
  end
  if taken == 0 then
    return 0, true
  end
  local isGone = endHolding(g, grantNumber, session, branches, taken)
  if isGone and cause ~= 'closed' then
    notify(session, 'lost', g.gid, token)
  end
  g.inFlight = g.inFlight - taken
  if run then
    setRun(run, 'driver', '')
    if parks then
      g.isParked = true
      abandon(run)
    end
  end
  addReady(g, ready)
  if #ended > 0 then
    arrive(g, chunkOf(ended, concat(kinds), values), #ended, #ended)
  else
    reopenLimit(g)
  end
  return taken, isAll
end

-- Makes a delayed branch ready; false when the table does not know it as delayed.
local function promoteOne(gid, index)
  local g = load(gid)
  local cell = g and g.state == 'o' and cellOf(g, index)
  if not cell or byte(cell) ~= DELAYED then
    return false
  end
  touch(g)
  requeue(g, index, char(READY) .. sub(cell, 2))
  g.delayed = g.delayed - 1
  addReady(g, 1)
  return true
end

-- Makes up to `most` delayed branches ready whose time has come: how many, and when the next is due. An entry that the table does not know as
-- delayed, or whose group cannot be read, is forgotten.
local function promote(most)
  local first = call('ZRANGE', T .. ':d', 0, 0, 'WITHSCORES')
  if not first[1] or tonumber(first[2]) > now() then
    return 0, tonumber(first[2])
  end
  local entries = call('ZRANGEBYSCORE', T .. ':d', '-inf', whole(now()), 'LIMIT', 0, most)
  local promoted = 0
  for _, entry in ipairs(entries) do
    promotedGone[#promotedGone + 1] = entry
    local gid, index = match(entry, '^(.*)#(%d+)$')
    if gid then
      local isFine, isReady = pcall(promoteOne, gid, tonumber(index))
      if not isFine then
        quarantine(gid, isReady)
        forget(gid)
      elseif isReady then
        promoted = promoted + 1
      end
    end
  end
  first = call('ZRANGE', T .. ':d', #entries, #entries, 'WITHSCORES')
  return promoted, tonumber(first[2])
end
