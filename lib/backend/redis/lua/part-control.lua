-- The body of control: commands of people and of holders.
-- Gives: control
-- Needs:
--   base: activity notify now readShard setShard shardValue wall whole
--   closing: MOST_GROUPS close leaveToSweep
--   commit: commit
--   due-queue: plan
--   event-log: eventLog
--   grants: heldGroup
--   group: load readyOf touch
--   run: LOST PAUSED PENDING RUNNING WAITING loadRun standings setRun
--   runs: endRun
--   waking: notifyAll notifyLater
--   wide-lanes: wideLanes

local function cancelRun(id, reason, value)
  local run = loadRun(id)
  if not run then
    return 'GONE'
  end
  if run.isEnded then
    return run.ended == 'cancelled' and 'DUP' or 'OVER'
  end
  setRun(run, 'reason', reason)
  endRun(run, 'cancelled', value, reason)
  return 'OK'
end

-- A run that no worker can drive. If it has a driver meanwhile, is paused, or may be resumed, it does not fail.
local function failRun(id, reason, value)
  local run = loadRun(id)
  if not run then
    return 'GONE'
  end
  if run.isEnded then
    return run.ended == 'failed' and 'DUP' or 'OVER'
  end
  local isFine, root = pcall(load, id)
  if not isFine or not root or root.state ~= 'o' or readyOf(root) ~= 1 or run.isPaused or run.isAbandoned or run.lostAt then
    return 'FENCED'
  end
  endRun(run, 'failed', value, reason)
  return 'OK'
end

-- A sweep finds it due.
local function deleteRun(id, reason, value)
  local run = loadRun(id)
  if not run then
    return 'GONE'
  end
  if not run.isEnded then
    setRun(run, 'reason', reason)
    endRun(run, 'cancelled', value, reason)
  end
  if eventLog.isKept() and (tonumber(call('HGET', run.key, 'kept') or nil) or HUGE) > now() then
    eventLog.planEvent('deleted', id)
  end
  setRun(run, 'kept', now())
  plan(now(), 'p ' .. id)
  return 'OK'
end

local function endByBranch(gid, index, token, id, state, value, reason)
  local run = loadRun(id)
  if not run then
    return 'GONE'
  end
  if run.isEnded then
    return run.ended == state and 'DUP' or 'OVER'
  end
  local g = heldGroup(gid, tonumber(index), token)
  if not g or g.run ~= id then
    return 'FENCED'
  end
  if state == 'cancelled' then
    setRun(run, 'reason', reason)
  end
  endRun(run, state, value, reason)
  return 'OK'
end

-- The groups of a run may be granted again: as many as one call may touch; a sweep does the rest.
local function resumeGroups(run)
  local gids = call('LRANGE', T .. ':r:' .. run.id .. ':k', 0, MOST_GROUPS - 1)
  for _, gid in ipairs(gids) do
    local isFine, g = pcall(load, gid)
    if isFine and g and g.state == 'o' then
      touch(g)
      g.isBarred = g.isRoot and run.isAbandoned
      notifyLater(g, readyOf(g))
    end
  end
  if #gids == MOST_GROUPS then
    leaveToSweep('!' .. run.id .. '\t' .. MOST_GROUPS)
  end
end

-- Where a run stands that is not paused any more.
local function standingBehindPause(run)
  local facts = call('HMGET', run.key, 'parked', 'driver')
  if run.isAbandoned then
    return LOST
  elseif facts[1] == '1' then
    return WAITING
  elseif run.startedAt and facts[2] and facts[2] ~= '' then
    return RUNNING
  end
  return run.lostAt and LOST or PENDING
end

local function setPaused(id, isPaused)
  local run = loadRun(id)
  if not run then
    return 'GONE'
  end
  if run.isEnded then
    return 'OVER'
  end
  if run.isPaused == isPaused then
    return 'DUP'
  end
  run.isPaused = isPaused
  standings.relist(run, isPaused and not run.isAbandoned and PAUSED or standingBehindPause(run))
  setRun(run, 'paused', isPaused and '1' or '0')
  setRun(run, 'pausedAt', isPaused and whole(wall()) or '')
  activity(id, 'state', id)
  if not isPaused then
    resumeGroups(run)
  end
  return 'OK'
end

local function withdrawGroup(gid, index, token, child)
  local isFine, g = pcall(load, child)
  if not isFine or not g then
    return 'GONE'
  end
  local run = loadRun(g.run)
  if not run or run.isEnded then
    return 'OVER'
  end
  local holding = heldGroup(gid, tonumber(index), token)
  if g.isRoot or not holding or g.parent ~= gid or g.parentIndex ~= tonumber(index) then
    return 'FENCED'
  end
  if g.state == 'r' then
    return 'DUP'
  end
  -- a repeated call is answered as the first: only that tells the holder whether outcomes of the group count
  close(g, 'w', 'its holder withdrew it')
  return 'OK'
end

-- The process of a session is to leave in good order.
local function drain(session)
  if call('HEXISTS', T .. ':wi:' .. session, 'base') == 0 then
    return 'GONE'
  end
  notify(session, 'drain')
  return 'OK'
end

local function setQueuePaused(queue, isPaused)
  local field = 'p:' .. queue
  if (shardValue(field) == '1') == isPaused then
    return 'DUP'
  end
  setShard(field, isPaused and '1' or '0')
  eventLog.planEvent('queue', queue, isPaused and '1' or '0')
  if not isPaused then
    notifyAll()
  end
  return 'OK'
end

function control(ARGV)
  local kind, answer = ARGV[1], nil
  readShard({ 'ahead', 'seen', 'epoch', 'fix', 'dues', 'purges', 'keep', 'ready', 'act', 'wide', 'lanes', 'ev' })
  if kind == 'cancel-run' then
    answer = cancelRun(ARGV[2], ARGV[3], ARGV[4])
  elseif kind == 'fail-run' then
    answer = failRun(ARGV[2], ARGV[3], ARGV[4])
  elseif kind == 'delete-run' then
    answer = deleteRun(ARGV[2], ARGV[3], ARGV[4])
  elseif kind == 'end-run' then
    answer = endByBranch(unpack(ARGV, 2, 8))
  elseif kind == 'pause-run' or kind == 'resume-run' then
    answer = setPaused(ARGV[2], kind == 'pause-run')
  elseif kind == 'withdraw-group' then
    answer = withdrawGroup(unpack(ARGV, 2, 5))
  elseif kind == 'drain-session' then
    answer = drain(ARGV[2])
  elseif kind == 'widen-lane' then
    answer = wideLanes.widen(ARGV[2], ARGV[3] == '1')
    if answer == 'OK' then
      notifyAll()
    end
  else
    answer = setQueuePaused(ARGV[2], kind == 'pause-queue')
  end
  if answer == 'OK' then
    commit()
  end
  return answer
end
