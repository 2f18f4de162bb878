-- Pushed grants: a small group of quick tasks that comes whole is granted at once to a session that waits and has nothing in hand. The grant travels
-- with the notice, so nobody asks for it: one call and one round trip less. Hides which session may be pushed what.
local MOST_PUSHED, MOST_PUSHED_BYTES = 32, 16384
-- By then the grant is settled, or its session has said that it has it; else it is reclaimed, unspent.
local UNCONFIRMED_MS = 2000

-- Whether the session could do it all at once, has nothing in hand, and its process was there a moment ago.
local function mayPushTo(waiter, g)
  local session = waiter.session
  return mayTake(waiter, g) and waiter.acceptsPush and waiter.free >= g.size and isQuick(waiter.quick, g.lane) and not owned[session]
    and tryCall('HLEN', T .. ':o:' .. session) == 0 and call('TYPE', T .. ':in:' .. session).ok == 'stream'
    and (tonumber(call('PUBSUB', 'NUMSUB', T .. ':alive:' .. session)[2]) or 0) > 0
end

-- The first of those that have waited longest who is at hand.
local function whoToPushTo(g)
  local waiters = waitingSessions()
  for i = 1, min(#waiters, MOST_NOTIFIED) do
    if mayPushTo(waiters[i], g) then
      return waiters[i]
    end
  end
end

-- Sends a group that is new in this call. What stands in its lane already is due before, so then nothing is sent; of other lanes, who could take
-- something has been notified for it and waits no more.
local function push(g, ends, bytes, nonce, graceMs)
  local size = g.size
  if size > MOST_PUSHED or #bytes > MOST_PUSHED_BYTES or g.limit > 0 or filled(g) < size or not isGrantable(g) or shardNumber('n:' .. g.lane) > 0
    or shardValue('p:' .. laneOf(g.lane).queue) == '1' then
    return
  end
  local waiter = whoToPushTo(g)
  if not waiter then
    return
  end
  local token, fence, grantNumber = newGrant(g, waiter.session, nonce .. PUSHED, '0-' .. size - 1, size, graceMs)
  setCells(g, 0, rep(char(GRANTED, 0, 0, 0) .. grantNumber, size))
  g.next = size
  due[#due + 1] = { now() + UNCONFIRMED_MS, 's ' .. g.gid .. '#' .. g.grantCount }
  local layout = g.isShared and SHARED or WHOLE
  notify(waiter.session, 'granted', g.gid, { 'spec', g.spec, 'token', token, 'fence', fence, 'count', size, 'layout', layout,
    'ends', g.isShared and '' or ends .. bytes, 'bytes', g.isShared and bytes or '', 'watched', watchersOf(g.run) })
  waiter.free = waiter.free - size
  if waiter.free > 0 then
    waiter.wait = waiter.free .. match(waiter.wait, '^%d+(.*)$')
    lessened[#lessened + 1] = waiter
  else
    notifyWork(waiter) -- it asks when it has room again
  end
end
