-- The body of step: save, open or fill a group, retire, end the run. Everything is checked before anything is changed.
-- Gives: step
-- Needs:
--   barrier: barrier
--   base: activity firstRead readShard
--   branch-table: FAILED HAS_CHILDREN HAS_OUTLASTED HAS_SAVED SUCCEEDED setCells tableOf
--   children: addChild removeChild
--   commit: commit
--   grants: endHolding heldGroup recordOf
--   group: load touch
--   opening: addInputs commitGraphs hasGraph inputsIn isUploaded newChild
--   pushing: push
--   ready-queue: laneFor needIn
--   retries: retries
--   run: loadRun
--   runs: endRun save
--   tasks-in-hand: inHand
--   parking: parking
--   uploads: uploads
--   waits: runWaits
-- A function of its own: Lua has room for 200 names in one, and the parts around have taken nearly all.
(function()
-- Where the saves, the retired groups and the group begin in ARGV.
local function placesIn(ARGV)
  local savesAt = 14
  local retiredAt = savesAt + tonumber(ARGV[13]) * 2 + 1
  return savesAt, retiredAt, retiredAt + tonumber(ARGV[retiredAt - 1])
end

-- The groups to retire that are not retired yet; nil and an answer when one is not a closed group of this branch.
local function retiredIn(ARGV, from, before, gid, index)
  local retired = {}
  for i = from, before - 1 do
    local g = load(ARGV[i])
    if g then
      if g.parent ~= gid or g.parentIndex ~= index or g.state == 'o' then
        return nil, { 'BAD', 'expected a closed group of this branch to retire, got ' .. ARGV[i] .. ' (' .. g.state .. ')' }
      end
      if not g.isRetired then
        retired[#retired + 1] = g
      end
    end
  end
  return retired
end

-- Deletes all of a closed group but its outcomes.
local function retire(g)
  touch(g)
  g.isRetired = true
  local b = g.b
  local gone = { 'UNLINK', b .. ':r' }
  g.writes = { gone }
  if g.inline then
    g.all, g.inline, g.isTableChanged = tableOf(g), '', true
  elseif g.left == 0 and g.failed == 0 then
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

-- How a step answers that has met an open group, or filled it.
local function answerFor(child)
  if parking.isIdle(child) then
    return { 'OK', child.fill, '', '', '', 1 }
  end
  return { 'OK', child.fill }
end

-- A closed group that a step speaks of from ARGV[at] on: nothing is to be done about it, unless it is of an earlier epoch and is to be opened again.
-- Its answer, whether that is all, and whether it is open.
local function reopenChild(run, child, isFull, ARGV, at, holding, index, session)
  local isOld = run.epoch > 0 and run.epoch > (tonumber(call('HGET', child.b, 'ep')) or 0)
  local from, count = inputsIn(ARGV, at)
  if not isOld or ARGV[at + 12] ~= '1' or from > 0 then
    return { 'DONE', isOld and 1 or 0 }, false, false
  elseif isFull then
    return { 'BACKPRESSURE' }, true, false
  elseif not isUploaded(ARGV, at) then
    return { 'MISSING' }, true, false
  end
  retries.reopenGroup(child, run.epoch, {})
  retries.setSpec(child, ARGV[at + 10])
  child.lane, child.inbox = laneFor(ARGV, at), session
  touch(holding)
  addChild(holding, index, child.gid)
  activity(run.id, 'group', child.gid)
  addInputs(child, 0, count, ARGV, at)
  return answerFor(child), false, true
end

-- The group that a step speaks of from ARGV[at] on, if it is there: fills it further. Its answer, whether that is all, and whether it was opened
-- again.
local function fillChild(run, child, isFull, ARGV, at, holding, index, session)
  local from, count, base = inputsIn(ARGV, at)
  if child.digest ~= ARGV[at + 1] or child.parent ~= holding.gid or child.parentIndex ~= index then
    return { 'CONFLICT' }, true
  end
  if child.state ~= 'o' then
    return reopenChild(run, child, isFull, ARGV, at, holding, index, session)
  end
  if child.inbox ~= session then
    touch(child)
    child.inbox = session
  end
  if from > child.fill or from + count <= child.fill or count == 0 then
    return answerFor(child), false
  end
  if from < child.fill or base ~= child.bytes then
    return { 'BASE', child.bytes, child.fill }, true
  end
  if isFull then
    return { 'BACKPRESSURE' }, true
  end
  if not isUploaded(ARGV, at) then
    return { 'MISSING' }, true
  end
  touch(child)
  addInputs(child, from, count, ARGV, at)
  return answerFor(child), false
end

-- Opens the group that a step speaks of from ARGV[at] on, which may be granted at once where it `isPushable`. Its answer, and whether that is all.
local function openChild(run, isFull, ARGV, at, holding, index, session, isPushable)
  if not hasGraph(ARGV[at + 7]) then
    return { 'NOGRAPH' }, true
  end
  if isFull then
    return { 'BACKPRESSURE' }, true
  end
  if not isUploaded(ARGV, at) then
    return { 'MISSING' }, true
  end
  local lane = laneFor(ARGV, at)
  readShard({ 'ahead', 'seen', 'epoch', 'fix', 'dues', 'fence', 'seq', 'ready',
    'p:' .. ARGV[at + 3], 'n:' .. lane, 'f:' .. lane, 'c:' .. lane, 'act', 'wide', 'ev' })
  local child = newChild(ARGV, at, holding, index, session, lane)
  if isPushable and not run.isPaused then
    push(child, ARGV[at + 8], ARGV[at + 9], ARGV[7], ARGV[8])
  end
  return { 'OK', child.fill }, false
end

-- The holder has maybe reported the task in hand, of one that is `known` now, opened a group, and saved. The cell.
local function markStepped(holding, index, cell, hasOpened, hasReported, isKnown, hasSaved)
  local before = byte(cell, 4)
  local flags = ((hasReported or before % 2 == HAS_OUTLASTED) and HAS_OUTLASTED or 0)
    + ((hasOpened or before % 4 >= HAS_CHILDREN) and HAS_CHILDREN or 0)
    + ((isKnown or before % 8 >= inHand.HAS_TASK) and inHand.HAS_TASK or 0)
    + ((hasSaved or before >= HAS_SAVED) and HAS_SAVED or 0)
  if before ~= flags then
    touch(holding)
    cell = sub(cell, 1, 3) .. char(flags) .. sub(cell, 5)
    setCells(holding, index, cell)
  end
  return cell
end

local function saveFrom(run, ARGV, from, before)
  local values = { run.key .. ':v' }
  call('HLEN', values[1])
  for i = from, before - 1 do
    values[#values + 1] = ARGV[i]
  end
  save(values)
end

-- The holder of the root branch ends the run: its own arrival at the root's barrier.
local function endBy(run, holding, grantNumber, session, cell, ending, value, upload)
  if ending == 'cancelled' then
    touch(holding)
    local _, branches = recordOf(holding, grantNumber)
    endHolding(holding, grantNumber, session, branches, 1)
    holding.inFlight = holding.inFlight - 1
    endRun(run, 'cancelled', value, 'the run was cancelled', upload)
    return
  end
  barrier.endRoot(holding, grantNumber, session, cell, ending == 'completed' and SUCCEEDED or FAILED, value, upload)
end

-- Whether a step dispatches the group again that its run has ended with: whoever did so has not heard of that yet.
local function isItsEnd(run, ARGV)
  local _, _, at = placesIn(ARGV)
  local known = run.ended == 'completed' and ARGV[at] and load(ARGV[at])
  return known and known.state == 'r' and known.endsRun and known.parent == ARGV[2] and known.digest == ARGV[at + 1]
end

-- What a step answers when its run has ended: `DONE` where it was with just this value, or with just this group.
local function answerForEnded(run, ending, value, upload, ARGV)
  local isSame = ending ~= '' and run.ended == ending
    and (call('HGET', run.key, 'value') or call('GET', run.key .. ':e')) == (upload and uploads.bytesOf(upload) or value)
  return { (isSame or isItsEnd(run, ARGV)) and 'DONE' or 'FENCED' }
end

-- What the holder reports of its task, what it waits for, and what another driver must know: put into the answer. Gives what was counted for the
-- task, or nil.
local function report(holding, index, cell, ARGV, answer)
  local task = inHand.reportTask(holding, index, byte(cell, 4), ARGV[9], ARGV[8])
  if task then
    answer[3], answer[4] = task.errors, task.losses
    if task.waitMs >= 1 then
      answer[5] = floor(task.waitMs)
    end
  end
  if ARGV[12] ~= '' then
    for i = 3, 6 do
      answer[i] = answer[i] or ''
    end
    touch(holding)
    answer[7], answer[8] = runWaits.register(holding, index, ARGV[12])
  end
  if ARGV[11] ~= '' and holding.isRoot then
    touch(holding)
    holding.need = needIn(ARGV[11])
  end
  return task
end

-- `isFull`: memory is full, and no new group and no new inputs may be added. `endBranches`: ends branches of the group that ARGV names behind it.
function step(isFull, ARGV, endBranches)
  local runId, gid, index, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
  local ending, value, upload = ARGV[5], ARGV[6], ARGV[10] ~= '' and ARGV[10]
  if upload and uploads.sizeOf(upload) == 0 then
    return { 'MISSING' }
  end
  local run = loadRun(runId)
  if not run then
    return { 'FENCED' }
  end
  if run.isEnded then
    return answerForEnded(run, ending, value, upload, ARGV)
  end
  local holding, grantNumber, cell, session = heldGroup(gid, index, token)
  if not holding or holding.run ~= runId then
    return { 'FENCED' }
  end
  local savesAt, retiredAt, childAt = placesIn(ARGV)
  local retired, wrong = retiredIn(ARGV, retiredAt, childAt, gid, index)
  if not retired then
    return wrong
  end
  if retired[1] then
    for _, g in ipairs(retired) do
      touch(holding)
      removeChild(holding, index, g.gid)
    end
  end
  local answer, isAll, hasOpened = { 'OK', 0 }, false, false
  if ARGV[childAt] then
    local child = load(ARGV[childAt])
    local before = child and child.state == 'o' and child.fill or 0
    if child then
      answer, isAll, hasOpened = fillChild(run, child, isFull, ARGV, childAt, holding, index, session)
    else
      answer, isAll = openChild(run, isFull, ARGV, childAt, holding, index, session, not endBranches)
      hasOpened = true
    end
    if isAll then
      return answer
    end
    child = endBranches and load(ARGV[childAt])
    if child and child.state == 'o' and child.fill > before then
      endBranches(child, ARGV, childAt + 13)
    end
  elseif ending ~= '' then
    firstRead[#firstRead + 1] = 'keep'
    firstRead[#firstRead + 1] = 'e:' .. ending .. ':' .. run.workflow
  end
  local task = report(holding, index, cell, ARGV, answer)
  cell = markStepped(holding, index, cell, hasOpened, ARGV[9] ~= '', task, retiredAt - 1 > savesAt or ARGV[12] ~= '')
  if retiredAt - 1 > savesAt then
    saveFrom(run, ARGV, savesAt, retiredAt - 1)
  end
  if retired[1] then
    for _, g in ipairs(retired) do
      retire(g)
    end
  end
  if ending ~= '' then
    endBy(run, holding, grantNumber, session, cell, ending, value, upload)
  end
  commit()
  commitGraphs()
  return answer
end
end)()
