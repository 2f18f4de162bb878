-- Flags: allow-oom
-- Uses: base groups barrier waking commit
-- Commands of people and of holders: cancel, end, pause, resume, withdraw.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:k T:b:<gid> T:b:<gid>:d T:b:<gid>:k T:o:<session> T:q:<lane> T:wait T:due T:todo
-- ARGV: kind, then: run, reason, value | holder gid, index, token, run, state, value, reason | run | holder gid, index, token, gid | queue
-- Answers: OK | DUP | OVER | GONE | FENCED
local kind = ARGV[1]
readShard({ 'ahead', 'keep', 'ready', 'lanes' })

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

local function endByBranch(gid, index, token, id, state, value, reason)
  local run = loadRun(id)
  if not run then
    return 'GONE'
  end
  if run.isEnded then
    return run.ended == state and 'DUP' or 'OVER'
  end
  local g = held(gid, tonumber(index), token)
  if not g or g.run ~= id then
    return 'FENCED'
  end
  if state == 'cancelled' then
    setRun(run, 'reason', reason)
  end
  endRun(run, state, value, reason)
  return 'OK'
end

local function pauseRun(id, isPaused)
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
  setRun(run, 'paused', isPaused and '1' or '0')
  activity(id, 'state', id)
  if not isPaused then
    local gids = call('LRANGE', T .. ':r:' .. id .. ':k', 0, MOST_GROUPS - 1)
    for _, gid in ipairs(gids) do
      local isFine, g = pcall(load, gid)
      if isFine and g and g.state == 'o' then
        touch(g)
        g.isParked = g.isRoot and run.isAbandoned
        notifyLater(g, readyOf(g))
      end
    end
    if #gids == MOST_GROUPS then
      placeLater[#placeLater + 1] = '!' .. id .. '\t' .. MOST_GROUPS
    end
  end
  return 'OK'
end

local function withdraw(gid, index, token, child)
  local isFine, g = pcall(load, child)
  if not isFine or not g then
    return 'GONE'
  end
  local run = loadRun(g.run)
  if not run or run.isEnded then
    return 'OVER'
  end
  local holding = held(gid, tonumber(index), token)
  if g.isRoot or not holding or g.parent ~= gid or g.parentIndex ~= tonumber(index) then
    return 'FENCED'
  end
  if g.state ~= 'o' then
    return 'DUP'
  end
  close(g, 'w', 'its holder withdrew it')
  return 'OK'
end

local function pauseQueue(queue, isPaused)
  local field = 'p:' .. queue
  if (shardValue(field) == '1') == isPaused then
    return 'DUP'
  end
  setShard(field, isPaused and '1' or '0')
  if not isPaused then
    notifyAll(false)
  end
  return 'OK'
end

local answer
if kind == 'cancel-run' then
  answer = cancelRun(ARGV[2], ARGV[3], ARGV[4])
elseif kind == 'end-run' then
  answer = endByBranch(unpack(ARGV, 2, 8))
elseif kind == 'pause-run' or kind == 'resume-run' then
  answer = pauseRun(ARGV[2], kind == 'pause-run')
elseif kind == 'withdraw-group' then
  answer = withdraw(unpack(ARGV, 2, 5))
else
  answer = pauseQueue(ARGV[2], kind == 'pause-queue')
end
if answer == 'OK' then
  commit()
end
return answer
