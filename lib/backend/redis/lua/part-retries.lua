-- Branches that are to start again: at once, after a delay, or in a new epoch of their run. Hides which outcomes of a group stay when it is opened
-- again: those of branches that succeeded. All others start anew, with no errors and no losses, once their inputs are there again.
-- Gives: requeue retries
-- Needs:
--   base: many now quarantine whole
--   branch-table: DEAD DELAYED READY SMALL SUCCEEDED cellOf cellsOf isParked setCells tableOf
--   group: filled forget load specOf touch
--   waking: addReady
-- Entries for T:d; those of it that are over.
local delayed, promotedEntries = {}, {}

local function reset()
  delayed, promotedEntries = {}, {}
end

-- The branches that are requeued in this call, for which `count` more are added.
local function requeuedWith(g, count)
  if not g.requeued then
    call('LLEN', g.b .. ':r')
    g.requeued = {}
  end
  g.requeuedCount = g.requeuedCount + count
  return g.requeued
end

-- Makes a branch ready again, with its counters; `cell` has 0 as its grant when that means nothing any more.
function requeue(g, index, cell)
  setCells(g, index, cell)
  local requeued = requeuedWith(g, 1)
  requeued[#requeued + 1] = index
end

-- The branch waits for its retry.
local function delay(g, index, cell, delayMs)
  setCells(g, index, cell)
  if not delayed[1] then begins[#begins + 1] = reset end
  delayed[#delayed + 1] = { now() + delayMs, g.gid .. '#' .. whole(index) }
  g.delayed = g.delayed + 1
end

-- The retry is due; false when the table does not know the branch as delayed.
local function promote(gid, index)
  local g = load(gid)
  local cell = g and g.state == 'o' and cellOf(g, index)
  if not cell or byte(cell) ~= DELAYED or isParked(cell) then
    return false
  end
  touch(g)
  requeue(g, index, char(READY) .. sub(cell, 2))
  g.delayed = g.delayed - 1
  addReady(g, 1)
  return true
end

-- Promotes up to `most` delayed branches whose time has come: how many, and when the next is due. An entry that the table does not know as
-- delayed, or whose group cannot be read, is forgotten.
local function promoteDue(most)
  local first = call('ZRANGE', T .. ':d', 0, 0, 'WITHSCORES')
  if not first[1] or tonumber(first[2]) > now() then
    return 0, tonumber(first[2])
  end
  local entries = call('ZRANGEBYSCORE', T .. ':d', '-inf', whole(now()), 'LIMIT', 0, most)
  local promoted = 0
  for _, entry in ipairs(entries) do
    if not promotedEntries[1] then begins[#begins + 1] = reset end
    promotedEntries[#promotedEntries + 1] = entry
    local gid, index = match(entry, '^(.*)#(%d+)$')
    if gid then
      local isFine, isReady = pcall(promote, gid, tonumber(index))
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

local function commitRetries()
  for i = 1, #delayed do
    call('ZADD', T .. ':d', delayed[i][1], delayed[i][2])
  end
  if promotedEntries[1] then many('ZREM', T .. ':d', promotedEntries) end
end

-- As lib/backend/reserved.ts has it.
local LAYOUT_CAPABILITY = 'layout:4'
-- Ready again, and whoever gets it reads what was saved.
local ANEW = '\0\0\0\10\0\0\0\0'
-- Succeeded, under a grant that means nothing any more.
local KEPT = '\3\0\0\0\0\0\0\0'

-- Behind those that a group has already, in order.
local function addWrite(g, write)
  g.writes = g.writes or {}
  g.writes[#g.writes + 1] = write
end

-- Whatever was granted before means nothing any more: records of grants, of tasks in hand and of parked branches go, and `names` with them.
local function forgetGrants(g, names)
  for _, name in ipairs(call('HKEYS', g.b)) do
    if find(name, '^[tkq]%d+$') then
      names[#names + 1] = name
    end
  end
  for i = 1, #names, 4000 do
    addWrite(g, { 'HDEL', g.b, unpack(names, i, min(i + 3999, #names)) })
  end
end

-- The facts of a group that is open from now on.
local function openAnew(g)
  touch(g)
  g.laneBefore = g.laneBefore or g.lane -- so that its head is written
  g.state, g.closed, g.opened, g.isRetired, g.isReopened = 'o', 0, now(), false, true
  g.failed, g.dead, g.inFlight, g.delayed, g.parked, g.requeuedCount = 0, 0, 0, 0, 0, 0
  call('LLEN', g.b .. ':r')
  addWrite(g, { 'UNLINK', g.b .. ':r' })
end

-- The cells of a closed group as they begin anew, and how many branches have not succeeded.
local function cellsAnew(g)
  if g.isRetired and g.left == 0 and g.failed == 0 then
    return rep(KEPT, g.size), 0
  end
  local before, cells, left = cellsOf(g, 0, g.size), {}, 0
  for i = 1, g.size do
    local isKept = byte(before, i * 8 - 7) == SUCCEEDED
    cells[i] = isKept and KEPT or ANEW
    left = left + (isKept and 0 or 1)
  end
  return concat(cells), left
end

-- Opens a closed group again, without inputs. `undone`: branches that start anew, although they succeeded.
local function reopenGroup(g, epoch, undone)
  local b = g.b
  local cells, left = cellsAnew(g)
  local only = call('HGET', b, 'o')
  call('HLEN', b .. ':o')
  if only then
    addWrite(g, { 'HSET', b .. ':o', 1, only })
  end
  forgetGrants(g, { 'o', 'd', 'w' })
  for k = 0, #g.segments / 8 - 1 do
    addWrite(g, { 'UNLINK', b .. ':i' .. k })
  end
  g.inline = false
  setCells(g, 0, cells)
  local marks = call('HGET', b, 'undone') or ''
  for _, index in ipairs(undone) do
    if byte(cellOf(g, index)) == SUCCEEDED then
      setCells(g, index, ANEW)
      left = left + 1
      marks = marks .. pack('<I4I4', index, g.settles)
    end
  end
  openAnew(g)
  g.left, g.fill, g.bytes, g.next = left, 0, 0, 0
  g.segments, g.isSegmentsChanged = '', g.segments ~= ''
  addWrite(g, { 'HSET', b, 'ep', whole(epoch), 'redone', whole(g.settles), 'undone', marks })
end

-- What it asks of workers from now on.
local function setSpec(g, spec)
  g.spec = spec
  addWrite(g, { 'HSET', g.b, 'g', spec })
end

-- Only sessions that know of epochs take branches of this group from now on: a release of before would not know what to do with what is kept.
local function requireLayout(g)
  local spec = specOf(g)
  if not find(spec, '"' .. LAYOUT_CAPABILITY .. '"', 1, true) then
    setSpec(g, (string.gsub(spec, '"requires":%[', function(found)
      return found .. '"' .. LAYOUT_CAPABILITY .. '"' .. (find(spec, '"requires":[]', 1, true) and '' or ',')
    end, 1)))
  end
end

-- Opens the root group of a run again; its input is there.
local function reopenRoot(root)
  requireLayout(root)
  forgetGrants(root, { 'o', 'apart', 'w' })
  call('HLEN', root.b .. ':o')
  addWrite(root, { 'UNLINK', root.b .. ':o' })
  openAnew(root)
  root.isOpeners, root.settles, root.left = false, 0, 1
  setCells(root, 0, ANEW)
end

-- Before inputs are stored: they would come over cells that are not loaded.
local function keepCells(g, isWhole)
  if g.size <= SMALL then
    tableOf(g)
  elseif isWhole then
    g.all = cellsOf(g, 0, g.size)
  end
end

-- The branches from `from` on that have inputs now and no outcome are ready.
local function requeueAnew(g, from)
  local cells = cellsOf(g, from, filled(g) - from)
  g.next = filled(g)
  for i = 1, filled(g) - from do
    if byte(cells, i * 8 - 7) == READY then
      requeue(g, from + i - 1, sub(cells, i * 8 - 7, i * 8))
    end
  end
end

-- Branches that were never granted stand among the requeued ones from now on: so some of them may have an outcome before they are granted.
local function requeueFresh(g)
  local first, behind = g.next, filled(g)
  local requeued = requeuedWith(g, behind - first)
  for index = first, behind - 1 do
    requeued[#requeued + 1] = index
  end
  g.next, g.isReopened = behind, true
end

-- A branch of an open group that had failed has no outcome any more: readers pass over those that were counted so far.
local function undo(g, index)
  touch(g)
  local marks = g.undone or call('HGET', g.b, 'undone') or ''
  g.undone = marks .. pack('<I4I4', index, g.settles)
  addWrite(g, { 'HSET', g.b, 'undone', g.undone })
  g.left, g.failed = g.left + 1, g.failed - 1
  if byte(cellOf(g, index)) == DEAD then
    g.dead = g.dead - 1
  end
  requeueFresh(g)
end

-- Deletes saved outputs, before others are saved.
local function forgetSaved(run, g, paths)
  if not paths[1] then
    return
  end
  local key = run.key .. ':v'
  call('HLEN', key)
  touch(g)
  for i = 1, #paths, 4000 do
    addWrite(g, { 'HDEL', key, unpack(paths, i, min(i + 3999, #paths)) })
  end
end

-- Such a branch starts anew, and whoever gets it reads what was saved.
local function revive(g, index)
  undo(g, index)
  requeue(g, index, ANEW)
end

-- Commands that delete all keys of a group; they belong behind all other writes.
local function deletionOf(gid)
  local b = T .. ':b:' .. gid
  local lists = tryCall('HMGET', b, 'segs', 'apart')
  local segments, apart = lists[1], lists[2]
  local keys = { 'UNLINK', b, b .. ':d', b .. ':r', b .. ':k', b .. ':o' }
  local commands = { keys, { 'HDEL', T .. ':bad', gid } }
  for k = 0, (type(segments) == 'string' and #segments / 8 or 0) - 1 do
    keys[#keys + 1] = b .. ':i' .. k
  end
  for k = 1, type(apart) == 'string' and #apart - 3 or 0, 4 do
    keys[#keys + 1] = b .. ':o' .. whole((unpackBytes('<I4', apart, k)))
    if #keys > 4000 then
      keys = { 'UNLINK', b }
      commands[#commands + 1] = keys
    end
  end
  return commands
end

retries = { delay = delay, promoteDue = promoteDue, commitRetries = commitRetries, deletionOf = deletionOf, setSpec = setSpec,
  requeueFresh = requeueFresh, requireLayout = requireLayout, reopenGroup = reopenGroup, reopenRoot = reopenRoot, keepCells = keepCells,
  requeueAnew = requeueAnew, undo = undo, revive = revive, forgetSaved = forgetSaved }
