-- Sending: a small group of quick tasks that comes whole is granted at once to a session that waits and has nothing in hand. The grant travels
-- with the news, so nobody asks for it: one call and two ways less. Hides who may be sent what.
local MOST_SENT, MOST_SENT_BYTES = 32, 16384
-- By then the grant is settled, or its session has said that it has it; else it is taken back, unspent.
local UNCONFIRMED_MS = 2000

-- Whether the session could do it all at once, has nothing in hand, and its process was there a moment ago.
local function isAtHand(waiter, g)
  local session = waiter.session
  return mayTake(waiter, g) and waiter.takes and waiter.free >= g.size and isQuick(waiter.quick, g.lane) and not owned[session]
    and tryCall('HLEN', T .. ':o:' .. session) == 0 and call('TYPE', T .. ':in:' .. session).ok == 'stream'
    and (tonumber(call('PUBSUB', 'NUMSUB', T .. ':alive:' .. session)[2]) or 0) > 0
end

-- The first of those that have waited longest who is at hand.
local function whoIsAtHand(g)
  local waiters = whoWaits()
  for i = 1, min(#waiters, MOST_WOKEN) do
    if isAtHand(waiters[i], g) then
      return waiters[i]
    end
  end
end

-- Sends a group that is new in this call. What stands in its lane already is due before, so then nothing is sent; of other lanes, who could take
-- something has been woken for it and waits no more.
local function sendOut(g, ends, bytes, nonce, graceMs)
  local size = g.size
  if size > MOST_SENT or #bytes > MOST_SENT_BYTES or g.limit > 0 or filled(g) < size or not isGrantable(g) or shardNumber('n:' .. g.lane) > 0
    or shardValue('p:' .. laneOf(g.lane).queue) == '1' then
    return
  end
  local waiter = whoIsAtHand(g)
  if not waiter then
    return
  end
  local token, fence, lease = leaseTo(g, waiter.session, nonce .. SENT, '0-' .. size - 1, size, graceMs)
  setCells(g, 0, rep(char(LEASED, 0, 0, 0) .. lease, size))
  g.next = size
  due[#due + 1] = { now() + UNCONFIRMED_MS, 's ' .. g.gid .. '#' .. g.leases }
  local layout = g.isShared and SHARED or WHOLE
  tell(waiter.session, 'granted', g.gid, { 'spec', g.spec, 'token', token, 'fence', fence, 'count', size, 'layout', layout,
    'ends', g.isShared and '' or ends .. bytes, 'bytes', g.isShared and bytes or '', 'watched', watchersOf(g.run) })
  waiter.free = waiter.free - size
  if waiter.free > 0 then
    waiter.wait = waiter.free .. match(waiter.wait, '^%d+(.*)$')
    lessened[#lessened + 1] = waiter
  else
    wake(waiter) -- it asks when it has room again
  end
end
