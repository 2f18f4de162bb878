-- The body of open: `isFull` when memory is full and nothing may be added.
local FACTS_OF_RUN = { 'created', 'dig', 'nonce', 'end', 'started' }

-- `facts` of a run that is there: dig, nonce, end, started.
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
    if token and holder == session and match(token, '^%d+%.(.*)%-%d+$') == nonce then
      return { 'OK', token }
    end
  end
  return { 'EXISTS', id }
end

-- The cell of a root branch that is held by who opened it: leased, by the first grant; and once it has opened a group.
local DRIVEN, DRIVEN_AND_STEPPED = '\1\0\0\0\1\0\0\0', '\1\0\0\3\1\0\0\0'

-- The numbers of the lanes for two demands, false where there is none yet; the second may be nil. Then the one look at T:m.
local function look(demand, second, isGranted, queue)
  local numbers = second and call('HMGET', T .. ':l', demand, second) or { call('HGET', T .. ':l', demand) }
  local names = { 'ahead', 'fence', 'seq', 'lanes', 'keep', 'ready' }
  if numbers[1] then
    names[7] = (isGranted and 'f:' or 'n:') .. numbers[1]
  end
  if second then
    names[#names + 1] = 'p:' .. queue
    if numbers[2] then
      names[#names + 1] = 'n:' .. numbers[2]
      names[#names + 1] = 'f:' .. numbers[2]
    end
  end
  readShard(names)
  return numbers[1], numbers[2]
end

local function open(isFull, ARGV)
  local runId, session, nonce, workflow, key, timeout, retention, keep, graceMs, _, digest = unpack(ARGV, 1, 11)
  local root, first, graph, input = 10, 21, ARGV[17], ARGV[19]
  local runKey, isGranted, hasChild = T .. ':r:' .. runId, session ~= '', ARGV[first] ~= nil
  local facts = call('HMGET', runKey, unpack(FACTS_OF_RUN))
  if facts[1] then
    return answerForKnown(runId, facts, runId, nonce, digest, session)
  end
  if key ~= '' then
    local known = call('GET', T .. ':k:' .. key)
    facts = known and call('HMGET', T .. ':r:' .. known, unpack(FACTS_OF_RUN))
    if facts and facts[1] then
      return answerForKnown(known, facts, runId, nonce, digest, session)
    end
  end
  if isGranted and call('HEXISTS', T .. ':wi:' .. session, 'base') == 0 then
    return { 'NOSESSION' }
  end
  if isFull then
    return { 'BACKPRESSURE' }
  end
  if not hasGraph(graph) and hasChild then
    return { 'NOGRAPH' }
  end
  local demand = demandOf(ARGV, root)
  local childDemand = hasChild and demandOf(ARGV, first) or nil
  local lane, childLane = look(demand, childDemand, isGranted, ARGV[first + 3])
  if shard.keep ~= keep then
    setShard('keep', keep)
  end
  local changes = { 'created', wall(), 'graph', graph, 'dig', digest, 'nonce', nonce, 'ret', retention }
  local run = { id = runId, key = runKey, isEnded = false, isPaused = false, isAbandoned = false, isStarted = isGranted, retention = tonumber(retention),
    timeout = timeout ~= '0' and timeout, changes = changes }
  runs[runId] = run
  runOrder[#runOrder + 1] = run
  if workflow ~= '' then
    setRun(run, 'wf', workflow)
  end
  if key ~= '' then
    setRun(run, 'ikey', key)
  end
  if run.timeout then
    setRun(run, 'timeout', timeout)
    due[#due + 1] = { now() + timeout, 't ' .. runId }
  end
  early[#early + 1] = { 'ZADD', T .. ':runs', shardNumber('seq'), runId }
  local g = newGroup(ARGV, root, runId, '', 0, '', laneNumber(demand, lane))
  addInputs(g, 0, 1, ARGV[18], input)
  activity(runId, 'state', runId)
  local token, child = '', nil
  if isGranted then
    notifications = {}
    g.grantCount, g.next, g.inFlight = 1, 1, 1
    token = nextFence() .. '.' .. nonce .. '-1'
    setRecord(g, '1', concat({ token, ' 0-0 ', whole(now()), ' ', session }))
    owned[session] = { [runId .. '#1'] = 1 }
    setRun(run, 'started', '1')
    setRun(run, 'startedAt', changes[2])
    setRun(run, 'driver', session)
    if hasChild then
      child = newChild(ARGV, first, g, 0, session, laneNumber(childDemand, childLane))
      push(child, ARGV[first + 8], ARGV[first + 9], nonce, graceMs)
    end
    setCells(g, 0, child and DRIVEN_AND_STEPPED or DRIVEN)
  end
  commit()
  if key ~= '' then
    call('SET', T .. ':k:' .. key, runId)
  end
  commitKept()
  return { 'OK', token, child and child.fill or nil }
end
