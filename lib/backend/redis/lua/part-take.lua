-- The body of take: the root branch of a run is granted to a session that asks for this run, whatever lane it stands in.
-- Gives: take
-- Needs:
--   base: quarantine readShard whole
--   branch-table: GRANTED cellOf isParked
--   commit: commit
--   granting: addGrant grantOf grantTo
--   grants: holdings nonceOf recordOf
--   group: forget load readyOf
--   run: loadRun

-- The session, by a grant that it may have: its own call is known by its nonce.
local function answerForHeld(root, cell, session, nonce)
  local grantNumber = whole((unpackBytes('<I4', cell, 5)))
  local token, _, holder = recordOf(root, grantNumber)
  if not token then
    holdings.missRecord(cell, grantNumber)
  end
  local grant = token and holder == session and nonceOf(token) == nonce and grantOf(root, grantNumber)
  return { grant and 'OK' or 'HELD', holder or '' }, grant
end

-- The answer, and the grant where there is one.
local function takeRun(session, nonce, runId, graceMs)
  local run = loadRun(runId)
  if not run then
    return { 'GONE' }
  elseif run.isEnded then
    return { 'OVER' }
  end
  local root = load(runId, nil, true)
  if not root or root.state ~= 'o' then
    return { 'GONE' }
  end
  local cell = cellOf(root, 0)
  if byte(cell) == GRANTED then
    return answerForHeld(root, cell, session, nonce)
  elseif isParked(cell) and not run.isPaused then
    return { 'WAITING' }
  elseif run.isPaused or readyOf(root) == 0 then
    return { 'PAUSED' }
  end
  local lane = root.lane
  readShard({ 'ahead', 'ev', 'epoch', 'fix', 'dues', 'purges', 'fence', 'ready', 'act', 'lanes', 'wide', 'idle',
    'n:' .. lane, 'f:' .. lane, 'c:' .. lane })
  local grant = grantTo(root, session, nonce, 1, HUGE, graceMs, 1)
  return { grant and 'OK' or 'PAUSED' }, grant
end

function take(ARGV)
  local session, nonce, runId, graceMs = unpack(ARGV, 1, 4)
  if call('HEXISTS', T .. ':wi:' .. session, 'base') == 0 then
    return { 'NOSESSION' }
  end
  local isFine, answer, grant = pcall(takeRun, session, nonce, runId, graceMs)
  if not isFine then
    quarantine(runId, answer)
    forget(runId)
    answer, grant = { 'GONE' }, nil
  end
  commit()
  if grant then
    answer = { 'OK' }
    addGrant(answer, grant)
  end
  return answer
end
