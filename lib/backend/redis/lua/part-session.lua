-- The body of session, and how sessions go. What a closed session held is ready again at once; what an expired one held, a sweep reclaims.
-- Gives: handleSession sweepIntervalMs SWEEP_GAP_MS removeSession writeSession commitRemovals
-- Needs:
--   base: commitNotices commitShard isOfOtherType many notify now quarantine readShard setShard shardNumber shardValue whole
--   branch-table: ANYWHERE
--   closing: MOST_GROUPS settleClosing
--   due-queue: commitPlans unplan
--   commit: commit commitLater later
--   granting: addGrant grantOf
--   grants: grantNumberOf holdings recordOf stillHeld
--   group: forget groupOrder groups load
--   nodes: nodes
--   reclaim: reclaim
--   run: loadRun
--   sessions: leaveBase passOver
--   waking: notifyAll
--   wide-lanes: wideLanes
-- A function of its own: Lua has room for 200 names in one, and the parts around have taken nearly all.
(function()
-- A sweep within this time of another has nothing to add.
SWEEP_GAP_MS = 100
-- Sessions that go, with their base ids; and writes of what is known of sessions.
local removals, sessionWrites = {}, {}

function begin_session()
  removals, sessionWrites = {}, {}
end

-- How often a sweep is due while sessions can expire: often enough to notice a standstill before it looks like their death.
function sweepIntervalMs(ttl)
  return max(SWEEP_GAP_MS, min(1000, floor(ttl / 3)))
end

-- The next sweep is announced: one that comes much later means that no session could renew.
local function announceSweep(ttl)
  local dueAt = tonumber(shardValue('sweepDue'))
  local mine = now() + sweepIntervalMs(ttl)
  if not dueAt or mine < dueAt then
    setShard('sweepDue', whole(mine))
  end
end

-- Removes the session. What it holds stays held until it is reclaimed.
function removeSession(session, base)
  removals[#removals + 1] = { session, base }
  if base then
    leaveBase(base)
  end
  passOver(session)
end

-- A command, as a list, that changes what is known of a session: before the session is removed, with which that goes.
function writeSession(command)
  sessionWrites[#sessionWrites + 1] = command
end

function commitRemovals()
  for _, command in ipairs(sessionWrites) do
    call(unpack(command))
  end
  for _, removal in ipairs(removals) do
    local session, base = removal[1], removal[2]
    call('ZREM', T .. ':w', session)
    call('ZREM', T .. ':wait', session)
    call('UNLINK', T .. ':wi:' .. session)
    -- one that only seems dead may still read what it lost
    call('PEXPIRE', T .. ':in:' .. session, 60000)
    local others = base and tryCall('HINCRBY', T .. ':wb', base, -1)
    if others and (type(others) ~= 'number' or others <= 0) then
      tryCall('HDEL', T .. ':wb', base)
    end
  end
  nodes.commitNodes()
  commitLater()
end

local function expiryOf(ttl)
  return ttl < HUGE and whole(now() + ttl) or '+inf'
end

-- The base id of the session counts from now on, in place of the one before.
local function changeBase(before, base)
  if before == base then
    return
  end
  if before and call('HINCRBY', T .. ':wb', before, -1) <= 0 then
    call('HDEL', T .. ':wb', before)
  end
  if call('HINCRBY', T .. ':wb', base, 1) <= 0 then
    call('HDEL', T .. ':wb', base)
  end
end

-- A hash with so long a value is no list to Redis any more: it finds each field by its hash, and every call reads and writes some of T:m.
local LONG = '-----------------------------------------------------------------'

-- `known`: base id, what it waits for, and number of a session that is there.
local function openSession(id, known, ttl, ARGV)
  local key, inbox = T .. ':wi:' .. id, T .. ':in:' .. id
  call('ZCARD', T .. ':w')
  call('HLEN', T .. ':wb')
  call('LLEN', T .. ':lost')
  local isNew = call('EXISTS', inbox) == 0
  local sequence = known[3]
  if not sequence then
    sequence = shardNumber('seq')
    setShard('seq', sequence + 1)
  end
  setShard('long', LONG)
  if ttl < HUGE then
    announceSweep(ttl)
  end
  now()
  if known[2] then
    notify(id, 'work')
  end
  wideLanes.narrow(ARGV[6], ARGV[7], ARGV[5])
  changeBase(known[1], ARGV[4])
  if not known[1] then
    -- it seemed dead and was not: what is not reclaimed yet stays its own, and nothing that it acquires from now on is reclaimed
    local removed = call('LREM', T .. ':lost', 0, id)
    if removed > 0 then
      setShard('losts', whole(max(0, shardNumber('losts') - removed)))
    end
    if call('ZSCORE', T .. ':w', id) then
      setShard('fix', 'new') -- its record was lost, and its base id is counted twice now
    end
  end
  call('ZADD', T .. ':w', expiryOf(ttl), id)
  -- missed only when it was seen subscribed since
  call('HDEL', key, 'alive')
  call('HSET', key, 'base', ARGV[4], 'info', ARGV[5], 'tasks', ARGV[6], 'serves', ARGV[7], 'leads', ARGV[8], 'node', ARGV[9],
    'ttl', ttl < HUGE and ARGV[3] or 'inf', 'seq', sequence)
  if known[2] then
    call('HSET', key, 'wait', '!' .. match(known[2], '^!?(.*)$'))
    call('ZADD', T .. ':wait', -now(), id)
  end
  call('PERSIST', inbox)
  if isNew then
    call('XDEL', inbox, call('XADD', inbox, '*', 'k', 'hello'))
  end
  if ARGV[9] == '1' then
    nodes.joinNodes(id, ARGV[4], ARGV[5], known[1])
  end
  wideLanes.commit()
  commitShard()
  commitNotices()
  return { 'OK' }
end

-- What a session is notified by, where it was lost: its inbox, its place among those that wait, and that its base is there.
local function restoreNotices(id, known)
  local inbox = T .. ':in:' .. id
  local kind = call('TYPE', inbox).ok
  if kind ~= 'stream' then
    if kind ~= 'none' then
      call('UNLINK', inbox)
    end
    call('XADD', inbox, '*', 'k', 'again')
  end
  if known[2] and not call('ZSCORE', T .. ':wait', id) then
    call('ZADD', T .. ':wait', -now(), id)
    notify(id, 'work')
    commitNotices()
  end
  if call('HEXISTS', T .. ':wb', known[1]) == 0 then
    call('HINCRBY', T .. ':wb', known[1], 1)
  end
end

-- Renews a session; `andSweep` sweeps in the same call. `known`: as for `openSession`.
local function renewSession(id, known, ttl, ARGV, andSweep)
  local key = T .. ':wi:' .. id
  if not call('ZSCORE', T .. ':w', id) then
    -- other sessions may be missing there, too, of which one may be dead
    setShard('fix', 'new')
  end
  restoreNotices(id, known)
  if ttl < HUGE then
    announceSweep(ttl)
  end
  local renewed = expiryOf(ttl)
  if ARGV[5] then
    -- 1: so that its end is noticed however soon it comes; 0: a session that says that it is cut off is not dead
    call('HSET', key, 'alive', ARGV[5])
  end
  call('ZADD', T .. ':w', renewed, id)
  if not andSweep then
    call('HSET', key, 'ttl', ttl < HUGE and ARGV[3] or 'inf')
    commitShard()
    return { 'OK' }
  end
  -- the sweep sees the renewed session; what it may write over is written once more
  writeSession({ 'ZADD', T .. ':w', renewed, id })
  writeSession({ 'HSET', key, 'ttl', ARGV[3] })
  local isFine, answer = pcall(andSweep)
  if not isFine then
    -- what no sweep can read must not look like the loss of every session; a process that sweeps without renewing says so
    if isOfOtherType(answer) then
      tryCall('HSET', M, 'fix', 'new')
    end
    return { 'OK' }
  end
  return { 'OK', unpack(answer) }
end

-- The token of a grant whose group is open, and the grant itself when its token is not among those `named` and there is room for it.
local function whatIsHeld(gid, grantNumber, named, bytesLeft)
  local g = load(gid, grantNumber)
  local token = g and g.state == 'o' and loadRun(g.run) and recordOf(g, grantNumber)
  if not token then
    return nil
  end
  return token, not named[token] and bytesLeft > 0 and grantOf(g, grantNumber) or nil
end

-- What the session names and holds, though the list of what it holds has lost that: it is listed again.
local function relist(ARGV, from, listed, tokens)
  local lost = {}
  for i = from, #ARGV - 1, 2 do
    local gid, token = ARGV[i], ARGV[i + 1]
    local grantNumber = grantNumberOf(token)
    local field = gid .. '#' .. (grantNumber or '')
    if grantNumber and not tokens[token] and not listed[field] then
      local isFine, known = pcall(whatIsHeld, gid, grantNumber, { [token] = true }, 0)
      if isFine and known == token then
        local g = groups[gid]
        local _, branches, session = recordOf(g, grantNumber)
        local count = #stillHeld(g, branches, grantNumber)
        if session == ARGV[2] and count > 0 then
          tokens[token] = true
          lost[#lost + 1], lost[#lost + 2] = field, count
        end
      end
    end
  end
  many('HSET', T .. ':o:' .. ARGV[2], lost)
end

-- The session has these grants: those that were pushed to it are its own, and what the list of what it holds has lost is listed again.
local function confirm(ARGV)
  local fields, listed = {}, {}
  for i = 3, #ARGV, 2 do
    fields[#fields + 1] = ARGV[i] .. '#' .. (grantNumberOf(ARGV[i + 1]) or '')
  end
  for from = 1, #fields, 4000 do
    local found = call('HMGET', T .. ':o:' .. ARGV[2], unpack(fields, from, min(from + 3999, #fields)))
    for i, isListed in ipairs(found) do
      local field = fields[from + i - 1]
      unplan('s ' .. field)
      listed[field] = isListed and true
    end
  end
  relist(ARGV, 3, listed, {})
  commitPlans()
  commitShard()
  return { 'OK' }
end

-- What the session holds and does not know, and what it names and does not hold.
local function reconcile(fields, ARGV)
  local bytesLeft = tonumber(ARGV[3])
  local named, tokens, grants, listed = {}, {}, {}, {}
  for i = 5, #ARGV, 2 do
    named[ARGV[i]] = true
  end
  for i = 1, #fields, 2 do
    local gid, grantNumber = match(fields[i], '^(.*)#(%d+)$')
    -- what cannot be read is held by no session
    local isFine, token, grant = pcall(whatIsHeld, gid or '', grantNumber, named, bytesLeft)
    listed[fields[i]] = true
    if isFine and token then
      tokens[token] = true
      grants[#grants + 1] = grant
      bytesLeft = bytesLeft - (grant and grant.size or 0)
    end
  end
  relist(ARGV, 4, listed, tokens)
  local reply = { 'RECONCILED', #grants }
  for _, grant in ipairs(grants) do
    addGrant(reply, grant)
  end
  for i = 5, #ARGV, 2 do
    if not tokens[ARGV[i]] then
      reply[#reply + 1] = ARGV[i]
    end
  end
  return reply
end

local function releaseGrant(gid, grantNumber)
  local g = load(gid, grantNumber)
  if g then
    reclaim(g, grantNumber, 'closed', ANYWHERE)
  end
end

-- Releases what the session holds, as far as one call may: a client may drive thousands of runs. Whether nothing is left.
local function releaseHeld(id)
  local fields = call('HRANDFIELD', T .. ':o:' .. id, MOST_GROUPS)
  for _, field in ipairs(fields) do
    local gid, grantNumber = match(field, '^(.*)#(%d+)$')
    if #groupOrder >= MOST_GROUPS then
      return false
    elseif gid then
      local isFine, why = pcall(releaseGrant, gid, grantNumber)
      if not isFine then
        quarantine(gid, why)
        forget(gid)
      end
    end
    holdings.forget(id, field)
  end
  return #fields < MOST_GROUPS
end

-- Answers MORE where something is left: the session is there then, and waits for nothing.
local function closeSession(id, base, reason)
  if not releaseHeld(id) then
    passOver(id)
    writeSession({ 'ZREM', T .. ':wait', id })
    settleClosing()
    commit()
    commitRemovals()
    return { 'MORE' }
  end
  removeSession(id, base)
  holdings.endAll(id)
  later({ 'UNLINK', T .. ':o:' .. id })
  -- sessions that were kept away by a preferred worker may take its groups now
  settleClosing()
  notifyAll()
  commit()
  commitRemovals()
  nodes.leaveNodes(id, base, reason or 'closed')
  return { 'OK' }
end

-- `andSweep` is called by a renewal that asks for it: sweeps need this part, not the other way round.
local function handle(ARGV, andSweep)
  local kind, id = ARGV[1], ARGV[2]
  readShard({ 'ahead', 'seen', 'epoch', 'fix', 'dues', 'purges', 'sweepDue', 'fence', 'seq', 'ready', 'act', 'keep', 'wide', 'lanes', 'ev' })
  local known = tryCall('HMGET', T .. ':wi:' .. id, 'base', 'wait', 'seq')
  if known.err then
    -- of another type: the session does not exist, and registers again
    call('UNLINK', T .. ':wi:' .. id)
    known = {}
  end
  if kind == 'open' then
    return openSession(id, known, tonumber(ARGV[3]), ARGV)
  end
  if not known[1] then
    return { 'NOSESSION' }
  end
  if kind == 'renew' then
    return renewSession(id, known, tonumber(ARGV[3]), ARGV, ARGV[4] == '1' and andSweep)
  end
  if kind == 'confirm' then
    return confirm(ARGV)
  end
  if kind == 'reconcile' then
    return reconcile(call('HGETALL', T .. ':o:' .. id), ARGV)
  end
  return closeSession(id, known[1], ARGV[3])
end

-- What another caller sends again after a repair, a renewal repairs itself: without it the session would soon look lost, and all that it holds.
function handleSession(ARGV, andSweep)
  if ARGV[1] ~= 'renew' then
    return handle(ARGV)
  end
  local isFine, answer = pcall(handle, ARGV, andSweep)
  if isFine then
    return answer
  elseif not isOfOtherType(answer) then
    error(answer, 0)
  end
  andSweep('repair')
  return handle(ARGV)
end
end)()
