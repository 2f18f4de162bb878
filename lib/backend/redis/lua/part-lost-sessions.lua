-- Sessions that are gone: which those are, and what they held.
-- Gives: readSessions noteStandstill expireMissed reclaimExpired countServing
-- Needs:
--   base: now quarantine setShard shardNumber shardValue whole
--   closing: MOST_GROUPS
--   commit: later
--   grants: holdings
--   group: forget groupOrder
--   nodes: nodes
--   reclaim: reclaimGrant
--   session: removeSession writeSession
-- A function of its own: Lua has room for 200 names in one, and the parts around have taken nearly all.
(function()
-- A sweep looks at so many sessions at most. So long a session is missed before it counts as gone.
local MOST_SESSIONS, SUSPECT_MS = 1000, 200
-- Entries of what a lost session held that a sweep looks at.
local MOST_HELD = 512

-- The sessions with what is known of them, and the shortest time to live.
function readSessions()
  local entries = call('ZRANGE', T .. ':w', 0, MOST_SESSIONS - 1, 'WITHSCORES')
  local facts, ttl = {}, HUGE
  for i = 1, #entries, 2 do
    local values = tryCall('HMGET', T .. ':wi:' .. entries[i], 'ttl', 'alive', 'base', 'serves', 'leads')
    local own = tonumber(values[1]) or HUGE
    local expiry = tonumber(entries[i + 1])
    facts[#facts + 1] = { session = entries[i], expiry = expiry, ttl = own, alive = values[2], base = values[3], serves = values[4],
      leads = values[5] }
    ttl = min(ttl, own)
  end
  return facts, ttl
end

-- A sweep that comes much later than announced means that the store or all processes stood still. Live sessions then look dead, because they could
-- not renew; so each gets its whole lifetime again.
function noteStandstill(facts, ttl)
  local dueAt = tonumber(shardValue('sweepDue'))
  if ttl == HUGE or not dueAt or now() - dueAt <= ttl / 4 then
    return
  end
  for _, fact in ipairs(facts) do
    if fact.ttl < HUGE and fact.expiry < now() + fact.ttl then
      fact.expiry = now() + fact.ttl
      writeSession({ 'ZADD', T .. ':w', 'XX', whole(fact.expiry), fact.session })
    end
  end
  setShard('grace', whole(now() + ttl))
end

-- Sessions that were once seen subscribed and are not now; and how many were ever seen. One whose record is lost subscribes again when it has
-- registered again, for which it has the rest of its time to live.
local function missedOf(facts)
  local names = { 'PUBSUB', 'NUMSUB' }
  for _, fact in ipairs(facts) do
    names[#names + 1] = T .. ':alive:' .. fact.session
  end
  local counts = call(unpack(names))
  local missed, seen = {}, 0
  for i, fact in ipairs(facts) do
    if (tonumber(counts[i * 2]) or 0) > 0 then
      seen = seen + 1
      if fact.base and fact.alive ~= '1' and fact.alive ~= '0' then
        writeSession({ 'HSET', T .. ':wi:' .. fact.session, 'alive', '1' })
      end
    elseif fact.base and fact.alive and fact.alive ~= '0' then
      seen = seen + 1
      missed[#missed + 1] = fact
    end
  end
  return missed, seen
end

-- Sessions whose connection is gone expire at once: those once seen subscribed, unless many vanished together or they said that they are cut
-- off. When one that is missed is to be looked at again.
function expireMissed(facts, isGrace)
  if #facts == 0 then
    return HUGE
  end
  local missed, seen = missedOf(facts)
  local isMass, nextLook = #missed >= 4 and #missed > seen / 2, HUGE
  for _, fact in ipairs(missed) do
    if fact.alive == '1' or isGrace or isMass then
      writeSession({ 'HSET', T .. ':wi:' .. fact.session, 'alive', whole(now()) })
      nextLook = min(nextLook, now() + SUSPECT_MS)
    elseif now() - tonumber(fact.alive) >= SUSPECT_MS then
      fact.expiry = 0
    else
      nextLook = min(nextLook, tonumber(fact.alive) + SUSPECT_MS)
    end
  end
  return nextLook
end

-- Reclaims what one lost session holds, of some of its entries. How many branches, and whether none is left.
local function reclaimHeld(session, fields, most)
  local taken, isAll = 0, #fields < MOST_HELD
  for _, field in ipairs(fields) do
    local gid, grantNumber = match(field, '^(.*)#(%d+)$')
    if not gid then
      holdings.forget(session, field)
    elseif taken < most and #groupOrder < MOST_GROUPS then
      local isFine, count, isDone = pcall(reclaimGrant, gid, grantNumber, 'lost', most - taken)
      if not isFine then
        quarantine(gid, count)
        forget(gid)
        count, isDone = 0, true
      end
      taken = taken + count
      if isDone then
        holdings.forget(session, field)
      else
        isAll = false
      end
    else
      isAll = false
    end
  end
  return taken, isAll
end

-- Reclaims what lost sessions hold, up to `most` branches. Says how many, and whether something is left.
local function reclaimLost(sessions, most)
  local taken, isLeft = 0, false
  for _, session in ipairs(sessions) do
    local key = T .. ':o:' .. session
    -- Each sweep begins anew. A scan from the start looks at a bounded part of the table, and finds nothing once that part is empty.
    local fields = tryCall('HRANDFIELD', key, MOST_HELD)
    if fields.err then
      quarantine(key, fields)
      fields = {}
    end
    local count, isAll = reclaimHeld(session, fields, most - taken)
    taken = taken + count
    if isAll then
      later({ 'UNLINK', key })
      later({ 'LREM', T .. ':lost', 0, session })
      setShard('losts', whole(max(0, shardNumber('losts') - 1)))
    else
      isLeft = true
    end
  end
  return taken, isLeft
end

-- Removes sessions that have expired, and reclaims what they and those before them held. How many branches, and whether some are left.
function reclaimExpired(facts, lost, most)
  for _, fact in ipairs(facts) do
    if fact.expiry <= now() then
      nodes.missNode(fact.session, fact.base)
      removeSession(fact.session, fact.base)
      if call('EXISTS', T .. ':o:' .. fact.session) == 1 then
        writeSession({ 'RPUSH', T .. ':lost', fact.session })
        setShard('losts', whole(shardNumber('losts') + 1))
        lost[#lost + 1] = fact.session
      end
    end
  end
  return reclaimLost(lost, most)
end

-- How many of the sessions that live serve the same queues, for those who look: a line each, with the number, a tab, and the queues as a session
-- has them. And how many may lead. Asking it costs the same however many there are.
function countServing(facts)
  local counts, order, stands = {}, {}, 0
  for _, fact in ipairs(facts) do
    local serves = fact.serves
    if fact.leads == '1' and fact.expiry > now() then
      stands = stands + 1
    end
    if serves and serves ~= '' and fact.expiry > now() then
      if not counts[serves] then
        counts[serves] = 0
        order[#order + 1] = serves
      end
      counts[serves] = counts[serves] + 1
    end
  end
  table.sort(order)
  for i, serves in ipairs(order) do
    order[i] = counts[serves] .. '\t' .. serves
  end
  local serving = concat(order, '\n')
  if (shardValue('serving') or '') ~= serving then
    setShard('serving', serving)
  end
  if shardNumber('stands') ~= stands then
    setShard('stands', whole(stands))
  end
end
end)()
