-- Writing: works out what follows from the changed picture (places in lanes, counters, which sessions are notified), then writes all of it. Hides
-- in which order keys are written. From the first write on nothing is read.
-- Gives: commit later commitLater
-- Needs:
--   base: commitNotices commitShard many readShard setShard shard
--   branch-table: commitTable
--   children: commitChildren
--   closing: commitTodo settleClosing
--   dead-letters: commitDeadLetters
--   due-queue: commitPlans
--   grants: commitEnded commitHeld
--   group: forgotten groupOrder headOf readyOf stateOf
--   ready-queue: commitLanes isGrantable
--   retries: commitRetries
--   run: commitListings commitRuns
--   runs: commitSaves
--   waking: commitNotified notifyPlanned
-- Writes that come behind all others, where a script asks for them.
local afterwards = {}

function begin_commit()
  if afterwards[1] then afterwards = {} end
end

-- A command, as a list, to be done by `commitLater`.
function later(command)
  afterwards[#afterwards + 1] = command
end

function commitLater()
  for i = 1, #afterwards do
    call(unpack(afterwards[i]))
  end
end

-- The records of grants that have changed, behind `fields`; those that are over go only while the group is open: later nobody asks for them.
local function addRecords(g, fields)
  local at, over = #fields, nil
  local changes = g.recordChanges
  for i = 1, changes and #changes or 0 do
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
  for field, record in pairs(g.taskChanges or {}) do
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
  local fields = { 's', stateOf(g) }
  local at = 2
  if g.isNew then
    fields[3], fields[4], fields[5], fields[6] = 'h', headOf(g), 'g', g.spec
    at = 6
  end
  if g.inline and g.isTableChanged then
    fields[at + 1], fields[at + 2] = 'd', g.all and g.all .. sub(g.inline, g.size * 8 + 1) or g.inline
    at = at + 2
  end
  if g.isSegmentsChanged then
    fields[at + 1], fields[at + 2] = 'segs', g.segments
    at = at + 2
  end
  if g.outcome then
    fields[at + 1], fields[at + 2] = 'o', g.outcome
  end
  local over = addTasks(g, fields, addRecords(g, fields))
  many('HSET', b, fields)
  if over then
    many('HDEL', b, over)
  end
end

local function commitGroup(g)
  local b = g.b
  if g.writes then
    for _, write in ipairs(g.writes) do
      call(unpack(write))
    end
  end
  commitTable(g)
  commitFields(g)
  if g.requeued and #g.requeued > 0 and g.state == 'o' then
    many('RPUSH', b .. ':r', g.requeued)
  end
  if g.outcomes then
    for _, outcome in ipairs(g.outcomes) do
      call('HSET', b .. ':o', outcome[1], outcome[2])
    end
  end
  if g.isQueued and not g.wasQueued then
    call('ZADD', T .. ':q:' .. g.lane, g.score, g.gid)
  elseif g.wasQueued and not g.isQueued then
    call('ZREM', T .. ':q:' .. g.lane, g.gid)
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

-- What groups have changed of the counters of the shard and of their lanes; works out which groups stand in their lane from now on.
local function countGroups(changes, names)
  for i = 1, #groupOrder do
    local g = groupOrder[i]
    if g.isTouched then
      g.isQueued = isGrantable(g)
      local ready, inFlight, delayed = readyOf(g) - g.readyBefore, g.inFlight - g.inFlightBefore, g.delayed - g.delayedBefore
      if ready ~= 0 then
        count(changes, names, 'ready', ready)
        count(changes, names, 'n:' .. g.lane, ready)
      end
      if inFlight ~= 0 then
        count(changes, names, 'f:' .. g.lane, inFlight)
      end
      if delayed ~= 0 then
        count(changes, names, 'y:' .. g.lane, delayed)
      end
    end
  end
  for i = 1, #forgotten do
    local g = forgotten[i]
    if g.isQueued then
      count(changes, names, 'ready', -g.readyBefore)
      count(changes, names, 'n:' .. g.lane, -g.readyBefore)
    end
  end
end

local function countChanges()
  local changes, names = {}, {}
  countGroups(changes, names)
  local unknown
  for i = 1, #names do
    if shard[names[i]] == nil then
      unknown = unknown or {}
      unknown[#unknown + 1] = names[i]
    end
  end
  if unknown then
    readShard(unknown)
  end
  for i = 1, #names do
    local name = names[i]
    setShard(name, max(0, (tonumber(shard[name]) or 0) + changes[name]))
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
  settleClosing()
  countChanges()
  notifyPlanned()

  -- From here on only writes. Those of keys that were not read come first: one fails if its key is of another type, and then those before it
  -- have only left an entry that names nothing, which the next reader drops.
  local ended = commitHeld()
  commitListings()
  commitGroups()
  commitRuns()
  commitSaves()
  if ended then
    commitEnded(ended)
  end
  commitPlans()
  commitRetries()
  commitTodo()
  commitLanes()
  commitNotified()
  commitDeadLetters()
  commitShard()
  commitNotices()
end
