-- Reclaiming: branches of a session that is gone, late or closed. Those that may start again are ready at once; the others have their outcome.
-- Gives: reclaim reclaimGrant
-- Needs:
--   barrier: barrier
--   base: notify whole
--   branch-table: DEAD FAILED GRANTED HAS_OUTLASTED NO_GRANT READY cellOf lastingFlags setCells
--   closing: closeChildren
--   dead-letters: addDeadLetter
--   drivers: loseDriver
--   grants: endHolding recordOf stillHeld
--   group: load touch
--   retries: requeue
--   run: loadRun
--   tasks-in-hand: inHand
--   waking: addReady reopenLimit
-- The branches of one reclaim whose attempts are spent: indexes, kinds and (empty) values.
local ended, endedKinds, endedValues = {}, {}, {}

-- The counters of a branch that is reclaimed, whether its attempts are spent, and what it then ends with.
local function countStart(g, index, cause, errors, losses, flags, isLeftBehind)
  if cause == 'lost' then
    losses = min(losses + 1, 255)
    local isDead, value = inHand.isDeadBy(g, index, flags, losses)
    return errors, losses, isDead and not isLeftBehind, value
  elseif cause == 'late' then
    errors = min(errors + 1, 255)
    local isSpent, value = inHand.isSpentBy(g, index, flags)
    if isSpent == nil then
      isSpent = g.attempts > 0 and errors >= g.attempts
    end
    return errors, losses, isSpent, value
  end
  return errors, losses, false, ''
end

-- The branch will not start again.
local function spend(g, index, cell, kind, errors, losses, value)
  setCells(g, index, char(kind, errors, losses, 0) .. NO_GRANT)
  ended[#ended + 1], endedKinds[#endedKinds + 1], endedValues[#endedValues + 1] = index, char(kind), value
  if kind == DEAD then
    g.dead = g.dead + 1
  end
  if not g.isRoot then
    addDeadLetter(g, index, kind, errors, losses, value)
  end
  closeChildren(g, index, cell, 'the branch that opened it is over')
end

-- Branch by branch, `most` at most: how many were taken, how many of them are ready again, and whether none is left.
local function takeBranches(g, grantNumber, branches, cause, most, isLeftBehind, only)
  local taken, ready = 0, 0
  local indexes, cells
  if only then
    indexes, cells = { only }, { cellOf(g, only) }
  else
    indexes, cells = stillHeld(g, branches, grantNumber)
  end
  for k, index in ipairs(indexes) do
    local _, errors, losses, flags = byte(cells[k], 1, 4)
    if only or not (cause == 'late' and flags % 2 == HAS_OUTLASTED) then
      if taken >= most then
        return taken, ready, false
      end
      taken = taken + 1
      local isSpent, value
      if cause ~= 'lost' or not inHand.isWaiting(g, index, flags) then
        errors, losses, isSpent, value = countStart(g, index, cause, errors, losses, flags, isLeftBehind)
      end
      if isSpent then
        spend(g, index, cells[k], cause == 'lost' and DEAD or FAILED, errors, losses, value)
        inHand.endStart(g, index, flags, true)
      else
        inHand.endStart(g, index, flags, false)
        requeue(g, index, char(READY, errors, losses, lastingFlags(flags)) .. NO_GRANT)
        ready = ready + 1
      end
    end
  end
  return taken, ready, true
end

-- Reclaims up to `most` branches of a grant: `lost` with its session, `late` past its deadline, `unconfirmed`, or `closed` by its session. Says how
-- many, and whether none is left. `only`: this branch, whose task in hand is past its deadline.
function reclaim(g, grantNumber, cause, most, only)
  local token, branches, session = recordOf(g, grantNumber)
  if g.state ~= 'o' or (not token and g.inFlight == 0) then
    return 0, true
  end
  if not token then
    branches = '0-' .. whole(g.size - 1) -- its record is lost: the table knows which branches it had
  end
  touch(g)
  local run = g.isRoot and loadRun(g.run)
  ended, endedKinds, endedValues = {}, {}, {}
  local taken, ready, isAll = takeBranches(g, grantNumber, branches, cause, most, run and run.isLeftBehind, only)
  if taken == 0 then
    return 0, true
  end
  local isGone = token and endHolding(g, grantNumber, session, branches, taken)
  if isGone and cause ~= 'closed' then
    notify(session, 'lost', g.gid, token)
  end
  g.inFlight = g.inFlight - taken
  if run then
    loseDriver(g, run)
  end
  addReady(g, ready)
  if #ended > 0 then
    barrier.arrive(g, barrier.chunkOf(ended, concat(endedKinds), endedValues), #ended, #ended, endedValues[1])
  else
    reopenLimit(g)
  end
  return taken, isAll
end

-- A grant's branches by group id, where the group may be gone; or `only` this branch, whose task in hand is past its deadline, whatever its grant.
function reclaimGrant(gid, grantNumber, cause, most, only)
  local g = load(gid, grantNumber)
  local cell = g and only and g.state == 'o' and cellOf(g, only)
  if cell and byte(cell) == GRANTED then
    grantNumber = whole((unpackBytes('<I4', cell, 5)))
  elseif only then
    return 0, true
  end
  if not g then
    return 0, true
  end
  return reclaim(g, grantNumber, cause, most, only)
end
