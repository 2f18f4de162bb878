-- What becomes of a run that nobody drives any more.
-- Gives: loseDriver
-- Needs:
--   base: activity now wall whole
--   due-queue: plan
--   ready-queue: relane
--   run: LOST PENDING standings setRun

-- Nobody drives the run any more; its groups go on. A worker that knows what is left of it may take it over, unless it is left behind. What nobody
-- takes goes when its retention ends; a submitted run waits for a driver as before. Before the root is ready again. `isWoken`: the root was parked,
-- so its driver is not lost: one that is left behind is given a while to be taken before it is abandoned.
function loseDriver(root, run, isWoken)
  setRun(run, 'driver', '')
  root.isOpeners = run.isLeftBehind -- from now on it is counted where a worker may take it
  if run.isLeftBehind and not isWoken then
    run.isAbandoned, root.isBarred = true, true
    setRun(run, 'aband', '1')
  elseif run.isLeftBehind or run.hasOpener then
    run.lostAt = wall()
    setRun(run, 'lostAt', whole(run.lostAt))
  end
  standings.relist(run, (run.isAbandoned or run.lostAt) and LOST or PENDING)
  relane(root)
  if run.isLeftBehind or run.hasOpener then
    run.kept = now() + run.retention
    setRun(run, 'kept', run.kept)
    plan(run.kept, 'p ' .. run.id)
  end
  activity(run.id, 'state', run.id)
end
