-- One run as a picture in memory: read once, changed there, written by `commit`; with its place in the lists of runs and of its groups.
-- Gives: loadRun addRun forgetRun setRun listRun listGroup pinRun unpinRun commitListings commitRuns
-- Needs:
--   base: many readHint setShard shardNumber whole
--   uploads: uploads
-- By id: the facts, or false when there is none.
local runs, runOrder = {}, {}
-- Writes of keys that were not read. By run: the one that lists its new groups.
local listings, groupListing = {}, {}

function begin_run()
  if next(runs) ~= nil then runs, runOrder = {}, {} end
  if listings[1] then listings, groupListing = {}, {} end
end

-- A run that is known from now on: by `loadRun`, or because it is new.
function addRun(run)
  runs[run.id] = run
  runOrder[#runOrder + 1] = run
end

function forgetRun(id)
  runs[id] = nil
end

function loadRun(id)
  local run = runs[id]
  if run ~= nil then
    return run
  end
  local key = T .. ':r:' .. id
  local values = call('HMGET', key, 'created', 'end', 'paused', 'aband', 'started', 'startedAt', 'ret', 'timeout', 'wf', 'opener', 'lostAt',
    'waits', 'epoch', 'build')
  if not values[1] then
    runs[id] = false
    return false
  end
  run = { id = id, key = key, isEnded = values[2] ~= false, ended = values[2], isPaused = values[3] == '1', isAbandoned = values[4] == '1',
    isLeftBehind = values[5] == '1', hasOpener = values[10] == '1', lostAt = values[11] ~= '' and values[11], startedAt = values[6],
    hasWaits = values[12] ~= false, retention = tonumber(values[7]) or 0, timeout = values[8], workflow = values[9] or '',
    epoch = tonumber(values[13]) or 0, build = values[14], changes = false }
  addRun(run)
  return run
end

function setRun(run, name, value)
  local changes = run.changes or {}
  run.changes = changes
  local at = #changes
  changes[at + 1], changes[at + 2] = name, value
end

-- `created` in microseconds.
function listRun(id, created)
  listings[#listings + 1] = { 'ZADD', T .. ':runs', whole(created), id }
end

-- The run counts among the unfinished ones that are pinned to a build.
function pinRun(run)
  if readHint('HEXISTS', T .. ':pins', run.id) ~= 1 then
    setShard('pins', whole(shardNumber('pins') + 1))
  end
  listings[#listings + 1] = { 'HSET', T .. ':pins', run.id, run.build }
end

-- It is over, or deleted.
function unpinRun(run)
  if run.build and readHint('HEXISTS', T .. ':pins', run.id) == 1 then
    listings[#listings + 1] = { 'HDEL', T .. ':pins', run.id }
    setShard('pins', whole(max(0, shardNumber('pins') - 1)))
    run.build = false
  end
end

function listGroup(run, gid)
  local listing = groupListing[run]
  if listing then
    listing[#listing + 1] = gid
  else
    listing = { 'RPUSH', T .. ':r:' .. run .. ':k', gid }
    groupListing[run] = listing
    listings[#listings + 1] = listing
  end
end

function commitListings()
  for i = 1, #listings do
    call(unpack(listings[i]))
  end
end

function commitRuns()
  for i = 1, #runOrder do
    local run = runOrder[i]
    if run.changes then
      many('HSET', run.key, run.changes)
    end
    for _, write in ipairs(run.writes or {}) do
      call(unpack(write))
    end
    if run.valueUpload then
      uploads.move(run.valueUpload, run.key .. ':e')
    end
  end
end
