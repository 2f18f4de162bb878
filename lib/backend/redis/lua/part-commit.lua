-- Writing: works out what follows from the changed picture (places in lanes, counters, which sessions are notified), then writes all of it. Hides
-- in which order keys are written. From the first write on nothing is read.
-- Gives: commit later commitLater
-- Needs:
--   base: commitNotices commitShard many newEpoch readShard setShard shard shardValue whole
--   branch-table: commitTable
--   children: commitChildren
--   closing: commitTodo settleClosing
--   dead-letters: commitDeadLetters
--   due-queue: commitPlans
--   grants: commitEnded commitHeld
--   group: forgotten groupOrder headOf packing readyOf stateOf
--   ready-queue: commitLanes isGrantable registerLane
--   retries: retries
--   run: commitListings commitRuns
--   runs: commitSaves
--   uploads: uploads
--   waking: commitNotified notifyPlanned
--   wide-lanes: wideLanes
-- Writes that come behind all others, where a script asks for them.
local afterwards = {}

local function reset()
  afterwards = {}
end

-- A command, as a list, to be done by `commitLater`.
function later(command)
  if not afterwards[1] then begins[#begins + 1] = reset end
  afterwards[#afterwards + 1] = command
end

function commitLater()
  for i = 1, #afterwards do
    call(unpack(afterwards[i]))
  end
end

-- The records of grants that have changed, behind `fields`; those that are over go only while the group is open: later nothing asks for them.
local function addRecords(g, fields)
  local at, over = #fields, nil
  local changes = g.recordChanges
  for i = 1, #changes do
    local grantNumber = changes[i]
    local record = g.records[grantNumber]
    if record then
      fields[at + 1], fields[at + 2] = 't' .. grantNumber, record
      at = at + 2
    elseif g.state == 'o' then
      over = over or {}
      over[#over + 1] = 't' .. grantNumber
    end
  end
  return over
end

-- The same of tasks in hand.
local function addTasks(g, fields, over)
  for field, record in pairs(g.taskChanges) do
    if record then
      fields[#fields + 1], fields[#fields + 2] = field, record
    elseif g.state == 'o' then
      over = over or {}
      over[#over + 1] = field
    end
  end
  return over
end

local function commitFields(g)
  local b = g.b
  local fields = { 's', stateOf(g), nil, nil, nil, nil, nil, nil, nil, nil, nil, nil }
  local at = 2
  if g.isNew or g.wasPacked then
    fields[3], fields[4], fields[5], fields[6] = 'h', headOf(g), 'g', g.spec
    at = 6
  elseif g.laneBefore then
    fields[3], fields[4] = 'h', headOf(g)
    at = 4
  end
  if g.need then
    fields[at + 1], fields[at + 2] = 'need', g.need
    at = at + 2
  end
  if g.inline and (g.isTableChanged or g.wasPacked) then
    fields[at + 1], fields[at + 2] = 'd', g.all and g.all .. (g.contents or sub(g.inline, g.size * 8 + 1)) or g.inline
    at = at + 2
  end
  if g.isParkedChanged or g.wasPacked then
    fields[at + 1], fields[at + 2] = 'w', whole(g.parked)
    at = at + 2
  end
  if g.isSegmentsChanged then
    fields[at + 1], fields[at + 2] = 'segs', g.segments
    at = at + 2
  end
  if g.outcome then
    fields[at + 1], fields[at + 2] = 'o', g.outcome
    at = at + 2
  end
  if g.apart then
    fields[at + 1], fields[at + 2] = 'apart', g.apart
  end
  local over = g.recordChanges and addRecords(g, fields)
  if g.taskChanges then
    over = addTasks(g, fields, over)
  end
  many('HSET', b, fields)
  if over then
    many('HDEL', b, over)
  end
end

-- The root is one string from now on, or still.
local function commitPacked(g)
  call('SET', T .. ':p:' .. g.gid, packing.textOf(g))
  if not g.wasPacked then
    call('UNLINK', g.b, g.b .. ':r')
    if g.packed.isAlone then
      call('UNLINK', T .. ':r:' .. g.run .. ':k')
    end
  end
end

local function commitGroup(g)
  local b = g.b
  if g.packed then
    if g.parked == 1 and g.state == 'o' and not g.wasQueued then
      commitPacked(g)
      return
    elseif g.wasPacked then
      call('UNLINK', T .. ':p:' .. g.gid)
      if g.packed.isAlone then
        call('RPUSH', T .. ':r:' .. g.run .. ':k', g.gid)
      end
    end
  end
  if g.writes then
    for _, write in ipairs(g.writes) do
      call(unpack(write))
    end
  end
  if g.segmentUpload then
    uploads.move(unpack(g.segmentUpload))
  end
  if not g.inline then
    commitTable(g)
  end
  commitFields(g)
  if g.requeued and #g.requeued > 0 and g.state == 'o' then
    many('RPUSH', b .. ':r', g.requeued)
  end
  if g.outcomes then
    for _, outcome in ipairs(g.outcomes) do
      call('HSET', b .. ':o', outcome[1], outcome[2])
      if outcome[3] and not g.isRoot then
        -- those of a root are the value of its run
        uploads.move(outcome[3], b .. ':o' .. outcome[1])
      end
    end
  end
  if g.isQueued ~= g.wasQueued then
    if g.isQueued then
      call('ZADD', T .. ':q:' .. g.lane, g.score, g.gid)
    else
      call('ZREM', T .. ':q:' .. g.lane, g.gid)
    end
  end
end

-- Changes of counters of T:m, by field, in the order of `names`.
local function count(changes, names, name, change)
  local before = changes[name]
  if not before then
    names[#names + 1] = name
  end
  changes[name] = (before or 0) + change
end

-- Whatever lanes and counters have of a group counts only when the group says that it was written in this epoch: a repair begins another one.
local function hintEpoch()
  local epoch = tonumber(shardValue('epoch'))
  if not epoch then
    epoch = newEpoch()
    setShard('epoch', whole(epoch))
    setShard('act', ',')
    setShard('ready', '0')
    setShard('kinds', '0')
    if call('EXISTS', T .. ':runs', T .. ':l') > 0 then
      setShard('fix', 'new')
    end
  end
  return epoch
end

-- Names of the lanes in which groups stand are one field, with commas around each.
local function setActive(lane, isWanted)
  local all = shardValue('act') or ','
  local at = find(all, ',' .. lane .. ',', 1, true)
  if isWanted and not at then
    setShard('act', all .. lane .. ',')
  elseif at and not isWanted and (shardValue('fix') or '') == '' then
    -- while a repair counts anew, it is unknown whether it was the last
    setShard('act', sub(all, 1, at) .. sub(all, at + #lane + 2))
  end
end

-- What groups have changed of the counters of the shard and of their lanes; works out which groups stand in their lane from now on. Lanes that this
-- call has to do with, and a group of each; nil where there are none.
local function countGroups(changes, names)
  local epoch, appeared = hintEpoch(), nil
  for i = 1, #groupOrder do
    local g = groupOrder[i]
    if g.isTouched then
      if g.epoch ~= epoch then
        -- nothing counts it yet, and it may stand in no lane
        g.epoch, g.wasQueued, g.readyBefore, g.inFlightBefore, g.delayedBefore = epoch, false, 0, 0, 0
      end
      -- none of a root that its opener drives count, and none of it are queued
      local readyNow = g.isOpeners and 0 or readyOf(g)
      g.isQueued = readyNow > 0 and isGrantable(g, readyNow)
      if g.isQueued ~= g.wasQueued then
        count(changes, names, 'c:' .. g.lane, g.isQueued and 1 or -1)
      end
      local ready, inFlight = readyNow - g.readyBefore, (g.isOpeners and 0 or g.inFlight) - g.inFlightBefore
      local delayed = g.delayed - g.delayedBefore
      if ready ~= 0 then
        count(changes, names, 'ready', ready)
        count(changes, names, 'n:' .. g.lane, ready)
      end
      if ready > 0 or inFlight > 0 or g.isQueued then
        appeared = appeared or {}
        appeared[g.lane] = g
      end
      if inFlight ~= 0 then
        count(changes, names, 'f:' .. (g.laneBefore or g.lane), inFlight)
      end
      if delayed ~= 0 then
        count(changes, names, 'y:' .. g.lane, delayed)
      end
    end
  end
  for i = 1, #forgotten do
    local g = forgotten[i]
    if g.wasQueued and g.epoch == epoch then
      count(changes, names, 'ready', -g.readyBefore)
      count(changes, names, 'n:' .. g.lane, -g.readyBefore)
      count(changes, names, 'c:' .. g.lane, -1)
    end
  end
  return appeared
end

local function countChanges()
  local changes, names = {}, { nil, nil }
  local appeared = countGroups(changes, names) or names[1] and {}
  if not appeared then
    return
  end
  local unknown
  for lane in pairs(appeared) do
    if shard['n:' .. lane] == nil then
      unknown = unknown or {}
      unknown[#unknown + 1] = 'n:' .. lane
    end
  end
  for i = 1, #names do
    if shard[names[i]] == nil then
      unknown = unknown or {}
      unknown[#unknown + 1] = names[i]
    end
  end
  if unknown then
    readShard(unknown)
  end
  for lane, g in pairs(appeared) do
    if not shard['n:' .. lane] then
      registerLane(lane, g)
      setShard('n:' .. lane, '0')
    end
  end
  for i = 1, #names do
    local name = names[i]
    local value = max(0, (tonumber(shard[name]) or 0) + changes[name])
    setShard(name, whole(value))
    if byte(name) == 99 then
      setActive(sub(name, 3), value > 0)
    end
  end
end

local function commitGroups()
  for i = 1, #groupOrder do
    local g = groupOrder[i]
    if g.isTouched and (g.children or g.areChildrenGone) then
      commitChildren(g)
    end
  end
  for i = 1, #groupOrder do
    local g = groupOrder[i]
    if g.isTouched then
      commitGroup(g)
    end
  end
end

-- Works out what follows from the changes, then writes all of them.
function commit()
  if begins[1] then
    settleClosing()
  end
  countChanges()
  notifyPlanned()

  -- From here on only writes. Those of keys that were not read come first: one fails if its key is of another type, and then those before it
  -- have only left an entry that names nothing, which the next reader drops.
  local ended = commitHeld()
  commitListings()
  commitGroups()
  commitRuns()
  -- what few calls fill, they all have said in `begins`
  local hasRare = begins[1] ~= nil
  if hasRare then
    commitSaves()
  end
  if ended then
    commitEnded(ended)
  end
  commitPlans()
  if hasRare then
    retries.commitRetries()
    commitTodo()
  end
  commitLanes()
  if hasRare then
    wideLanes.commit()
  end
  commitNotified()
  if hasRare then
    commitDeadLetters()
  end
  commitShard()
  commitNotices()
end
