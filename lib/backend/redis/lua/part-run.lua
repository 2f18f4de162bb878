-- One run as a picture in memory: read once, changed there, written by `commit`; with its place in the lists of runs and of its groups.
-- Gives: PENDING RUNNING PAUSED WAITING LOST standings loadRun addRun forgetRun setRun withCall listGroup pinRun unpinRun
--   commitListings commitRuns
-- Needs:
--   base: many readHint setShard shardNumber shardValue whole
--   event-log: eventLog
--   uploads: uploads
-- Where a run stands in T:runs, which lists runs by state and then by creation: a pending one at the microsecond of its creation, any other in
-- quarters of one, with its standing times 2^50 below 0. So a change of state is one write, and an older release reads the key as it ever did.
-- A run whose driver is lost stands apart: whether it is called pending or abandoned is a matter of time.
PENDING, RUNNING, PAUSED, WAITING, LOST = 0, 1, 2, 3, 4
local END_STANDINGS = { completed = 5, failed = 6, cancelled = 7 }
local STANDING_SPAN = 1125899906842624
-- By id: the facts, or false when there is none.
local runs, runOrder = {}, {}
-- Writes of keys that were not read. By run: the one that lists its new groups.
local listings, groupListing = {}, {}

function begin_run()
  if next(runs) ~= nil then runs, runOrder = {}, { nil } end
  if listings[1] then listings, groupListing = { nil, nil }, {} end
end

-- A run that is known from now on: by `loadRun`, or because it is new.
function addRun(run)
  runs[run.id] = run
  runOrder[#runOrder + 1] = run
end

function forgetRun(id)
  runs[id] = nil
end

-- What the picture of a run is made of.
local FACTS = { 'created', 'end', 'paused', 'aband', 'started', 'startedAt', 'ret', 'timeout', 'wf', 'opener', 'lostAt', 'waits', 'epoch', 'build',
  'us' }

function loadRun(id)
  local run = runs[id]
  if run ~= nil then
    return run
  end
  local key = T .. ':r:' .. id
  local created, ended, paused, abandoned, started, startedAt, retention, timeout, workflow, opener, lostAt, waits, epoch, build, us =
    unpack(call('HMGET', key, unpack(FACTS)), 1, #FACTS)
  if not created then
    runs[id] = false
    return false
  end
  run = { id = id, key = key, isEnded = ended ~= false, ended = ended, isPaused = paused == '1', isAbandoned = abandoned == '1',
    isLeftBehind = started == '1', hasOpener = opener == '1', lostAt = lostAt ~= '' and lostAt, startedAt = startedAt, hasWaits = waits ~= false,
    retention = tonumber(retention) or 0, timeout = timeout, workflow = workflow or '', epoch = tonumber(epoch) or 0, build = build,
    micros = (tonumber(created) or 0) * 1000 + (tonumber(us) or 0), changes = false }
  addRun(run)
  return run
end

function setRun(run, name, value)
  local changes = run.changes
  if not changes then
    changes = {}
    run.changes = changes
  end
  local at = #changes
  changes[at + 1], changes[at + 2] = name, value
end

-- Calls that changed a run, by what names them, the newest first, each between two spaces, with one more: a repeat of one is known, while it is one
-- of the last. Without any, `known` is a space.
local CALLS_KNOWN = 32

function withCall(known, name)
  local at = 1
  for _ = 2, CALLS_KNOWN do
    at = find(known, ' ', at + 1, true)
    if not at then
      return ' ' .. name .. known
    end
  end
  return ' ' .. name .. sub(known, 1, at)
end

-- The score of a run in T:runs; `micros`: its creation by the clock.
local function scoreOf(standing, micros)
  local quarters = floor(micros / 4)
  return standing == PENDING and quarters * 4 or quarters - standing * STANDING_SPAN
end

-- The run stands there from now on. A pause hides what it does meanwhile, but not that it is abandoned.
local function relist(run, standing)
  run.standing = run.isPaused and not run.isEnded and not run.isAbandoned and PAUSED or standing
end

-- Where a run stands that has ended so.
local function ofEnd(as)
  return END_STANDINGS[as] or END_STANDINGS.failed
end

-- The run is found by this word: `w:<workflow>`, `t:<tag>` or `b:<build>`.
local function index(run, word)
  listings[#listings + 1] = { 'ZADD', T .. ':by:' .. word, whole(run.micros), run.id }
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

-- Whether this call changes where the run stands.
local function isMoved(id)
  return runs[id] and runs[id].standing ~= nil
end

standings = { scoreOf = scoreOf, relist = relist, ofEnd = ofEnd, index = index, isMoved = isMoved, SPAN = STANDING_SPAN }

-- What a run is called that stands there (run-state.ts has the same rule).
local NAMES = { [PENDING] = 'pending', [RUNNING] = 'running', [PAUSED] = 'paused', [WAITING] = 'waiting', [5] = 'completed', [6] = 'failed',
  [7] = 'cancelled' }

-- For those who look at what happens: what the run is called from now on, and what it was called before.
local function noteStanding(run)
  local score = tonumber(readHint('ZSCORE', T .. ':runs', run.id) or nil)
  local before = score and (score >= 0 and PENDING or floor((STANDING_SPAN - 1 - score) / STANDING_SPAN))
  local wasAbandoned = before == LOST and call('HGET', run.key, 'aband') == '1'
  local from = before and (NAMES[before] or (wasAbandoned and 'abandoned' or 'pending'))
  eventLog.noteRun(run.id, run.workflow, from, NAMES[run.standing] or (run.isAbandoned and 'abandoned' or 'pending'))
end

function commitListings()
  for i = 1, #runOrder do
    local run = runOrder[i]
    if run.standing then
      if shardValue('ev') and eventLog.isKept() then
        noteStanding(run)
      end
      call('ZADD', T .. ':runs', whole(scoreOf(run.standing, run.micros)), run.id)
    end
  end
  for i = 1, #listings do
    call(unpack(listings[i]))
  end
  if begins[1] then
    eventLog.commitEvents()
  end
end

function commitRuns()
  for i = 1, #runOrder do
    local run = runOrder[i]
    if run.changes then
      many('HSET', run.key, run.changes)
    end
    if run.writes then
      for _, write in ipairs(run.writes) do
        call(unpack(write))
      end
    end
    if run.valueUpload then
      uploads.move(run.valueUpload, run.key .. ':e')
    end
  end
end
