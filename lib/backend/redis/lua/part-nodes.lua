-- The registry of workers: who is there, who was lost, and for how long nothing was heard of it. It is for people: who gets work, and whose
-- work is reclaimed, sessions decide.
-- Gives: nodes
-- Needs:
--   base: channelOf makeAnew readHint wall whole
--   event-log: eventLog
(function()
-- How long a worker is known that was lost.
local NODE_RETENTION_MS = 24 * 3600000
-- No run is called so: what happens among the processes is published where the run of this name would be watched.
local CLUSTER = '#'
-- Sessions that are taken for dead in this call, with their base ids.
local missed = {}

function begin_nodes()
  if missed[1] then missed = {} end
end

-- What happened among the processes of the store: its name, the session that it is about, and its facts, a line each.
local function clusterEvent(...)
  tryCall('PUBLISH', channelOf(CLUSTER), 'events ' .. concat({ ... }, '\n'))
  eventLog.noteEvent('cluster', ...)
end

-- What is known of a worker: session, when it registered and was heard of, mark, what it does; or nil.
local function nodeOf(base)
  local record = base and readHint('HGET', T .. ':node', base)
  local session, registeredAt, seenAt, mark, doing = match(record or '', '^(%S+) (%d+) (%d+) (%l+) (.*)$')
  return session and { session = session, registeredAt = registeredAt, seenAt = tonumber(seenAt), mark = mark, doing = doing }
end

local function putNode(base, node)
  makeAnew('HSET', T .. ':node', base, concat({ node.session, node.registeredAt, whole(node.seenAt), node.mark, node.doing }, ' '))
end

local function forgetNode(base)
  makeAnew('HDEL', T .. ':node', base)
  makeAnew('HDEL', T .. ':about', base)
end

-- What it was heard of with now.
local function heard(session, registeredAt, doing)
  return { session = session, registeredAt = registeredAt, seenAt = wall(), mark = 'live', doing = doing }
end

-- A worker has registered, or says anew what it is (`isKnown`).
local function joinNodes(session, base, info, isKnown)
  local before = nodeOf(base)
  local isSame = before and before.session == session
  local isReturned = before and not isKnown and (isSame or before.mark ~= 'live')
  local since = isKnown and isSame and before or { registeredAt = whole(wall()), doing = '' }
  putNode(base, heard(session, since.registeredAt, since.doing))
  makeAnew('HSET', T .. ':about', base, info)
  if not isKnown then
    clusterEvent('worker:registered', session, isReturned and '1' or '0', info)
  end
end

-- A worker says what it does; one that the registry has lost is in it again.
local function beat(session, doing)
  local known = tryCall('HMGET', T .. ':wi:' .. session, 'base', 'info', 'node')
  if known.err or not known[1] then
    return { 'NOSESSION' }
  end
  if known[3] == '1' then
    local base, before = known[1], nodeOf(known[1])
    putNode(base, heard(session, before and before.session == session and before.registeredAt or whole(wall()), doing))
    makeAnew('HSETNX', T .. ':about', base, known[2])
  end
  return { 'OK' }
end

-- A worker leaves in order.
local function leaveNodes(session, base, reason)
  local node = nodeOf(base)
  if node and node.session == session then
    forgetNode(base)
    clusterEvent('worker:deregistered', session, base, reason)
  end
end

local function isThere(base)
  return (tonumber((readHint('HGET', T .. ':wb', base))) or 0) > 0
end

-- A person has done with a worker that was lost.
local function forgetWorker(base)
  local node = nodeOf(base)
  if not node or isThere(base) then
    return { 'NOSESSION' }
  end
  forgetNode(base)
  if node.mark ~= 'dead' then
    clusterEvent('worker:deregistered', node.session, base, 'forgotten')
  end
  return { 'OK' }
end

-- A session was taken for dead: nothing is heard of its worker from now on.
local function missNode(session, base)
  local node = nodeOf(base)
  if node and node.session == session then
    node.seenAt = wall()
    missed[#missed + 1] = { base, node }
  end
end

local function commitNodes()
  for _, one in ipairs(missed) do
    putNode(one[1], one[2])
  end
end

-- The mark that its silence asks for; nil: it is forgotten.
local function markOf(node, isLive, silentMs, staleAfterMs, deadAfterMs)
  if isLive then
    return 'live'
  elseif silentMs >= max(deadAfterMs, NODE_RETENTION_MS) then
    return nil
  elseif silentMs >= deadAfterMs then
    return 'dead'
  end
  return node.mark == 'live' and silentMs >= staleAfterMs and 'stale' or node.mark
end

-- Marks workers without a session by how long nothing was heard of them. Says how many were marked or forgotten.
local function markNodes(staleAfterMs, deadAfterMs)
  local count = 0
  for _, base in ipairs(readHint('HKEYS', T .. ':node') or {}) do
    local node = nodeOf(base)
    local silentMs = node and wall() - node.seenAt
    local mark = node and markOf(node, isThere(base), silentMs, staleAfterMs, deadAfterMs)
    if not mark then
      forgetNode(base)
      count = count + 1
    elseif mark ~= node.mark then
      node.mark = mark
      putNode(base, node)
      count = count + 1
      if mark == 'stale' then
        clusterEvent('worker:stale', node.session, base, whole(silentMs))
      elseif mark == 'dead' then
        clusterEvent('worker:deregistered', node.session, base, 'dead')
      end
    end
  end
  return count
end

nodes = { clusterEvent = clusterEvent, joinNodes = joinNodes, beat = beat, leaveNodes = leaveNodes, missNode = missNode,
  forgetWorker = forgetWorker,  commitNodes = commitNodes, markNodes = markNodes }
end)()
