-- Pushed grants: a small group of quick tasks that comes whole is granted at once to a session that waits and holds nothing. The grant travels
-- with the notice, so the session does not ask for it: one call and one round trip less. Hides which session may be pushed what.
-- Gives: push reclaimPushed
-- Needs:
--   base: channelOf notify now shardNumber shardValue whole
--   branch-table: ANYWHERE grantedCells setCells
--   commit: later
--   due-queue: plan
--   granting: SHARED WHOLE
--   grants: PUSHED isHolding newGrant recordOf
--   group: filled load
--   ready-queue: isGrantable laneOf
--   reclaim: reclaim
--   sessions: isQuick passOver waitingSessions
--   waking: MOST_NOTIFIED lessenWait mayTake notifyWork
local MOST_PUSHED, MOST_PUSHED_BYTES = 32, 16384
-- By then the grant is settled, or its session has confirmed it; else it is reclaimed, unspent.
local UNCONFIRMED_MS = 2000

-- Whether the process of the session is subscribed; notes how many watch the run, which goes with the grant.
local function isThere(waiter, run)
  local counts = call('PUBSUB', 'NUMSUB', T .. ':alive:' .. waiter.session, channelOf(run))
  waiter.watchers = tonumber(counts[4]) or 0
  return (tonumber(counts[2]) or 0) > 0
end

-- Whether the session could do it all at once, holds nothing, and its process was there a moment ago.
local function mayPushTo(waiter, g)
  local session = waiter.session
  return mayTake(waiter, g) and waiter.acceptsPush and waiter.free >= g.size and isQuick(waiter.quick, g.lane) and not isHolding(session)
    and tryCall('HLEN', T .. ':o:' .. session) == 0 and call('TYPE', T .. ':in:' .. session).ok == 'stream'
    and isThere(waiter, g.run)
end

-- The first of those that have waited longest that may be pushed the group.
local function receiverOf(g)
  local waiters = waitingSessions()
  for i = 1, min(#waiters, MOST_NOTIFIED) do
    if mayPushTo(waiters[i], g) then
      return waiters[i]
    end
  end
end

-- Whether the group may be pushed at all: with `bytes`, which are all its inputs, unless those came beside the script. What stands in its lane
-- already is due before, so then nothing is pushed; of other lanes, sessions that could take something have been notified for it and wait no more.
-- Branches that no loss is allowed for are not pushed together: some would wait for others.
local function isPushable(g, bytes)
  return (g.losses > 0 or g.size == 1) and #bytes == g.bytes
    and g.size <= MOST_PUSHED and g.bytes <= MOST_PUSHED_BYTES and g.limit == 0 and filled(g) == g.size and isGrantable(g)
    and shardNumber('n:' .. g.lane) <= 0 and shardValue('p:' .. laneOf(g.lane).queue) ~= '1'
end

-- Pushes a group that is new in this call, if that may be and a session can take it.
function push(g, ends, bytes, nonce, graceMs)
  local waiter = isPushable(g, bytes) and receiverOf(g)
  if not waiter then
    return
  end
  local size = g.size
  local token, fence, numberBytes = newGrant(g, waiter.session, nonce .. PUSHED, size == 1 and '0-0' or '0-' .. size - 1, size, graceMs)
  setCells(g, 0, grantedCells(numberBytes, size))
  g.next = size
  plan(now() + UNCONFIRMED_MS, 's ' .. g.gid .. '#' .. g.grantCount)
  local layout = g.isShared and SHARED or WHOLE
  notify(waiter.session, 'granted', g.gid, { 'spec', g.spec, 'token', token, 'fence', fence, 'count', whole(size), 'layout', whole(layout),
    'ends', g.isShared and '' or ends .. bytes, 'bytes', g.isShared and bytes or '', 'watched', whole(waiter.watchers) })
  if waiter.free > size then
    lessenWait(waiter, size)
  else
    waiter.free = 0
    notifyWork(waiter) -- it asks when it has room again
  end
end

-- Reclaims, unspent, what was pushed to a session that has not confirmed it. It may stand still, so it is pushed nothing until it asks.
function reclaimPushed(gid, grantNumber)
  local g = gid and load(gid, grantNumber)
  local session = g and select(3, recordOf(g, grantNumber))
  if not session or g.state ~= 'o' then
    return 0
  end
  passOver(session)
  later({ 'HDEL', T .. ':wi:' .. session, 'wait' })
  later({ 'ZREM', T .. ':wait', session })
  notify(session, 'work')
  return (reclaim(g, grantNumber, 'unconfirmed', ANYWHERE))
end
