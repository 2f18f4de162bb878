-- The sweep: promotes what is due, reclaims what dead sessions and passed deadlines held, ends runs past their timeout, purges what is past
-- retention, closes what is left below closed groups, and notifies sessions that wait beside work.
-- Gives: sweep
-- Needs:
--   base: commitShard now quarantine readShard setShard shardNumber shardValue whole
--   closing: MOST_GROUPS close closeBelow isLeftToSweep leaveToSweep settleClosing
--   commit: commit later
--   due-queue: unplan
--   group: forget load readyOf touch
--   index: runIndex
--   leader: leading
--   lost-sessions: countServing expireMissed noteStandstill readSessions reclaimExpired
--   purge: purge
--   pushing: reclaimPushed
--   reclaim: reclaimGrant
--   repair: beginRepair keepHints
--   retries: retries
--   run: loadRun
--   runs: endRun
--   sessions: IDLE_LOOK_MS
--   session: SWEEP_GAP_MS commitRemovals sweepIntervalMs
--   waits: runWaits
--   waking: notifyAll notifyLater
-- A function of its own: Lua has room for 200 names in one, and the parts before have taken nearly all.
(function()
-- Items a sweep handles at most; what is left over makes the next one due at once.
local MOST_ITEMS = 256
-- Of those, waits and parked branches that are due.
local MOST_WOKEN = 256
-- Runs and groups together that it purges, which has a bound of its own: nothing else waits behind it.
local MOST_PURGED = 256
-- A process that only renews looks as often as for few sessions, times their number over the sweepers; with more sessions each renewal is enough.
local SWEEPERS, MOST_LOOKED_AT = 4, 12

-- Does one planned entry that is due. How many starts were reclaimed.
local function doEntry(entry, most, isGrace)
  local kind, what = sub(entry, 1, 1), sub(entry, 3)
  local mayReclaim = not isGrace and most > 0
  if kind == 'd' then
    local gid, grantNumber = match(what, '^(.*)#(%d+)$')
    local count, isAll = 0, not gid
    if mayReclaim and gid then
      count, isAll = reclaimGrant(gid, grantNumber, 'late', most)
    end
    if mayReclaim and isAll then
      unplan(entry)
    end
    return count
  elseif (kind == 's' or kind == 'e') and not mayReclaim then
    return 0
  end
  if kind == 'p' then
    later({ 'ZREM', T .. ':due', entry }) -- it does not belong here
    return 0
  end
  unplan(entry)
  if kind == 's' then
    return reclaimPushed(match(what, '^(.*)#(%d+)$'))
  elseif kind == 'e' then
    local gid, index = match(what, '^(.*)#(%d+)$')
    return gid and reclaimGrant(gid, nil, 'late', 1, tonumber(index)) or 0
  elseif kind == 'a' then
    local g = load(what)
    if g then
      notifyLater(g, readyOf(g))
    end
  elseif kind == 't' then
    endRun(loadRun(what), 'failed', '', 'the run took longer than its timeout')
  end
  return 0
end

-- What is planned and due, up to `most` entries. Says how many starts were reclaimed.
local function doDue(most, isGrace)
  local entries = call('ZRANGEBYSCORE', T .. ':due', '-inf', whole(now()), 'LIMIT', 0, most)
  local taken = 0
  for _, entry in ipairs(entries) do
    local isFine, count = pcall(doEntry, entry, most - taken, isGrace)
    if isFine then
      taken = taken + count
    else
      local what = sub(entry, 3)
      local gid = match(what, '^(.*)#%d+$') or what
      quarantine(gid, count)
      forget(gid)
      unplan(entry)
    end
  end
  return taken
end

-- Purges that are due; true when that was not all.
local function purgeDue()
  local entries = call('ZRANGEBYSCORE', T .. ':purge', '-inf', whole(now()), 'LIMIT', 0, MOST_PURGED)
  local left = MOST_PURGED
  for _, entry in ipairs(entries) do
    if left < 2 then
      return true
    end
    local isFine, count, isCut = pcall(purge, sub(entry, 3), left - 1)
    if isFine then
      left = left - 1 - count
      if isCut then
        return true
      end
    else
      quarantine(sub(entry, 3), count)
      forget(sub(entry, 3))
      unplan(entry)
      left = left - 1
    end
  end
  return #entries == MOST_PURGED
end

-- Places the groups of a run that was resumed, from `from` on.
local function placeGroups(run, from)
  local gids = call('LRANGE', T .. ':r:' .. run .. ':k', from, from + MOST_GROUPS - 1)
  for _, gid in ipairs(gids) do
    local isFine, g = pcall(load, gid)
    if isFine and g and g.state == 'o' then
      touch(g)
      notifyLater(g, readyOf(g))
    end
  end
  if #gids == MOST_GROUPS then
    leaveToSweep('!' .. run .. '\t' .. (from + MOST_GROUPS))
  end
end

-- Closes what the branch that opened it has left open, goes on below what was closed, and places the groups of runs that were resumed. True when
-- there was something.
local function doTodo()
  local entries = call('LRANGE', T .. ':todo', 0, 15)
  for _, entry in ipairs(entries) do
    local run, from = match(entry, '^!(.*)\t(%d+)$')
    if run then
      placeGroups(run, from)
    else
      local gid, reason = match(entry, '^([^\t]*)\t(.*)$')
      local isFine, g = pcall(load, gid or '')
      if isFine and g and g.state == 'o' then
        close(g, 'w', reason)
      elseif isFine and g then
        closeBelow(g, reason)
      end
    end
  end
  if #entries > 0 then
    later({ 'LTRIM', T .. ':todo', #entries, -1 })
    setShard('todos', whole(max(0, shardNumber('todos') - #entries)))
  end
  return #entries > 0
end

-- Whether a sweep has nothing to add; and when a session that is missed is to be looked at, or nil.
local function isTooEarly()
  local look = tonumber(shardValue('look'))
  return shardValue('backlog') ~= '1' and now() - shardNumber('sweepAt') < SWEEP_GAP_MS and not (look and look <= now()), look
end

-- When the next sweeps are due. In milliseconds from now: when something is due next, or -1.
local function planSweeps(ttl, look, nextLook, nextDelayed, hasBacklog)
  setShard('backlog', hasBacklog and '1' or '0')
  setShard('sweepDue', ttl < HUGE and whole(now() + sweepIntervalMs(ttl)) or '')
  -- a session that is missed is looked at again at that very time, however short before that others swept
  if nextLook < HUGE or look then
    setShard('look', nextLook < HUGE and whole(nextLook) or '')
  end
  local planned = call('ZRANGE', T .. ':due', 0, 0, 'WITHSCORES')
  local purges = call('ZRANGE', T .. ':purge', 0, 0, 'WITHSCORES')
  local nextDue = min(nextLook, nextDelayed or HUGE, tonumber(planned[2]) or HUGE, tonumber(purges[2]) or HUGE, hasBacklog and now() or HUGE)
  return nextDue < HUGE and max(0, floor(nextDue - now())) or -1
end

-- In how many milliseconds a process that only renews looks again; -1 where its next renewal is enough since nobody holds anything, -2 since there
-- are many. While somebody holds something, and nobody
-- who is busy may be left to notice its end, that is sooner: else the death of a lone driver is noticed a second late.
local function idleLookIn(facts)
  if #facts == 0 or #facts > MOST_LOOKED_AT then
    return #facts == 0 and -1 or -2
  end
  local keys = {}
  for i, fact in ipairs(facts) do
    keys[i] = T .. ':o:' .. fact.session
  end
  return call('EXISTS', unpack(keys)) > 0 and IDLE_LOOK_MS * floor((#facts + SWEEPERS - 1) / SWEEPERS) or -1
end

-- The same with what T:m has of it, for those that are too early; `nextLook`: when one that is missed is looked at again.
local function nextLookIn(nextLook, facts)
  local idle = idleLookIn(facts)
  if shardNumber('idle') ~= idle then
    setShard('idle', whole(idle))
  end
  return nextLook < HUGE and floor(nextLook - now()) or idle
end

-- `why` it is asked for, although another was a moment ago: nil, `repair` or `purge`.
function sweep(why)
  if call('TYPE', M).ok ~= 'hash' then
    call('UNLINK', M)
  end
  readShard({ 'ahead', 'seen', 'sweepAt', 'sweepDue', 'grace', 'backlog', 'look', 'idle', 'ready', 'lanes', 'keep', 'fence', 'epoch', 'act', 'kinds',
    'fix', 'fixedAt', 'dues', 'purges', 'wakes', 'runs', 'todos', 'losts', 'pins', 'serving', 'stands', 'wide', 'index', 'ev' })
  local isEarly, look = isTooEarly()
  if isEarly and not why then
    commitShard()
    return { 'SKIP', look and floor(look - now()) or tonumber(shardValue('idle') or -1) }
  end
  setShard('seen', whole(now()))
  setShard('sweepAt', whole(now()))
  local isRepairing = beginRepair(why == 'repair')
  local facts, ttl = readSessions()
  noteStandstill(facts, ttl)
  local isGrace = now() < shardNumber('grace')
  local promoted, nextDelayed = retries.promoteDue(MOST_ITEMS / 2)
  local woken, nextWake = runWaits.wakeDue(MOST_WOKEN)
  nextDelayed = min(nextDelayed or HUGE, nextWake or HUGE)
  local nextLook = expireMissed(facts, isGrace)
  countServing(facts)
  local lost = call('LRANGE', T .. ':lost', 0, 15)
  local reclaimed, isLeft = 0, false
  if not isGrace then
    reclaimed, isLeft = reclaimExpired(facts, lost, max(1, MOST_ITEMS - promoted - woken))
  end
  leading.offerLead(facts)
  reclaimed = reclaimed + doDue(max(1, MOST_ITEMS - promoted - woken - reclaimed), isGrace)
  local hasPurges, hasTodo = purgeDue(), doTodo()
  isRepairing = keepHints(isRepairing)
  runIndex.keep()
  settleClosing()
  notifyAll()
  local hasBacklog = promoted + reclaimed >= MOST_ITEMS or promoted >= MOST_ITEMS / 2 or woken >= MOST_WOKEN or isLeft or hasPurges
    or hasTodo or isRepairing or isLeftToSweep()
  local nextDueMs = planSweeps(ttl, look, nextLook, nextDelayed, hasBacklog)
  local lookMs = nextLookIn(nextLook, facts)
  commit()
  commitRemovals()
  if isGrace then
    return { 'GRACE' }
  end
  return { 'OK', reclaimed, nextDueMs, lookMs }
end
end)()
