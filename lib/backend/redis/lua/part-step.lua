-- The body of step: `isFull` when memory is full and no new group and no new inputs may be added.

local function retire(g)
  touch(g)
  g.isRetired = true
  g.writes = g.writes or {}
  local writes, b = g.writes, g.b
  if g.left == 0 then
    writes[#writes + 1] = { 'UNLINK', b .. ':d', b .. ':r', b .. ':c' }
  else
    local table = call('GETRANGE', b .. ':d', 0, g.size * 8 - 1)
    writes[#writes + 1] = { 'UNLINK', b .. ':r', b .. ':c' }
    writes[#writes + 1] = { 'SET', b .. ':d', table }
  end
  for k = 0, #g.segments / 8 - 1 do
    writes[#writes + 1] = { 'UNLINK', b .. ':i' .. k }
  end
  g.segments, g.isSegmentsChanged = '', true
  if not g.hasKids then
    writes[#writes + 1] = { 'UNLINK', b .. ':k' }
  end -- else sweeps are still closing what is below, and find it there
  g.cursorCount = 0
end

-- The branch that opened the group has it no longer among those below.
local function leave(holding, index, g)
  holding.kids = holding.kids or {}
  local kids = holding.kids[index] or call('HGET', holding.b .. ':k', index) or ''
  holding.kids[index] = without(kids, g.gid)
end

local function step(isFull, ARGV)
  local runId, gid, index, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
  local hasCursor, cursor, ending, value = ARGV[5] == '1', ARGV[6], ARGV[7], ARGV[8]
  glance('fence', 'seq', 'ahead', 'lanes', 'keep')
  local run = loadRun(runId)
  if not run then
    return { 'FENCED' }
  end
  if run.isEnded then
    local isSame = ending ~= '' and run.ended == ending and call('HGET', run.key, 'value') == value
    return { isSame and 'DONE' or 'FENCED' }
  end
  local holding, lease, cell = held(gid, index, token)
  if not holding or holding.run ~= runId then
    return { 'FENCED' }
  end
  local at = 10
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
    local digest, size, isShared, rule, queue, requires, tasks = ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3] == '1', unpack(ARGV, at + 4, at + 7)
    local priority, depth, limit, attempts, losses, timeout, affinity, affinityMs, graph, from, count, base = unpack(ARGV, at + 8, at + 19)
    local ends, bytes, spec = ARGV[at + 20], ARGV[at + 21], ARGV[at + 22]
    from, count, base = tonumber(from), tonumber(count), tonumber(base)
    local child = load(childId)
    local _, _, session = recordOf(holding, lease)
    if child then
      if child.digest ~= digest or child.parent ~= gid or child.parentIndex ~= index then
        return { 'CONFLICT' }
      end
      if child.state ~= 'o' then
        answer = { 'DONE' }
      else
        if child.inbox ~= session then
          touch(child)
          child.inbox, child.isInboxChanged = session, true
        end
        if from > child.fill or from + count <= child.fill or count == 0 then
          answer = { 'OK', child.fill }
        elseif from < child.fill or base ~= child.bytes then
          return { 'BASE', child.bytes, child.fill }
        elseif isFull then
          return { 'BACKPRESSURE' }
        else
          touch(child)
          addInputs(child, from, count, ends, bytes)
          answer = { 'OK', child.fill }
        end
      end
    else
      if call('EXISTS', T .. ':g:' .. graph) == 0 then
        return { 'NOGRAPH' }
      end
      if isFull then
        return { 'BACKPRESSURE' }
      end
      child = newGroup(childId, { run = runId, digest = digest, size = size, isShared = isShared, rule = rule, queue = queue, requires = requires, tasks = tasks,
        priority = tonumber(priority), depth = tonumber(depth), limit = tonumber(limit), attempts = tonumber(attempts), losses = tonumber(losses),
        timeout = tonumber(timeout), affinity = affinity, affinityMs = tonumber(affinityMs), parent = gid, parentIndex = index, inbox = session, spec = spec })
      if from == 0 and count > 0 then
        addInputs(child, 0, count, ends, bytes)
      end
      answer = { 'OK', child.fill }
      touch(holding)
      holding.hasKids = true
      holding.kids = holding.kids or {}
      local kids = holding.kids[index] or call('HGET', holding.b .. ':k', index) or ''
      hasChild = true
      holding.kids[index] = kids == '' and childId or kids .. '\n' .. childId
      activity(runId, 'group', childId)
    end
  end
  local flags = hasChild and HAS_STEPPED + HAS_KIDS or kidsFlag(byte(cell, 4)) + HAS_STEPPED
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
  if hasCursor then
    touch(holding)
    if call('HEXISTS', holding.b .. ':c', index) == 0 then
      holding.cursorCount = holding.cursorCount + 1
    end
    holding.cursors[#holding.cursors + 1] = { index, cursor }
  end
  for _, g in ipairs(retired) do
    retire(g)
  end
  if ending ~= '' then
    local _, _, session = recordOf(holding, lease)
    touch(holding)
    letGo(holding, lease, session, 1)
    holding.flight = holding.flight - 1
    if ending == 'cancelled' then
      endRun(run, 'cancelled', value, 'the run was cancelled')
    else
      local kind = ending == 'completed' and SUCCEEDED or FAILED
      setCells(holding, index, char(kind) .. sub(cell, 2, 3) .. '\0' .. sub(cell, 5))
      arrive(holding, chunkOf({ index }, char(kind), { value }), 1, kind == FAILED and 1 or 0, value)
    end
  end
  commit()
  return answer
end
