-- The body of reopen: what is saved stays, the root group waits for a driver, and a new epoch begins.
-- Gives: reopen
-- Needs:
--   base: activity now wall whole
--   by-hand: applyDecision byHand
--   children: addChild
--   commit: commitLater later
--   due-queue: plan unplan
--   group: filled load readyOf touch
--   ready-queue: needIn relane
--   retries: retries
--   run: LOST PENDING loadRun pinRun standings setRun withCall
--   waking: addReady

-- What ARGV names: paths, gids, and the groups to be opened again.
local function partsIn(ARGV)
  local paths, gids, redo = {}, {}, {}
  local at = 6 + tonumber(ARGV[5])
  for i = 6, at - 1 do
    paths[#paths + 1] = ARGV[i]
  end
  local behind = at + 1 + tonumber(ARGV[at])
  for i = at + 1, behind - 1 do
    gids[#gids + 1] = ARGV[i]
  end
  -- seven parts of a decision come last, where there is one
  for i = behind, #ARGV - (ARGV[4] == 'd' and 7 or 0), 2 do
    local indexes = {}
    for k = 1, #ARGV[i + 1], 4 do
      indexes[#indexes + 1] = unpackBytes('<I4', ARGV[i + 1], k)
    end
    redo[#redo + 1] = { ARGV[i], indexes }
  end
  return paths, gids, redo
end

-- Outputs are forgotten before others are saved: a decision may take the place of one.
local function forgetParts(run, root, paths, gids)
  run.forgotten = {}
  retries.forgetSaved(run, root, paths)
  for _, path in ipairs(paths) do
    run.forgotten[path] = true
  end
  for _, gid in ipairs(gids) do
    if match(gid, '^[^/]*/') == run.id .. '/' then
      for _, command in ipairs(retries.deletionOf(gid)) do
        later(command)
      end
      later({ 'LREM', run.key .. ':k', 1, gid })
    end
  end
end

-- The run has not ended any more, and nobody drives it. Whoever drives it next, a worker takes it over from.
local function goOn(run, nonce, last, before)
  run.isEnded, run.ended, run.isPaused, run.isAbandoned, run.isLeftBehind = false, false, false, false, false
  run.epoch = run.epoch + 1
  for name, value in pairs({ epoch = whole(run.epoch), again = nonce, paused = '0', aband = '0', started = '0', driver = '', parked = '0' }) do
    setRun(run, name, value)
  end
  -- an older release keeps the last call only
  local known = before or ' '
  if last and sub(known, 2, #last + 2) ~= last .. ' ' then
    known = withCall(known, last)
  end
  setRun(run, 'agains', withCall(known, nonce))
  later({ 'HDEL', run.key, 'end', 'value', 'endedAt', 'reason' })
  later({ 'UNLINK', run.key .. ':e' })
  local timeout = tonumber(run.timeout) or 0
  if timeout > 0 then
    plan(now() + timeout, 't ' .. run.id)
  end
  if run.build then
    pinRun(run)
  end
  run.lostAt = run.hasOpener and wall()
  setRun(run, 'lostAt', run.lostAt and whole(run.lostAt) or '')
  standings.relist(run, run.lostAt and LOST or PENDING)
  if run.hasOpener then
    -- nobody may come
    run.kept = now() + run.retention
    setRun(run, 'kept', run.kept)
    plan(run.kept, 'p ' .. run.id)
  else
    unplan('p ' .. run.id)
  end
end

-- The groups to be opened again; nil where one is not there.
local function groupsIn(run, redo)
  local found = {}
  for i, one in ipairs(redo) do
    local g = load(one[1])
    if not g or g.run ~= run.id or g.isRoot then
      return nil
    end
    found[i] = g
  end
  return found
end

local function reopenRun(ARGV)
  local run, nonce = loadRun(ARGV[1]), ARGV[2]
  if not run then
    return 'GONE'
  end
  local last, before = unpack(call('HMGET', run.key, 'again', 'agains'), 1, 2)
  if last == nonce or (before and find(before, ' ' .. nonce .. ' ', 1, true)) then
    return 'OK'
  elseif not run.isEnded then
    return 'RUNNING'
  elseif call('LLEN', T .. ':todo') > 0 then
    return 'CLOSING'
  end
  local paths, gids, redo = partsIn(ARGV)
  local root, redone = load(run.id), groupsIn(run, redo)
  if not root or filled(root) == 0 or not redone then
    return 'NOTKEPT'
  elseif root.state == 'o' then
    return 'CLOSING'
  end
  forgetParts(run, root, paths, gids)
  if ARGV[4] == '1' then
    return 'OK'
  end
  goOn(run, nonce, last, before)
  retries.reopenRoot(root)
  root.need = needIn(ARGV[3])
  relane(root)
  for i, g in ipairs(redone) do
    retries.reopenGroup(g, run.epoch, redo[i][2])
    retries.requireLayout(g)
    relane(g)
    local parent = load(g.parent)
    if parent then
      touch(parent)
      addChild(parent, g.parentIndex, g.gid)
    end
    activity(run.id, 'group', g.gid)
  end
  retries.requeueAnew(root, 0)
  addReady(root, readyOf(root))
  if ARGV[4] == 'd' then
    local nonce, path, as, gid, index, mark, value = unpack(ARGV, #ARGV - 6)
    applyDecision(run, nonce, path, as, gid, tonumber(index), mark, value, {})
  end
  activity(run.id, 'state', run.id)
  return 'OK'
end

function reopen(ARGV)
  local answer = byHand(reopenRun, ARGV, ARGV[1], 'NOTKEPT')
  if answer == 'OK' then
    commitLater()
  end
  return answer
end
