-- Writing: works out what follows from the changed picture (places in lanes, counters, who is notified), then writes all of it. Hides which keys
-- hold what. From the first write on nothing is read.
-- Lua has room for 200 names, so those of this part are its own but one.
local commit
do

-- Kept at most, or roughly so many.
local MOST_DEAD_LETTERS = 1000

local function commitTable(g)
  if g.inline then
    return
  end
  local d = g.b .. ':d'
  if g.contents then
    -- what comes behind the cells of a new group
    call('SET', d, (g.all or rep(NO_CELL, g.size)) .. g.contents)
  elseif g.isTableChanged then
    call('SETRANGE', d, 0, g.all)
  end
  local cells = g.cells
  local i, count = 1, cells and #cells or 0
  while i <= count do
    -- neighbours in order are one write
    local from, parts = cells[i][1], { cells[i][2] }
    local behind = from + #parts[1] / 8
    while i < count and cells[i + 1][1] == behind do
      i = i + 1
      parts[#parts + 1] = cells[i][2]
      behind = behind + #cells[i][2] / 8
    end
    call('SETRANGE', d, from * 8, concat(parts))
    i = i + 1
  end
end

-- The hash is written at once; the records of grants that are over go only while the group is open: later nobody asks for them.
local function commitFields(g)
  local b = g.b
  local fields, gone = { 's', stateOf(g) }, nil
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
    at = at + 2
  end
  local changes = g.recordChanges
  for i = 1, changes and #changes or 0 do
    local grantNumber = changes[i]
    local record = g.records[grantNumber]
    if record then
      fields[at + 1], fields[at + 2] = 't' .. grantNumber, record
      at = at + 2
    elseif g.state == 'o' then
      gone = gone or {}
      gone[#gone + 1] = 't' .. grantNumber
    end
  end
  many('HSET', b, fields)
  if gone then
    many('HDEL', b, gone)
  end
end

-- The groups that branches of this one have opened. Before all that says so: an entry that names nothing does no harm.
local function commitChildren(g)
  if g.areChildrenGone then
    call('UNLINK', g.b .. ':k')
    return
  end
  for index, children in pairs(g.children) do
    if children == '' then
      call('HDEL', g.b .. ':k', index)
    else
      call('HSET', g.b .. ':k', index, children)
    end
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

local function countChanges()
  local changes, names = {}, {}
  for i = 1, #groupOrder do
    local g = groupOrder[i]
    if g.isTouched then
      g.isQueued = isGrantable(g)
      local more, flying, waiting = readyOf(g) - g.readyBefore, g.inFlight - g.inFlightBefore, g.delayed - g.delayedBefore
      if more ~= 0 then
        count(changes, names, 'ready', more)
        count(changes, names, 'n:' .. g.lane, more)
      end
      if flying ~= 0 then
        count(changes, names, 'f:' .. g.lane, flying)
      end
      if waiting ~= 0 then
        count(changes, names, 'y:' .. g.lane, waiting)
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

-- What sessions hold now is written; what they hold no more is the answer: by key, a list of fields.
local function commitHeld()
  local gone
  for session, fields in pairs(owned) do
    local key, kept, left = T .. ':o:' .. session, {}, {}
    for field, held in pairs(fields) do
      if held > 0 then
        kept[#kept + 1], kept[#kept + 2] = field, held
      else
        left[#left + 1] = field
      end
    end
    many('HSET', key, kept)
    if left[1] then
      gone = gone or {}
      gone[key] = left
    end
  end
  return gone
end

local function commitPlans()
  for i = 1, #due do
    call('ZADD', T .. ':due', due[i][1], due[i][2])
  end
  if dueGone[1] then many('ZREM', T .. ':due', dueGone) end
  for i = 1, #delayedDue do
    call('ZADD', T .. ':d', delayedDue[i][1], delayedDue[i][2])
  end
  if promotedGone[1] then many('ZREM', T .. ':d', promotedGone) end
  if closeLater[1] then many('RPUSH', T .. ':todo', closeLater) end
  if placeLater[1] then many('RPUSH', T .. ':todo', placeLater) end
  if newLanes[1] then many('HSET', T .. ':l', newLanes) end
end

local function commitLetters()
  local key, at = T .. ':dead', whole(wall())
  for i = 1, #deadLetters do
    local letter = deadLetters[i]
    local g = letter[1]
    tryCall('XADD', key, '*', 'gid', g.gid, 'index', letter[2], 'run', g.run, 'kind', letter[3] == DEAD and 'dead' or 'failed', 'errors', letter[4],
      'losses', letter[5], 'at', at, 'input', letter[6] or '', 'error', letter[7])
  end
  tryCall('XTRIM', key, 'MAXLEN', '~', MOST_DEAD_LETTERS)
end

-- Works out what follows from the changes, then writes all of them.
function commit()
  settleClosing()
  countChanges()
  if #notifications > 0 and #waitingSessions() > 0 then
    for i = 1, #notifications do
      notifyFor(notifications[i][1], notifications[i][2])
    end
  end

  -- From here on only writes. Those of keys that were not read come first: one fails if its key is of another type, and then those before it
  -- have only left an entry that names nothing, which whoever meets it drops.
  local gone = commitHeld()
  for i = 1, #early do
    call(unpack(early[i]))
  end
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
  for i = 1, #runOrder do
    if runOrder[i].changes then
      many('HSET', runOrder[i].key, runOrder[i].changes)
    end
  end
  for i = 1, #saves do
    local save = saves[i]
    for at = 2, #save, 2 do
      call('HSETNX', save[1], save[at], save[at + 1])
    end
  end
  if gone then
    -- what stays because its key is of another type is forgotten by whoever meets it
    for key, fields in pairs(gone) do
      for i = 1, #fields, 4000 do
        tryCall('HDEL', key, unpack(fields, i, min(i + 3999, #fields)))
      end
    end
  end
  commitPlans()
  for i = 1, #notified do
    local waiter = notified[i]
    call('ZADD', T .. ':wait', 'XX', -now(), waiter.session)
    call('HSET', T .. ':wi:' .. waiter.session, 'wait', '!' .. waiter.wait)
  end
  for i = 1, #lessened do
    call('HSET', T .. ':wi:' .. lessened[i].session, 'wait', lessened[i].wait)
  end
  if deadLetters[1] then
    commitLetters()
  end
  commitShard()
  commitNotices()
end

end
