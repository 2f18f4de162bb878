-- Reclaiming: branches of a session that is gone, late or closed. Those that may start again are ready at once; the others have their outcome.
-- Gives: reclaim reclaimGrant
-- Needs:
--   barrier: arrive chunkOf
--   base: notify
--   branch-table: DEAD FAILED HAS_STEPPED NO_GRANT READY childrenFlag setCells
--   closing: closeChildren
--   dead-letters: addDeadLetter
--   grants: endHolding recordOf stillHeld
--   group: load touch
--   retries: requeue
--   run: loadRun setRun
--   runs: abandon
--   waking: addReady reopenLimit
-- The branches of one reclaim whose attempts are spent: indexes, kinds and (empty) values.
local ended, endedKinds, endedValues = {}, {}, {}

-- The counters of a branch that is reclaimed, and whether its attempts are spent.
local function countStart(g, cause, errors, losses, abandons)
  if cause == 'lost' then
    losses = min(losses + 1, 255)
    return errors, losses, losses > g.losses and not abandons
  elseif cause == 'late' then
    errors = min(errors + 1, 255)
    return errors, losses, g.attempts > 0 and errors >= g.attempts
  end
  return errors, losses, false
end

-- The branch will not start again.
local function spend(g, index, cell, kind, errors, losses)
  setCells(g, index, char(kind, errors, losses, 0) .. NO_GRANT)
  ended[#ended + 1], endedKinds[#endedKinds + 1], endedValues[#endedValues + 1] = index, char(kind), ''
  if kind == DEAD then
    g.dead = g.dead + 1
  end
  if not g.isRoot then
    addDeadLetter(g, index, kind, errors, losses, '')
  end
  closeChildren(g, index, cell, 'the branch that opened it is over')
end

-- Branch by branch, `most` at most: how many were taken, how many of them are ready again, and whether none is left.
local function takeBranches(g, grantNumber, branches, cause, most, abandons)
  local taken, ready = 0, 0
  local indexes, cells = stillHeld(g, branches, grantNumber)
  for k, index in ipairs(indexes) do
    local _, errors, losses, flags = byte(cells[k], 1, 4)
    if not (cause == 'late' and flags % 2 == HAS_STEPPED) then
      if taken >= most then
        return taken, ready, false
      end
      taken = taken + 1
      local isSpent
      errors, losses, isSpent = countStart(g, cause, errors, losses, abandons)
      if isSpent then
        spend(g, index, cells[k], cause == 'lost' and DEAD or FAILED, errors, losses)
      else
        requeue(g, index, char(READY, errors, losses, childrenFlag(flags)) .. NO_GRANT)
        ready = ready + 1
      end
    end
  end
  return taken, ready, true
end

-- Reclaims up to `most` branches of a grant: `lost` with its session, `late` past its deadline, `unconfirmed`, or `closed` by its session. Says how
-- many, and whether none is left.
function reclaim(g, grantNumber, cause, most)
  local token, branches, session = recordOf(g, grantNumber)
  if not token or g.state ~= 'o' then
    return 0, true
  end
  touch(g)
  local run = g.isRoot and loadRun(g.run)
  local abandons = run and run.isStarted
  ended, endedKinds, endedValues = {}, {}, {}
  local taken, ready, isAll = takeBranches(g, grantNumber, branches, cause, most, abandons)
  if taken == 0 then
    return 0, true
  end
  local isGone = endHolding(g, grantNumber, session, branches, taken)
  if isGone and cause ~= 'closed' then
    notify(session, 'lost', g.gid, token)
  end
  g.inFlight = g.inFlight - taken
  if run then
    setRun(run, 'driver', '')
    if abandons then
      g.isParked = true
      abandon(run)
    end
  end
  addReady(g, ready)
  if #ended > 0 then
    arrive(g, chunkOf(ended, concat(endedKinds), endedValues), #ended, #ended)
  else
    reopenLimit(g)
  end
  return taken, isAll
end

-- The same by group id, where the group may be gone.
function reclaimGrant(gid, grantNumber, cause, most)
  local g = load(gid, grantNumber)
  if not g then
    return 0, true
  end
  return reclaim(g, grantNumber, cause, most)
end
