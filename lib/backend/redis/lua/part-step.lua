-- The body of step: `isFull` when memory is full and no new group and no new inputs may be added.

local function retire(g)
  touch(g)
  g.isRetired = true
  local b = g.b
  local gone = { 'UNLINK', b .. ':r' }
  g.writes = { gone }
  if g.inline then
    g.all, g.inline, g.isTableChanged = tableOf(g), '', true
  elseif g.left == 0 then
    gone[3] = b .. ':d'
  else
    g.writes[2] = { 'SET', b .. ':d', call('GETRANGE', b .. ':d', 0, g.size * 8 - 1) }
  end
  for k = 0, #g.segments / 8 - 1 do
    gone[#gone + 1] = b .. ':i' .. k
  end
  if g.segments ~= '' then
    g.segments, g.isSegmentsChanged = '', true
  end
  if not g.hasChildren then
    gone[#gone + 1] = b .. ':k'
  end -- else sweeps are still closing what is below, and find it there
end

-- The branch that opened the group has it no longer among those below.
local function leave(holding, index, g)
  holding.children = holding.children or {}
  local children = holding.children[index] or call('HGET', holding.b .. ':k', index) or ''
  holding.children[index] = without(children, g.gid)
end

-- The group that a step speaks of from ARGV[at] on, if it is there: fills it further. Its answer, and whether that is all.
local function fillChild(child, isFull, ARGV, at, holding, index, session)
  local from, count, base = inputsIn(ARGV, at)
  if child.digest ~= ARGV[at + 1] or child.parent ~= holding.gid or child.parentIndex ~= index then
    return { 'CONFLICT' }, true
  end
  if child.state ~= 'o' then
    return { 'DONE' }, false
  end
  if child.inbox ~= session then
    touch(child)
    child.inbox = session
  end
  if from > child.fill or from + count <= child.fill or count == 0 then
    return { 'OK', child.fill }, false
  end
  if from < child.fill or base ~= child.bytes then
    return { 'BASE', child.bytes, child.fill }, true
  end
  if isFull then
    return { 'BACKPRESSURE' }, true
  end
  touch(child)
  addInputs(child, from, count, ARGV[at + 8], ARGV[at + 9])
  return { 'OK', child.fill }, false
end

local function step(isFull, ARGV)
  local runId, gid, index, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
  local ending, value = ARGV[5], ARGV[6]
  local run = loadRun(runId)
  if not run then
    return { 'FENCED' }
  end
  if run.isEnded then
    local isSame = ending ~= '' and run.ended == ending and call('HGET', run.key, 'value') == value
    return { isSame and 'DONE' or 'FENCED' }
  end
  local holding, grantNumber, cell, session = held(gid, index, token)
  if not holding or holding.run ~= runId then
    return { 'FENCED' }
  end
  local nonce, graceMs = ARGV[7], ARGV[8]
  local at = 9
  local saveCount = tonumber(ARGV[at])
  local savesAt = at + 1
  at = savesAt + saveCount * 2
  local retireCount = tonumber(ARGV[at])
  local retired = {}
  for i = at + 1, at + retireCount do
    local g = load(ARGV[i])
    if g then
      if g.parent ~= gid or g.parentIndex ~= index or g.state == 'o' then
        return { 'BAD', 'expected a closed group of this branch to retire, got ' .. ARGV[i] .. ' (' .. g.state .. ')' }
      end
      if not g.isRetired then
        retired[#retired + 1] = g
      end
    end
  end
  at = at + retireCount + 1
  for _, g in ipairs(retired) do
    touch(holding)
    leave(holding, index, g)
  end
  local childId, hasChild = ARGV[at], false
  local answer = { 'OK', 0 }
  if childId then
    local child, isAll = load(childId), false
    if child then
      answer, isAll = fillChild(child, isFull, ARGV, at, holding, index, session)
      if isAll then
        return answer
      end
    else
      if not hasGraph(ARGV[at + 7]) then
        return { 'NOGRAPH' }
      end
      if isFull then
        return { 'BACKPRESSURE' }
      end
      local demand = demandOf(ARGV, at)
      local lane = call('HGET', T .. ':l', demand)
      local names = { 'ahead', 'fence', 'seq', 'lanes', 'ready', 'p:' .. ARGV[at + 3] }
      if lane then
        names[7], names[8] = 'n:' .. lane, 'f:' .. lane
      end
      readShard(names)
      child = newChild(ARGV, at, holding, index, session, laneNumber(demand, lane))
      if not run.isPaused then
        push(child, ARGV[at + 8], ARGV[at + 9], nonce, graceMs)
      end
      answer, hasChild = { 'OK', child.fill }, true
    end
  elseif ending ~= '' then
    firstRead[#firstRead + 1] = 'keep'
  end
  local flags = hasChild and HAS_STEPPED + HAS_CHILDREN or childrenFlag(byte(cell, 4)) + HAS_STEPPED
  if byte(cell, 4) ~= flags then
    touch(holding)
    cell = sub(cell, 1, 3) .. char(flags) .. sub(cell, 5)
    setCells(holding, index, cell)
  end
  if saveCount > 0 then
    local save = { run.key .. ':v' }
    call('HLEN', save[1])
    for i = savesAt, savesAt + saveCount * 2 - 1 do
      save[#save + 1] = ARGV[i]
    end
    saves[#saves + 1] = save
  end
  for _, g in ipairs(retired) do
    retire(g)
  end
  if ending ~= '' then
    touch(holding)
    local _, branches = recordOf(holding, grantNumber)
    endHolding(holding, grantNumber, session, branches, 1)
    holding.inFlight = holding.inFlight - 1
    if ending == 'cancelled' then
      endRun(run, 'cancelled', value, 'the run was cancelled')
    else
      local kind = ending == 'completed' and SUCCEEDED or FAILED
      setCells(holding, index, char(kind) .. sub(cell, 2, 3) .. '\0' .. sub(cell, 5))
      arrive(holding, chunkOf({ index }, char(kind), { value }), 1, kind == FAILED and 1 or 0, value)
    end
  end
  commit()
  commitKept()
  return answer
end
