-- What people decide: a branch ends, or a step inside one does, whoever holds it. Hides that a branch may be ready, delayed or held, and that its
-- holder's token is worthless from then on.
-- Gives: applyDecision byHand decide
-- Needs:
--   barrier: barrier
--   base: activity commitNotices notify quarantine readShard wall whole
--   branch-table: DELAYED FAILED GRANTED HAS_SAVED NO_GRANT READY SUCCEEDED cellOf isParked lastingFlags setCells
--   closing: closeChildren
--   commit: commit
--   drivers: loseDriver
--   grants: endHolding recordOf
--   group: filled load touch
--   parking: parking
--   retries: requeue retries
--   run: loadRun setRun
--   runs: save
--   tasks-in-hand: inHand
--   waking: addReady reopenLimit

-- So many decisions of a run are remembered.
local MOST_BY_HAND = 100

-- A line for each decision of a run: when, as what, by which call, and where.
local function decisionsOf(run)
  return run.hand or call('HGET', run.key, 'hand') or ''
end

local function record(run, as, nonce, path)
  local lines = decisionsOf(run) .. concat({ whole(wall()), as, nonce, path }, ' ') .. '\n'
  local _, count = string.gsub(lines, '\n', '\n')
  for _ = MOST_BY_HAND + 1, count do
    lines = sub(lines, find(lines, '\n', 1, true) + 1)
  end
  run.hand = lines
  setRun(run, 'hand', lines)
end

-- Whoever held the branch holds it no more.
local function release(g, index, cell, isOver)
  local grantNumber = whole((unpackBytes('<I4', cell, 5)))
  local token, branches, session = recordOf(g, grantNumber)
  if token and endHolding(g, grantNumber, session, branches, 1) then
    notify(session, 'lost', g.gid, token)
  end
  g.inFlight = g.inFlight - 1
  inHand.endStart(g, index, byte(cell, 4), isOver)
end

-- The branch has its outcome, whatever it was before.
local function endBranch(g, index, cell, kind, value)
  touch(g)
  if isParked(cell) then
    parking.wake(g, index)
    cell = cellOf(g, index)
  end
  local state = byte(cell)
  if state >= FAILED then
    retries.undo(g, index)
  elseif state == GRANTED then
    release(g, index, cell, true)
  elseif state == DELAYED then
    g.delayed = g.delayed - 1 -- its entry names nothing from now on
  else
    retries.requeueFresh(g)
    if index < filled(g) then
      g.requeuedCount = g.requeuedCount - 1
    end
  end
  setCells(g, index, char(kind) .. sub(cell, 2, 3) .. '\0' .. NO_GRANT)
  closeChildren(g, index, cell, 'the branch that opened it is over')
  activity(g.run, 'settled', g.gid)
  barrier.arrive(g, barrier.chunkOf({ index }, char(kind), { value }), 1, kind == FAILED and 1 or 0, value)
end

-- Whoever gets the branch next reads what is saved of it; the session that holds it is notified, and loses it without a count.
local function findAnew(run, g, index, cell, unwanted)
  touch(g)
  if isParked(cell) then
    parking.wake(g, index)
    return
  elseif byte(cell) >= FAILED then
    retries.forgetSaved(run, g, unwanted)
    retries.revive(g, index)
    addReady(g, 1)
    activity(g.run, 'settled', g.gid)
    return
  end
  local found = lastingFlags(byte(cell, 4)) % HAS_SAVED + HAS_SAVED
  if byte(cell) ~= GRANTED then
    setCells(g, index, sub(cell, 1, 3) .. char(found) .. sub(cell, 5))
    return
  end
  release(g, index, cell, false)
  if g.isRoot then
    loseDriver(g, run)
  end
  requeue(g, index, char(READY) .. sub(cell, 2, 3) .. char(found) .. NO_GRANT)
  addReady(g, 1)
  reopenLimit(g)
  activity(g.run, 'settled', g.gid)
end

local function hasSaved(run, path)
  return not (run.forgotten and run.forgotten[path]) and call('HEXISTS', run.key .. ':v', path) == 1
end

-- In a run that has not ended, or goes on in this moment. `mark`: '' or the path for which the value is saved; `unwanted`: paths of outputs that a
-- branch which had failed does not go on from.
function applyDecision(run, nonce, path, as, gid, index, mark, value, unwanted)
  local g = load(gid)
  local cell = g and g.run == run.id and cellOf(g, index)
  if not cell then
    return 'GONE'
  end
  if g.state == 'o' and byte(cell) == SUCCEEDED then
    return 'LATE'
  elseif mark == '' then
    if g.state ~= 'o' then
      return 'LATE'
    end
    record(run, as, nonce, path)
    endBranch(g, index, cell, as == 'succeeded' and SUCCEEDED or FAILED, value)
    return 'OK'
  end
  local key = run.key .. ':v'
  if hasSaved(run, path) or hasSaved(run, mark) then
    return 'LATE'
  elseif g.state == 'o' and index >= g.next and not g.isReopened then
    -- whoever gets a branch first does not look for what is saved of it
    return 'GONE'
  elseif g.state == 'o' and byte(cell) >= FAILED and index >= filled(g) then
    return 'LATE'
  end
  record(run, as, nonce, path)
  save({ key, mark, value })
  if g.state == 'o' then
    findAnew(run, g, index, cell, unwanted)
  end
  return 'OK'
end

local function decideIn(ARGV)
  local run = loadRun(ARGV[1])
  if not run then
    return 'GONE'
  elseif find(decisionsOf(run), ' ' .. ARGV[2] .. ' ', 1, true) then
    return 'OK'
  elseif run.isEnded then
    return 'OVER'
  end
  local nonce, path, as, gid, index, mark, value = unpack(ARGV, 2, 8)
  local unwanted = {}
  for i = 9, #ARGV do
    unwanted[i - 8] = ARGV[i]
  end
  return applyDecision(run, nonce, path, as, gid, tonumber(index), mark, value, unwanted)
end

-- Does what a person asks. Where a record cannot be read, nothing of what it has changed so far is written, `gid` is quarantined, and the answer is
-- `otherwise`.
function byHand(ask, ARGV, gid, otherwise)
  readShard({ 'ahead', 'seen', 'epoch', 'fix', 'dues', 'purges', 'keep', 'ready', 'act', 'lanes', 'ev' })
  local isFine, answer = pcall(ask, ARGV)
  if not isFine then
    quarantine(gid, answer)
    commitNotices()
    return otherwise
  end
  commit()
  return answer
end

function decide(ARGV)
  return byHand(decideIn, ARGV, ARGV[5], 'GONE')
end
