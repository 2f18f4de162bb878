-- The sweep: promotes what is due, reclaims what dead sessions and passed deadlines held, ends runs past their timeout, purges what is past
-- retention, walks on below what was closed, and wakes whoever waits beside work.
local MOST_ITEMS, MOST_SESSIONS, SWEEP_GAP_MS, SUSPECT_MS = 256, 1000, 100, 200
local removals, afterwards, sessionWrites

local function begin_sweep()
  removals, afterwards, sessionWrites = {}, {}, {}
end

local function sweepInterval(ttl)
  return max(SWEEP_GAP_MS, min(1000, floor(ttl / 3)))
end

-- The next sweep is announced: one that comes much later means that nobody could renew.
local function announceSweep(ttl)
  local dueAt = tonumber(shardValue('sweepDue'))
  local mine = now() + sweepInterval(ttl)
  if not dueAt or mine < dueAt then
    setShard('sweepDue', whole(mine))
  end
end

-- The session is nobody any more. What it holds stays held until it is reclaimed.
local function removeSession(session, base)
  removals[#removals + 1] = { session, base }
  if base then
    leaving[base] = (leaving[base] or 0) + 1
  end
end

local function commitRemovals()
  -- before removals: what is written of a session that goes must go with it
  for _, write in ipairs(sessionWrites) do
    call(unpack(write))
  end
  for _, removal in ipairs(removals) do
    local session, base = removal[1], removal[2]
    call('ZREM', T .. ':w', session)
    call('ZREM', T .. ':wait', session)
    call('UNLINK', T .. ':wi:' .. session)
    -- one that only seems dead may still hear what it lost
    call('PEXPIRE', T .. ':in:' .. session, 60000)
    local others = base and tryCall('HINCRBY', T .. ':wb', base, -1)
    if others and (type(others) ~= 'number' or others <= 0) then
      tryCall('HDEL', T .. ':wb', base)
    end
  end
  for _, write in ipairs(afterwards) do
    call(unpack(write))
  end
end

-- Reclaims what lost sessions hold, up to `most` branches. Says how many, and whether something is left.
local function reclaimLost(sessions, most)
  local taken, isLeft = 0, false
  for _, session in ipairs(sessions) do
    local key = T .. ':o:' .. session
    local isAll, at = true, '0'
    for _ = 1, 4 do
      local page = tryCall('HSCAN', key, at, 'COUNT', 128)
      if page.err then
        quarantine(key, page)
        page = { '0', {} }
      end
      at = page[1]
      local fields = page[2]
      for i = 1, #fields, 2 do
        local gid, grantNumber = match(fields[i], '^(.*)#(%d+)$')
        if gid and taken < most and #groupOrder < MOST_GROUPS then
          local isFine, count, isDone = pcall(function()
            local g = load(gid, grantNumber)
            if not g then
              return 0, true
            end
            return reclaim(g, grantNumber, 'lost', most - taken)
          end)
          if not isFine then
            quarantine(gid, count)
            forget(gid)
            count, isDone = 0, true
          end
          taken = taken + count
          if isDone then
            owned[session] = owned[session] or {}
            owned[session][fields[i]] = 0
          else
            isAll = false
          end
        elseif gid then
          isAll = false
        end
      end
      if at == '0' then
        break
      end
    end
    if isAll and at == '0' then
      afterwards[#afterwards + 1] = { 'UNLINK', key }
      afterwards[#afterwards + 1] = { 'LREM', T .. ':lost', 0, session }
    else
      isLeft = true
    end
  end
  return taken, isLeft
end

-- Deletes what an ended run's groups hold, 200 groups a call. True when nothing is left of them.
local function purgePayloads(id)
  local list = T .. ':r:' .. id .. ':k'
  local gids = call('LRANGE', list, 0, 199)
  for _, gid in ipairs(gids) do
    local b = T .. ':b:' .. gid
    local segments = tryCall('HGET', b, 'segs')
    local keys = { 'UNLINK', b, b .. ':d', b .. ':r', b .. ':k', b .. ':o' }
    for k = 0, (type(segments) == 'string' and #segments / 8 or 0) - 1 do
      keys[#keys + 1] = b .. ':i' .. k
    end
    afterwards[#afterwards + 1] = keys
    afterwards[#afterwards + 1] = { 'HDEL', T .. ':bad', gid }
    groups[gid] = nil
  end
  if #gids < 200 then
    afterwards[#afterwards + 1] = { 'UNLINK', list }
    return true
  end
  afterwards[#afterwards + 1] = { 'LTRIM', list, 200, -1 }
  return false
end

local function purge(id)
  local run = loadRun(id)
  local entry = 'p ' .. id
  if not run or not (run.isEnded or run.isAbandoned) then
    dueGone[#dueGone + 1] = entry
    return
  end
  local root = loadBelow(id)
  if root and root.state == 'o' then
    -- an abandoned run that nobody wanted: what is below it is closed first, and purged by the next sweep
    close(root, 'w', 'the run is past its retention')
    return
  end
  if call('LLEN', T .. ':todo') > 0 then
    -- groups below may still be open, and stand in lanes and counts: they are closed first
    return
  end
  if not purgePayloads(id) then
    return
  end
  local facts = call('HMGET', run.key, 'kept', 'ikey')
  local kept = tonumber(facts[1]) or 0
  if kept > now() then
    afterwards[#afterwards + 1] = { 'ZADD', T .. ':due', kept, entry }
    return
  end
  local keys = { 'UNLINK', run.key, run.key .. ':v', run.key .. ':ch', run.key .. ':cx', run.key .. ':cn' }
  for _, key in ipairs(call('HKEYS', run.key .. ':ch')) do
    keys[#keys + 1] = run.key .. ':cl:' .. key
    if #keys > 4000 then
      afterwards[#afterwards + 1] = keys
      keys = { 'UNLINK', run.key }
    end
  end
  afterwards[#afterwards + 1] = keys
  if facts[2] then
    afterwards[#afterwards + 1] = { 'UNLINK', T .. ':k:' .. facts[2] }
  end
  afterwards[#afterwards + 1] = { 'ZREM', T .. ':runs', id }
  dueGone[#dueGone + 1] = entry
  dueGone[#dueGone + 1] = 't ' .. id
  runs[id] = nil
end

-- Reclaims, unspent, what was sent to a session that has not said that it has it. It may stand still, so it is sent nothing until it asks.
local function reclaimPushed(gid, grantNumber)
  local g = gid and load(gid, grantNumber)
  local session = g and select(3, recordOf(g, grantNumber))
  if not session or g.state ~= 'o' then
    return 0
  end
  for _, waiter in ipairs(waitingSessions()) do
    if waiter.session == session then
      waiter.isNotified = true
    end
  end
  afterwards[#afterwards + 1] = { 'HDEL', T .. ':wi:' .. session, 'wait' }
  afterwards[#afterwards + 1] = { 'ZREM', T .. ':wait', session }
  notify(session, 'work')
  return (reclaim(g, grantNumber, 'unconfirmed', ANYWHERE))
end

-- What is planned and due, up to `most` entries. Says how many starts were reclaimed, and how many entries there were.
local function doDue(most, isGrace)
  local entries = call('ZRANGEBYSCORE', T .. ':due', '-inf', whole(now()), 'LIMIT', 0, most)
  local taken = 0
  for _, entry in ipairs(entries) do
    local kind, what = sub(entry, 1, 1), sub(entry, 3)
    local isFine, why = pcall(function()
      if kind == 'd' then
        if isGrace or taken >= most then
          return
        end
        local gid, grantNumber = match(what, '^(.*)#(%d+)$')
        local g = gid and load(gid, grantNumber)
        local count, isAll = 0, true
        if g then
          count, isAll = reclaim(g, grantNumber, 'late', most - taken)
        end
        taken = taken + count
        if isAll then
          dueGone[#dueGone + 1] = entry
        end
      elseif kind == 's' then
        if isGrace or taken >= most then
          return
        end
        dueGone[#dueGone + 1] = entry
        taken = taken + reclaimPushed(match(what, '^(.*)#(%d+)$'))
      elseif kind == 'a' then
        dueGone[#dueGone + 1] = entry
        local g = load(what)
        if g then
          notifyLater(g, readyOf(g))
        end
      elseif kind == 't' then
        dueGone[#dueGone + 1] = entry
        endRun(loadRun(what), 'failed', '', 'the run took longer than its timeout')
      elseif kind == 'p' then
        purge(what)
      else
        dueGone[#dueGone + 1] = entry
      end
    end)
    if not isFine then
      local gid = match(what, '^(.*)#%d+$') or what
      quarantine(gid, why)
      forget(gid)
      dueGone[#dueGone + 1] = entry
    end
  end
  return taken, #entries
end

-- Goes on below what was closed, and places the groups of runs that were resumed. True when something is left.
local function doTodo()
  local entries = call('LRANGE', T .. ':todo', 0, 15)
  for _, entry in ipairs(entries) do
    local run, from = match(entry, '^!(.*)\t(%d+)$')
    if run then
      local gids = call('LRANGE', T .. ':r:' .. run .. ':k', from, from + MOST_GROUPS - 1)
      for _, gid in ipairs(gids) do
        local isFine, g = pcall(load, gid)
        if isFine and g and g.state == 'o' then
          touch(g)
          notifyLater(g, readyOf(g))
        end
      end
      if #gids == MOST_GROUPS then
        placeLater[#placeLater + 1] = '!' .. run .. '\t' .. (from + MOST_GROUPS)
      end
    else
      local gid, reason = match(entry, '^([^\t]*)\t(.*)$')
      local isFine, g = pcall(load, gid or '')
      if isFine and g then
        toClose[#toClose + 1] = { g, reason }
      end
    end
  end
  if #entries > 0 then
    afterwards[#afterwards + 1] = { 'LTRIM', T .. ':todo', #entries, -1 }
  end
  return #entries > 0
end

local function sweep()
  readShard({ 'ahead', 'seen', 'sweepAt', 'sweepDue', 'grace', 'backlog', 'look', 'ready', 'lanes', 'keep', 'fence' })
  local seen = shardNumber('seen')
  if now() < seen then
    setShard('ahead', whole(shardNumber('ahead') + seen - now()))
    clock = seen
  end
  local look = tonumber(shardValue('look'))
  if shardValue('backlog') ~= '1' and now() - shardNumber('sweepAt') < SWEEP_GAP_MS and not (look and look <= now()) then
    return { 'SKIP', look and floor(look - now()) or -1 }
  end
  setShard('seen', whole(now()))
  setShard('sweepAt', whole(now()))
  local sessions = call('ZRANGE', T .. ':w', 0, MOST_SESSIONS - 1, 'WITHSCORES')
  local facts, names, ttl = {}, { 'PUBSUB', 'NUMSUB' }, HUGE
  for i = 1, #sessions, 2 do
    local values = tryCall('HMGET', T .. ':wi:' .. sessions[i], 'ttl', 'alive', 'base')
    local own = tonumber(values[1]) or HUGE
    facts[#facts + 1] = { session = sessions[i], expiry = tonumber(sessions[i + 1]), ttl = own, alive = values[2], base = values[3] }
    names[#names + 1] = T .. ':alive:' .. sessions[i]
    ttl = min(ttl, own)
  end
  local isFinite = ttl < HUGE
  local dueAt = tonumber(shardValue('sweepDue'))
  if isFinite and dueAt and now() - dueAt > ttl / 4 then
    for _, fact in ipairs(facts) do
      if fact.ttl < HUGE and fact.expiry < now() + fact.ttl then
        fact.expiry = now() + fact.ttl
        sessionWrites[#sessionWrites + 1] = { 'ZADD', T .. ':w', 'XX', whole(fact.expiry), fact.session }
      end
    end
    setShard('grace', whole(now() + ttl))
  end
  local isGrace = now() < shardNumber('grace')
  local promoted, nextDelayed = promote(MOST_ITEMS / 2)

  -- sessions whose connection is gone: those once seen subscribed, unless many vanished together or they said that they are cut off
  local nextLook = HUGE
  if #facts > 0 then
    local counts = call(unpack(names))
    local missed, known = {}, 0
    for i, fact in ipairs(facts) do
      local isThere = (tonumber(counts[i * 2]) or 0) > 0
      if isThere then
        known = known + 1
        if fact.alive ~= '1' and fact.alive ~= '0' then
          sessionWrites[#sessionWrites + 1] = { 'HSET', T .. ':wi:' .. fact.session, 'alive', '1' }
        end
      elseif fact.alive and fact.alive ~= '0' then
        known = known + 1
        missed[#missed + 1] = fact
      end
    end
    local isMass = #missed >= 4 and #missed > known / 2
    for _, fact in ipairs(missed) do
      if fact.alive == '1' or isGrace or isMass then
        sessionWrites[#sessionWrites + 1] = { 'HSET', T .. ':wi:' .. fact.session, 'alive', whole(now()) }
        nextLook = min(nextLook, now() + SUSPECT_MS)
      elseif now() - tonumber(fact.alive) >= SUSPECT_MS then
        fact.expiry = 0
      else
        nextLook = min(nextLook, tonumber(fact.alive) + SUSPECT_MS)
      end
    end
  end

  local lost = call('LRANGE', T .. ':lost', 0, 15)
  local items, taken, isLeft = promoted, 0, false
  if not isGrace then
    for _, fact in ipairs(facts) do
      if fact.expiry <= now() then
        removeSession(fact.session, fact.base)
        if call('EXISTS', T .. ':o:' .. fact.session) == 1 then
          sessionWrites[#sessionWrites + 1] = { 'RPUSH', T .. ':lost', fact.session }
          lost[#lost + 1] = fact.session
        end
      end
    end
    taken, isLeft = reclaimLost(lost, MOST_ITEMS - items)
    items = items + taken
  end
  local late, entries = doDue(max(1, MOST_ITEMS - items), isGrace)
  taken, items = taken + late, items + late
  local hasTodo = doTodo()
  for _, removal in ipairs(removals) do
    for _, waiter in ipairs(waitingSessions()) do
      if waiter.session == removal[1] then
        waiter.isNotified = true
      end
    end
  end
  settleClosing()
  notifyAll(false)
  local hasBacklog = items >= MOST_ITEMS or promoted >= MOST_ITEMS / 2 or isLeft or hasTodo or #closeLater > 0 or #placeLater > 0
  setShard('backlog', hasBacklog and '1' or '0')
  setShard('sweepDue', isFinite and whole(now() + sweepInterval(ttl)) or '')
  -- a session that is missed is looked at again at that very time, however short before that others swept
  local willLook = nextLook < HUGE
  if willLook or look then
    setShard('look', willLook and whole(nextLook) or '')
  end
  local planned = call('ZRANGE', T .. ':due', 0, 0, 'WITHSCORES')
  local nextDue = min(nextLook, nextDelayed or HUGE, tonumber(planned[2]) or HUGE, hasBacklog and now() or HUGE)
  commit()
  commitRemovals()
  if isGrace then
    return { 'GRACE' }
  end
  return { 'OK', taken, nextDue < HUGE and max(0, floor(nextDue - now())) or -1, willLook and floor(nextLook - now()) or -1 }
end
