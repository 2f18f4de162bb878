-- How branches move between states and what follows from it, as in the kernel's transitions. All of it changes the picture only; `commit`
-- writes it. From the first write on nothing is read.
local MOST_GROUPS, MOST_WAITING, MOST_TOLD_BYTES = 256, 256, 4096
local toClose, closeLater, placeLater, rings, due, dueGone, delayedDue, owned, deadLetters, saves, newLanes, dropped, promotedGone, lanes, waiting, leaving, woken

local function begin_barrier()
  toClose, closeLater, placeLater, rings, due, dueGone, delayedDue, owned, deadLetters = {}, {}, {}, {}, {}, {}, {}, {}, {}
  saves, newLanes, dropped, promotedGone, lanes, waiting, leaving, woken = {}, {}, {}, {}, {}, nil, {}, {}
end

-- Forgets what was to be changed of a group that turned out to be unreadable. Who waits for it is told to look.
local function drop(gid)
  local g = groups[gid]
  groups[gid] = false
  if not g then
    return
  end
  dropped[#dropped + 1] = g
  if g.inbox ~= '' then
    tell(g.inbox, 'released', gid)
  end
  for i = #groupOrder, 1, -1 do
    if groupOrder[i] == g then
      table.remove(groupOrder, i)
    end
  end
end

-- Whether something of the group can be granted now. What its run forbids (paused, over) acquire finds out.
local function isGrantable(g)
  return g.state == 'o' and readyOf(g) > 0 and (g.limit == 0 or g.flight < g.limit) and not g.isParked
end

-- Offers `count` branches of the group to who waits, once all is known.
local function ring(g, count)
  if count > 0 then
    rings[#rings + 1] = { g, count }
  end
end

local function addReady(g, count)
  if count > 0 then
    if g.readyBefore == 0 or readyOf(g) == count then
      g.since = now()
    end
    ring(g, count)
  end
end

local function reopenLimit(g)
  if g.limit > 0 and not g.isQueued and g.state == 'o' then
    ring(g, readyOf(g))
  end
end

-- A branch has come back: ready, with its counters; 0 as lease when the grant means nothing any more.
local function comeBack(g, index, cell)
  setCells(g, index, cell)
  g.returned[#g.returned + 1] = index
  g.back = g.back + 1
end

-- Branches of a grant are no longer held by its session.
local function letGo(g, lease, session, count)
  local field = g.gid .. '#' .. lease
  local mine = owned[session] or {}
  owned[session] = mine
  local had = mine[field]
  if had == nil then
    had = tonumber(call('HGET', T .. ':o:' .. session, field)) or 0
  end
  mine[field] = max(0, had - count)
  if mine[field] > 0 then
    return false
  end
  setRecord(g, lease, false)
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
  if g.flight > 0 then
    local told = {}
    local fields = call('HGETALL', g.b)
    for i = 1, #fields, 2 do
      local lease = match(fields[i], '^t(%d+)$')
      if lease and g.records[lease] ~= false then
        local token, _, session = recordOf(g, lease)
        letGo(g, lease, session, ANYWHERE)
        if token and not told[session] then
          told[session] = true
          tell(session, 'withdrawn', g.gid, reason)
        end
      end
    end
  end
  g.flight, g.delayed = 0, 0
  if g.inbox ~= '' then
    tell(g.inbox, 'released', g.gid, g.onlyChunk)
  end
  if not g.isRoot then
    activity(g.run, 'group', g.gid)
  end
  if g.hasKids then
    toClose[#toClose + 1] = { g, reason }
  end
end

-- Lines of a text but one.
local function without(lines, line)
  local left = {}
  for other in string.gmatch(lines, '[^\n]+') do
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
  drop(gid)
  return nil
end

-- Withdraws the open groups that this branch opened.
local function closeKids(g, index, reason)
  g.kids = g.kids or {}
  local kids = g.kids[index]
  if kids == nil then
    kids = call('HGET', g.b .. ':k', index) or ''
  end
  for gid in string.gmatch(kids, '[^\n]+') do
    local child = loadBelow(gid)
    if child then
      close(child, 'w', reason)
    end
  end
  g.kids[index] = ''
end

-- Closes what stands in `lines` until the call has had enough; the lines that are left.
local function closeLines(lines, reason)
  local left = {}
  for gid in string.gmatch(lines, '[^\n]+') do
    if #groupOrder >= MOST_GROUPS then
      left[#left + 1] = gid
    else
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
    if #groupOrder >= MOST_GROUPS then
      closeLater[#closeLater + 1] = g.gid .. '\t' .. reason
    else
      touch(g)
      g.kids = g.kids or {}
      local page = call('HSCAN', g.b .. ':k', 0, 'COUNT', MOST_GROUPS)
      local isAll, fields = page[1] == '0', page[2]
      for i = 1, #fields, 2 do
        local index = tonumber(fields[i])
        g.kids[index] = closeLines(g.kids[index] or fields[i + 1], reason)
        if g.kids[index] ~= '' then
          isAll = false
          break
        end
      end
      if isAll then
        g.hasKids = false
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
  g.outcomes[#g.outcomes + 1] = { g.settles, chunk }
  g.left, g.failed = g.left - count, g.failed + failed
  local isMet = g.left == 0 or (g.rule == 'ff' and failed > 0) or (g.rule == 'fs' and failed < count)
  if not isMet then
    reopenLimit(g)
    return
  end
  if g.settles == 1 and g.left == 0 and #chunk <= MOST_TOLD_BYTES then
    -- the news brings it all: its holder need not ask
    g.onlyChunk = chunk
  end
  close(g, 'r', g.rule == 'ff' and 'another branch of the group failed' or 'another branch of the group succeeded')
  if g.isRoot then
    endRun(loadRun(g.run), failed > 0 and 'failed' or 'completed', lastValue or '', 'the run is over')
  end
end

-- A branch is over: its cursor and the groups below it go.
local function forgetWork(g, index, cell)
  if g.hasKids and byte(cell, 4) >= HAS_KIDS then
    closeKids(g, index, 'the branch that opened it is over')
  end
  if g.cursorCount > 0 then
    g.cursors[#g.cursors + 1] = { index, false }
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

-- Takes back up to `most` branches of a grant: `lost` with its session, `late` past its deadline, or `given-up`. Says how many.
local function takeBack(g, lease, cause, most)
  local token, branches, session = recordOf(g, lease)
  if not token or g.state ~= 'o' then
    return 0, true
  end
  touch(g)
  local run = g.isRoot and loadRun(g.run)
  local parks = run and run.isStarted
  local taken, ready, isAll = 0, 0, true
  local ended, kinds, values = {}, {}, {}
  local indexes, cells = stillHeld(g, branches, lease)
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
        setCells(g, index, char(kind, errors, losses, 0) .. NO_LEASE)
        ended[#ended + 1], kinds[#kinds + 1], values[#values + 1] = index, char(kind), ''
        if kind == DEAD then
          g.dead = g.dead + 1
        end
        if not g.isRoot then
          addDeadLetter(g, index, kind, errors, losses, '')
        end
        forgetWork(g, index, cells[k])
      else
        comeBack(g, index, char(READY, errors, losses, kidsFlag(flag)) .. NO_LEASE)
        ready = ready + 1
      end
    end
  end
  if taken == 0 then
    return 0, true
  end
  local isGone = letGo(g, lease, session, taken)
  if isGone and cause ~= 'given-up' then
    tell(session, 'lost', g.gid, token)
  end
  g.flight = g.flight - taken
  if run then
    run.driver = ''
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

-- Makes up to `most` delayed branches ready whose time has come: how many, and when the next is due. An entry that the table does not know as
-- delayed is dropped.
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
    local isFine, g = pcall(load, gid or '')
    if not isFine then
      quarantine(gid, g)
      drop(gid)
    elseif g and g.state == 'o' and tonumber(index) < g.size then
      local cell = cellOf(g, tonumber(index))
      if byte(cell) == DELAYED then
        touch(g)
        g.delayed = g.delayed - 1
        comeBack(g, tonumber(index), char(READY) .. sub(cell, 2))
        addReady(g, 1)
        promoted = promoted + 1
      end
    end
  end
  first = call('ZRANGE', T .. ':d', #entries, #entries, 'WITHSCORES')
  return promoted, tonumber(first[2])
end

-- ------------------------------------------------------------------------------------------------------------------------ waking

-- What a lane asks of a worker: queue, and lists of capabilities and tasks.
local function laneOf(lane)
  local known = lanes[lane]
  if known then
    return known
  end
  local text = call('HGET', T .. ':l', '#' .. lane) or '||'
  local queue, requires, tasks = match(text, '^([^|]*)|([^|]*)|(.*)$')
  known = { queue = queue, requires = requires, tasks = tasks }
  lanes[lane] = known
  return known
end

-- Whether a text of names with commas around each has all these (with spaces between); `*` has all.
local function hasAll(have, wanted)
  if have == '*' or wanted == '' then
    return true
  end
  for name in string.gmatch(wanted, '%S+') do
    if not find(have, ',' .. name .. ',', 1, true) then
      return false
    end
  end
  return true
end

-- Sessions that wait, longest first, with what they would take.
local function whoWaits()
  if waiting then
    return waiting
  end
  waiting = {}
  for _, session in ipairs(call('ZRANGE', T .. ':wait', 0, MOST_WAITING - 1)) do
    waiting[#waiting + 1] = { session = session }
  end
  return waiting
end

-- Whether a group is reserved for a live worker other than this one.
local function isHeldForOther(g, base)
  if g.affinity == '' or g.affinityUntil <= now() or base == g.affinity then
    return false
  end
  return (tonumber(call('HGET', T .. ':wb', g.affinity)) or 0) - (leaving[g.affinity] or 0) > 0
end

local function mayTake(waiter, g)
  if waiter.isWoken then
    return false
  end
  if waiter.free == nil then
    local values = call('HMGET', T .. ':wi:' .. waiter.session, 'wait', 'tasks', 'base')
    local free, deeper, queues, capabilities = match(values[1] or '', '^(%d+)\t(%d+)\t([^\t]*)\t([^\t]*)$')
    waiter.free, waiter.deeper, waiter.queues, waiter.capabilities = tonumber(free) or 0, tonumber(deeper) or 0, queues or '', capabilities or ''
    waiter.tasks, waiter.base = values[2] or '', values[3] or ''
  end
  local lane = laneOf(g.lane)
  return waiter.free > 0 and hasAll(waiter.queues, lane.queue) and hasAll(waiter.capabilities, lane.requires) and hasAll(waiter.tasks, lane.tasks)
    and (waiter.deeper == 0 or g.depth > waiter.deeper) and not isHeldForOther(g, waiter.base)
end

local function wake(waiter)
  waiter.isWoken = true
  woken[#woken + 1] = waiter.session
  tell(waiter.session, 'work')
end

-- Wakes as many as are needed for `count` branches of the group.
local function ringFor(g, count)
  if not isGrantable(g) or shardValue('p:' .. laneOf(g.lane).queue) == '1' then
    return
  end
  local wanted = g.limit == 0 and count or min(count, g.limit - g.flight)
  for _, waiter in ipairs(whoWaits()) do
    if wanted <= 0 then
      return
    end
    if mayTake(waiter, g) then
      wanted = wanted - waiter.free
      wake(waiter)
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
local function ringAll(isOne)
  if #whoWaits() == 0 or shardNumber('ready') <= 0 then
    return
  end
  for lane = 1, shardNumber('lanes') do
    if shardNumber('n:' .. lane) > 0 then
      for _, g in ipairs(firstOf(lane, 16)) do
        local before = #woken
        local run = loadRun(g.run)
        if run and not run.isPaused and not run.isEnded then
          ringFor(g, isOne and 1 or readyOf(g))
        end
        if isOne and #woken > before then
          return
        end
      end
    end
  end
end

-- ------------------------------------------------------------------------------------------------------------------------ writing

local function stateOf(g)
  return concat({ g.state, g.left, g.fill, g.bytes, g.next, g.flight, g.settles, g.leases, g.isQueued and 1 or 0, g.since }, ' ')
end

local function rareOf(g)
  return concat({ g.back, g.delayed, g.failed, g.dead, g.closed, g.isRetired and 1 or 0, g.cursorCount, g.hasKids and 1 or 0, g.affinityUntil }, ' ')
end

local function isRare(g)
  return g.hadRare or g.back > 0 or g.delayed > 0 or g.failed > 0 or g.dead > 0 or g.closed > 0 or g.isRetired or g.cursorCount > 0 or g.hasKids or g.affinityUntil > 0
end

local function commitGroup(g)
  local b = g.b
  if g.isNew then
    call('SET', b .. ':g', g.head)
  end
  for _, write in ipairs(g.writes or {}) do
    call(unpack(write))
  end
  for _, write in ipairs(g.cells) do
    call('SETRANGE', b .. ':d', write[1] * 8, write[2])
  end
  local fields = { 's', stateOf(g) }
  if isRare(g) then
    fields[3], fields[4] = 'x', rareOf(g)
  end
  if g.isInboxChanged then
    fields[#fields + 1], fields[#fields + 2] = 'inbox', g.inbox
  end
  if g.isSegmentsChanged then
    fields[#fields + 1], fields[#fields + 2] = 'segs', g.segments
  end
  local gone = {}
  for _, lease in ipairs(g.recordChanges) do
    local record = g.records[lease]
    if record then
      fields[#fields + 1], fields[#fields + 2] = 't' .. lease, record
    else
      gone[#gone + 1] = 't' .. lease
    end
  end
  many('HSET', b, fields)
  many('HDEL', b, gone)
  if #g.returned > 0 and g.state == 'o' then
    many('RPUSH', b .. ':r', g.returned)
  end
  for _, outcome in ipairs(g.outcomes) do
    call('HSET', b .. ':o', outcome[1], outcome[2])
  end
  for _, cursor in ipairs(g.cursors) do
    if cursor[2] then
      call('HSET', b .. ':c', cursor[1], cursor[2])
    else
      call('HDEL', b .. ':c', cursor[1])
    end
  end
  for index, kids in pairs(g.kids or {}) do
    if kids == '' then
      call('HDEL', b .. ':k', index)
    else
      call('HSET', b .. ':k', index, kids)
    end
  end
  if g.isQueued and not g.wasQueued then
    call('ZADD', T .. ':q:' .. g.lane, g.score, g.gid)
  elseif g.wasQueued and not g.isQueued then
    call('ZREM', T .. ':q:' .. g.lane, g.gid)
  end
end

-- Works out what follows from the changes, then writes all of them.
local function commit()
  settleClosing()
  local ready, n, f, y, laneOrder = 0, {}, {}, {}, {}
  for _, g in ipairs(groupOrder) do
    if g.isTouched then
      g.isQueued = isGrantable(g)
      local lane = g.lane
      if not n[lane] then
        n[lane], f[lane], y[lane] = 0, 0, 0
        laneOrder[#laneOrder + 1] = lane
      end
      local more = readyOf(g) - g.readyBefore
      ready = ready + more
      n[lane], f[lane], y[lane] = n[lane] + more, f[lane] + g.flight - g.flightBefore, y[lane] + g.delayed - g.delayedBefore
    end
  end
  for _, g in ipairs(dropped) do
    if g.isQueued then
      local lane, gone = g.lane, g.readyBefore or readyOf(g)
      if not n[lane] then
        n[lane], f[lane], y[lane] = 0, 0, 0
        laneOrder[#laneOrder + 1] = lane
      end
      ready, n[lane] = ready - gone, n[lane] - gone
    end
  end
  if #rings > 0 and #whoWaits() > 0 then
    for _, offer in ipairs(rings) do
      ringFor(offer[1], offer[2])
    end
  end
  local names = {}
  for _, lane in ipairs(laneOrder) do
    for letter, changes in pairs({ n = n, f = f, y = y }) do
      if changes[lane] ~= 0 and shard[letter .. ':' .. lane] == nil then
        names[#names + 1] = letter .. ':' .. lane
      end
    end
  end
  if ready ~= 0 and shard.ready == nil then
    names[#names + 1] = 'ready'
  end
  if #names > 0 then
    glance(unpack(names))
  end
  for _, lane in ipairs(laneOrder) do
    for letter, changes in pairs({ n = n, f = f, y = y }) do
      if changes[lane] ~= 0 then
        setShard(letter .. ':' .. lane, max(0, shardNumber(letter .. ':' .. lane) + changes[lane]))
      end
    end
  end
  if ready ~= 0 then
    setShard('ready', max(0, shardNumber('ready') + ready))
  end

  -- from here on only writes; first those of keys that were not read, which fail while nothing has changed if the key is of another type
  for _, g in ipairs(groupOrder) do
    if g.isNew then
      call('RPUSH', T .. ':r:' .. g.run .. ':k', g.gid)
    end
  end
  for _, g in ipairs(groupOrder) do
    if g.isTouched then
      commitGroup(g)
    end
  end
  for _, run in ipairs(runOrder) do
    if #run.changes > 0 then
      many('HSET', run.key, run.changes)
    end
  end
  for _, save in ipairs(saves) do
    for at = 2, #save, 2 do
      call('HSETNX', save[1], save[at], save[at + 1])
    end
  end
  for session, fields in pairs(owned) do
    local gone, kept = {}, {}
    for field, count in pairs(fields) do
      if count > 0 then
        kept[#kept + 1], kept[#kept + 2] = field, count
      else
        gone[#gone + 1] = field
      end
    end
    many('HSET', T .. ':o:' .. session, kept)
    many('HDEL', T .. ':o:' .. session, gone)
  end
  for _, entry in ipairs(due) do
    call('ZADD', T .. ':due', whole(entry[1]), entry[2])
  end
  many('ZREM', T .. ':due', dueGone)
  for _, entry in ipairs(delayedDue) do
    call('ZADD', T .. ':d', whole(entry[1]), entry[2])
  end
  many('ZREM', T .. ':d', promotedGone)
  many('RPUSH', T .. ':todo', closeLater)
  many('RPUSH', T .. ':todo', placeLater)
  many('HSET', T .. ':l', newLanes)
  for _, session in ipairs(woken) do
    call('ZREM', T .. ':wait', session)
    call('HDEL', T .. ':wi:' .. session, 'wait')
  end
  for _, letter in ipairs(deadLetters) do
    local g = letter[1]
    redis.pcall('XADD', T .. ':dead', 'MAXLEN', '~', 1000, '*', 'gid', g.gid, 'index', letter[2], 'run', g.run, 'kind', letter[3] == DEAD and 'dead' or 'failed', 'errors', letter[4],
      'losses', letter[5], 'at', wall(), 'isCut', letter[6] and 0 or 1, 'input', letter[6] or '', 'error', letter[7])
  end
  commitShard()
  commitNews()
end
