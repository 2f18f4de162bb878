-- The body of open: `isFull` when memory is full and nothing may be added.

local function answerForKnown(id, runId, nonce, digest, session)
  local facts = call('HMGET', T .. ':r:' .. id, 'dig', 'nonce', 'end', 'started')
  if facts[1] ~= digest then
    return { 'CONFLICT', id }
  end
  if id ~= runId or facts[2] ~= nonce or facts[3] then
    return { 'EXISTS', id }
  end
  if session == '' then
    return facts[4] == '1' and { 'EXISTS', id } or { 'OK', '' }
  end
  local g = load(id)
  local cell = g and g.state == 'o' and cellOf(g, 0)
  if cell and byte(cell) == LEASED then
    local token, _, holder = recordOf(g, tostring((unpackBytes('<I4', cell, 5))))
    if token and holder == session and match(token, '^%d+%.(.*)%-%d+$') == nonce then
      return { 'OK', token }
    end
  end
  return { 'EXISTS', id }
end

local function open(isFull, ARGV)
  local runId, session, nonce, digest, workflow, graph, key, input = unpack(ARGV, 1, 8)
  local tasks, losses, timeout, retention, spec = ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), ARGV[13]
  if call('HEXISTS', T .. ':r:' .. runId, 'created') == 1 then
    return answerForKnown(runId, runId, nonce, digest, session)
  end
  if key ~= '' then
    local known = call('GET', T .. ':k:' .. key)
    if known and call('HEXISTS', T .. ':r:' .. known, 'created') == 1 then
      return answerForKnown(known, runId, nonce, digest, session)
    end
  end
  if session ~= '' and call('HEXISTS', T .. ':wi:' .. session, 'base') == 0 then
    return { 'NOSESSION' }
  end
  if isFull then
    return { 'BACKPRESSURE' }
  end
  glance('fence', 'seq', 'ahead', 'lanes')
  setShard('keep', ARGV[14])
  call('ZCARD', T .. ':runs')
  local run = { id = runId, key = T .. ':r:' .. runId, changes = {}, isEnded = false, isPaused = false, isAbandoned = false, isStarted = session ~= '', driver = '',
    retention = retention, timeout = timeout > 0 and '1' or false }
  runs[runId] = run
  runOrder[#runOrder + 1] = run
  run.changes = { 'created', wall(), 'graph', graph, 'dig', digest, 'nonce', nonce, 'ret', retention }
  if workflow ~= '' then
    setRun(run, 'wf', workflow)
  end
  if key ~= '' then
    setRun(run, 'ikey', key)
  end
  if session ~= '' then
    setRun(run, 'started', 1)
  end
  if timeout > 0 then
    setRun(run, 'timeout', timeout)
    due[#due + 1] = { now() + timeout, 't ' .. runId }
  end
  local g = newGroup(runId, { run = runId, digest = digest, size = 1, isShared = false, rule = 'all', queue = 'runs', requires = '', tasks = tasks, priority = 0, depth = 0,
    limit = 0, attempts = 0, losses = losses, timeout = 0, affinity = '', affinityMs = 0, parent = '', parentIndex = 0, inbox = '', spec = spec })
  local sequence = shardNumber('seq')
  addInputs(g, 0, 1, pack('<I4', #input), input)
  local token = ''
  if session ~= '' then
    rings = {}
    g.leases, g.next, g.flight = 1, 1, 1
    token = whole(nextFence()) .. '.' .. nonce .. '-1'
    setCells(g, 0, char(LEASED, 0, 0, 0) .. pack('<I4', 1))
    setRecord(g, '1', concat({ token, '0-0', now(), session }, ' '))
    call('HLEN', T .. ':o:' .. session)
    owned[session] = { [runId .. '#1'] = 1 }
    setRun(run, 'startedAt', wall())
    setRun(run, 'driver', session)
  end
  activity(runId, 'state', runId)
  commit()
  if key ~= '' then
    call('SET', T .. ':k:' .. key, runId)
  end
  call('ZADD', T .. ':runs', sequence, runId)
  redis.pcall('EXPIRE', T .. ':g:' .. graph, 86400)
  return { 'OK', token }
end
