-- The body of open: a run's record, and the root group whose one branch is the run itself; maybe with a first group below it.
-- Gives: open
-- Needs:
--   base: activity now nowMicros readShard setShard shard shardNumber wall whole
--   branch-table: GRANTED cellOf setCells
--   commit: commit
--   due-queue: plan
--   grants: newGrant nonceOf recordOf
--   group: load
--   opening: addInputs commitGraphs hasGraph isUploaded newChild newGroup
--   pushing: push
--   ready-queue: laneFor needIn
--   run: PENDING RUNNING addRun standings pinRun setRun
--   sessions: callWatchers
--   waking: dropNotifications
-- A function of its own: Lua has room for 200 names in one, and the parts around have taken nearly all.
(function()
local FACTS_OF_RUN = { 'created', 'dig', 'nonce', 'end', 'opener' }
-- Where the root group begins in ARGV, and the first group.
local ROOT, FIRST = 15, 27
-- The cell of a root branch that is held by the session that opened the run, under the first grant; and once it has opened a group.
local DRIVEN, DRIVEN_AND_STEPPED = '\1\0\0\0\1\0\0\0', '\1\0\0\3\1\0\0\0'

-- `facts` of a run that is there: created, dig, nonce, end, opener.
local function answerForKnown(id, facts, runId, nonce, digest, session)
  if facts[2] ~= digest then
    return { 'CONFLICT', id }
  end
  if id ~= runId or facts[3] ~= nonce or facts[4] then
    return { 'EXISTS', id }
  end
  if session == '' then
    return facts[5] == '1' and { 'EXISTS', id } or { 'OK', '' }
  end
  local g = load(id)
  local cell = g and g.state == 'o' and cellOf(g, 0)
  if cell and byte(cell) == GRANTED then
    local token, _, holder = recordOf(g, tostring((unpackBytes('<I4', cell, 5))))
    if token and holder == session and nonceOf(token) == nonce then
      return { 'OK', token }
    end
  end
  return { 'EXISTS', id }
end

-- The answer when the run is there already, by its id or by its idempotency key.
local function answerIfKnown(runId, key, nonce, digest, session)
  local run = T .. ':r:' .. runId
  if call('HGET', run, FACTS_OF_RUN[1]) then
    local facts = call('HMGET', run, unpack(FACTS_OF_RUN))
    return answerForKnown(runId, facts, runId, nonce, digest, session)
  end
  local known = key ~= '' and call('GET', T .. ':k:' .. key)
  local facts = known and call('HMGET', T .. ':r:' .. known, unpack(FACTS_OF_RUN))
  return facts and facts[1] and answerForKnown(known, facts, runId, nonce, digest, session) or nil
end

-- The answer when nothing may be opened.
local function refusal(isFull, session, graph, hasChild)
  if session ~= '' and call('HEXISTS', T .. ':wi:' .. session, 'base') == 0 then
    return { 'NOSESSION' }
  end
  if isFull then
    return { 'BACKPRESSURE' }
  end
  if not hasGraph(graph) and hasChild then
    return { 'NOGRAPH' }
  end
  return nil
end

-- The one look at T:m: for the lane of the root, and that of the first group or nil, with its queue.
local function readFor(lane, second, isGranted, queue)
  local names = { 'ahead', 'seen', 'epoch', 'fix', 'dues', 'runs', 'fence', 'seq', 'keep', 'wide', 'ready', 'idle', 'ev' }
  if not isGranted then
    local at = #names
    names[at + 1], names[at + 2], names[at + 3], names[at + 4] = 'n:' .. lane, 'c:' .. lane, 'act', 'lanes'
  end
  if second then
    local at = #names
    names[at + 1], names[at + 2], names[at + 3] = 'p:' .. queue, 'n:' .. second, 'f:' .. second
  end
  readShard(names)
end

local function newRun(ARGV)
  local runId, session, nonce, workflow, key, timeout, retention, keep = unpack(ARGV, 1, 8)
  if shard.keep ~= keep then
    setShard('keep', keep)
  end
  local created = wall()
  local micros = created * 1000 + floor(nowMicros() % 1000 / 4) * 4
  local run = { id = runId, key = T .. ':r:' .. runId, isEnded = false, isPaused = false, isAbandoned = false,
    isLeftBehind = ARGV[10] == '1', hasOpener = session ~= '', lostAt = false,
    retention = tonumber(retention), timeout = timeout ~= '0' and timeout, startedAt = false, workflow = workflow,
    build = ARGV[12] ~= '' and ARGV[12],
    micros = micros,
    -- with room for what else most runs have
    changes = { 'created', whole(created), 'us', whole(micros % 1000), 'graph', ARGV[ROOT + 7], 'dig', ARGV[ROOT + 1], 'nonce', nonce,
      'ret', retention, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil } }
  addRun(run)
  if run.isLeftBehind then
    setRun(run, 'started', '1')
  end
  if workflow ~= '' then
    setRun(run, 'wf', workflow)
    standings.index(run, 'w:' .. workflow)
  end
  if key ~= '' then
    setRun(run, 'ikey', key)
  end
  if run.build then
    setRun(run, 'build', run.build)
    standings.index(run, 'b:' .. run.build)
    pinRun(run)
  end
  if session == '' then
    standings.relist(run, PENDING)
  end
  if ARGV[13] ~= '' then
    setRun(run, 'tags', ARGV[13])
    for tag in gmatch(ARGV[13], '[^\n]+') do
      standings.index(run, 't:' .. tag)
    end
  end
  if ARGV[14] ~= '' then
    setRun(run, 'terms', ARGV[14])
  end
  if run.timeout then
    setRun(run, 'timeout', timeout)
    plan(now() + timeout, 't ' .. runId)
  end
  setShard('runs', whole(shardNumber('runs') + 1))
  return run
end

-- Grants the root branch to the session that opens the run, and opens the first group of the run below it, where there is one. Gives the token, and
-- the group.
local function startRun(run, root, ARGV, childLane)
  local session, nonce, graceMs = ARGV[2], ARGV[3], ARGV[9]
  dropNotifications()
  root.next = 1
  local token = newGrant(root, session, nonce, '0-0', 1, graceMs)
  if shard.idle == '-1' then
    callWatchers(session)
  end
  root.isOpeners = true
  local changes = run.changes
  local at = #changes
  changes[at + 1], changes[at + 2], changes[at + 3], changes[at + 4], changes[at + 5], changes[at + 6] =
    'opener', '1', 'startedAt', whole(wall()), 'driver', session
  standings.relist(run, RUNNING)
  if not childLane then
    setCells(root, 0, DRIVEN)
    return token, nil
  end
  local child = newChild(ARGV, FIRST, root, 0, session, childLane)
  push(child, ARGV[FIRST + 8], ARGV[FIRST + 9], nonce, graceMs)
  setCells(root, 0, DRIVEN_AND_STEPPED)
  return token, child
end

-- `isFull`: memory is full, and nothing may be added.
function open(isFull, ARGV)
  local runId, session, nonce, key = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
  local hasChild = ARGV[FIRST] ~= nil
  local answer = answerIfKnown(runId, key, nonce, ARGV[ROOT + 1], session) or refusal(isFull, session, ARGV[ROOT + 7], hasChild)
  if answer then
    return answer
  end
  if not isUploaded(ARGV, ROOT) or (hasChild and not isUploaded(ARGV, FIRST)) then
    return { 'MISSING' }
  end
  local lane, childLane = laneFor(ARGV, ROOT), hasChild and laneFor(ARGV, FIRST) or nil
  readFor(lane, childLane, session ~= '', ARGV[FIRST + 3])
  local run = newRun(ARGV)
  local root = newGroup(ARGV, ROOT, runId, '', 0, '', lane)
  addInputs(root, 0, 1, ARGV, ROOT)
  root.need = needIn(ARGV[11])
  activity(runId, 'state', runId)
  local token, child = '', nil
  if session ~= '' then
    token, child = startRun(run, root, ARGV, childLane)
  end
  commit()
  if key ~= '' then
    call('SET', T .. ':k:' .. key, runId)
  end
  commitGraphs()
  return { 'OK', token, child and child.fill or nil }
end
end)()
