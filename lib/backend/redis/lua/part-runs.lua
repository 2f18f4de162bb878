-- How runs end, or stay behind without a driver, and what they save.
-- Gives: save loseDriver endRun commitSaves
-- Needs:
--   base: activity now setShard shardNumber shardValue wall whole
--   closing: close
--   due-queue: plan unplan
--   group: loadReadable
--   ready-queue: relane
--   run: setRun
-- Counters of runs that have ended, at most; and what counts those that have none of their own.
local MOST_COUNTED_ENDS = 600
local OTHER_WORKFLOWS = '~other'
local saves = {}

function begin_runs()
  if saves[1] then saves = {} end
end

-- Outputs to be saved: the key (which must be read before), then path and value of each. A path that has one keeps it.
function save(values)
  saves[#saves + 1] = values
end

-- Nobody drives the run any more; its groups go on. A worker that knows what is left of it may take it over, unless it is left behind. What nobody
-- takes goes when its retention ends; a submitted run waits for a driver as before. Before the root is ready again.
function loseDriver(root, run)
  setRun(run, 'driver', '')
  root.isOpeners = run.isLeftBehind -- from now on it is counted where a worker may take it
  if run.isLeftBehind then
    run.isAbandoned, root.isParked = true, true
    setRun(run, 'aband', '1')
  elseif run.hasOpener then
    run.lostAt = wall()
    setRun(run, 'lostAt', whole(run.lostAt))
  end
  relane(root)
  if run.isLeftBehind or run.hasOpener then
    run.kept = now() + run.retention
    setRun(run, 'kept', run.kept)
    plan(run.kept, 'p ' .. run.id)
  end
  activity(run.id, 'state', run.id)
end

-- One more run has ended so: a field of T:m for each state and workflow; names beyond the first are counted together.
local function countEnd(run, as)
  local name = 'e:' .. as .. ':' .. run.workflow
  if not shardValue(name) then
    local kinds = shardNumber('ends')
    if kinds >= MOST_COUNTED_ENDS then
      name = 'e:' .. as .. ':' .. OTHER_WORKFLOWS
    else
      setShard('ends', whole(kinds + 1))
    end
  end
  setShard(name, whole(shardNumber(name) + 1))
end

-- Ends a run that has not ended: withdraws what is open of it, and plans its purge. `upload`: its value, if not `value`.
function endRun(run, as, value, reason, upload)
  if not run or run.isEnded then
    return
  end
  run.isEnded, run.ended = true, as
  setRun(run, 'end', as)
  countEnd(run, as)
  if upload then
    run.valueUpload = upload
  else
    setRun(run, 'value', value)
  end
  setRun(run, 'endedAt', wall())
  local root = loadReadable(run.id)
  if root then
    close(root, 'w', reason)
  end
  run.kept = now() + run.retention
  setRun(run, 'kept', run.kept)
  plan(min(now() + tonumber(shardValue('keep') or 600000), run.kept), 'p ' .. run.id)
  if run.timeout then
    unplan('t ' .. run.id)
  end
  activity(run.id, 'state', run.id)
end

function commitSaves()
  for i = 1, #saves do
    local values = saves[i]
    for at = 2, #values, 2 do
      call('HSETNX', values[1], values[at], values[at + 1])
    end
  end
end
