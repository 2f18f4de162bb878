-- New groups and their inputs.

-- By run: the write that lists its new groups. By demand: its new lane. Graphs that are used, and are to be kept for another while.
local listing, opened, kept

local function begin_opening()
  listing, opened, kept = emptied(listing), emptied(opened), emptied(kept)
end

-- What a group asks of a worker, as T:l has it.
local function demandOf(queue, requires, tasks)
  return queue .. '|' .. requires .. '|' .. tasks
end

-- The number of the lane for a demand, `known` by T:l or false; a new one is added.
local function laneNumber(demand, known)
  local number = known or opened[demand]
  if not number then
    number = whole(shardNumber('lanes') + 1)
    setShard('lanes', number)
    local at = #newLanes
    newLanes[at + 1], newLanes[at + 2], newLanes[at + 3], newLanes[at + 4] = demand, number, '#' .. number, demand
    opened[demand] = number
  end
  if not lanes[number] then
    lanes[number] = laneFrom(demand)
  end
  return number
end

-- Whether a graph is there; it is kept for a day from its use on, told to Redis once in an hour.
local function hasGraph(graph)
  local key = T .. ':g:' .. graph
  local goes = call('PEXPIRETIME', key)
  if goes == -2 then
    return false
  end
  kept[#kept + 1] = { key, goes }
  return true
end

local function commitKept()
  for i = 1, #kept do
    if kept[i][2] < wall() + 82800000 then
      tryCall('EXPIRE', kept[i][1], 86400)
    end
  end
end

-- A group that is not there yet. `g` has its facts: run, digest, size, isShared, rule, depth, limit, attempts, losses, timeout, affinity,
-- parent, parentIndex, inbox, spec.
local function newGroup(gid, g, lane, priority, affinityMs)
  local sequence = shardNumber('seq')
  setShard('seq', sequence + 1)
  g.gid, g.b, g.isNew, g.isTouched, g.isRoot, g.lane = gid, T .. ':b:' .. gid, true, true, g.parent == '', lane
  g.score = ((100 - priority) * 64 + max(0, 63 - g.depth)) * 549755813888 + sequence
  g.opened, g.state, g.left, g.fill, g.bytes, g.next, g.flight, g.settles, g.leases, g.since = now(), 'o', g.size, 0, 0, 0, 0, 0, 0, 0
  g.back, g.delayed, g.failed, g.dead, g.closed, g.cursorCount, g.affinityUntil = 0, 0, 0, 0, 0, 0, 0
  g.isQueued, g.wasQueued, g.isRetired, g.hasKids, g.readyBefore, g.flightBefore, g.delayedBefore = false, false, false, false, 0, 0, 0
  g.segments, g.records = '', {}
  if g.size <= SMALL then
    g.all = rep(NO_CELL, g.size)
  end
  if g.affinity ~= '' then
    g.affinityUntil = now() + affinityMs
    due[#due + 1] = { g.affinityUntil, 'a ' .. gid }
  end
  groups[gid] = g
  groupOrder[#groupOrder + 1] = g
  local listed = listing[g.run]
  if listed then
    listed[#listed + 1] = gid
  else
    listed = { 'RPUSH', T .. ':r:' .. g.run .. ':k', gid }
    listing[g.run] = listed
    early[#early + 1] = listed
  end
  return g
end

-- Stores `count` input items from item `from` (which is the fill) on. `ends` count from the group's first byte. Before they are ready.
local function addInputs(g, from, count, ends, bytes)
  local d, size = g.b .. ':d', g.size
  local ready = readyOf(g)
  if g.isShared and #bytes > SEGMENT_BYTES then
    g.segments, g.isSegmentsChanged = pack('<I4I4', 0, 0), true
    g.writes = { { 'SET', g.b .. ':i0', bytes } }
    g.contents = ''
  elseif g.isShared or count == size then
    g.contents = g.isShared and bytes or ends .. bytes
    if size <= SMALL and size * 8 + #g.contents <= MOST_INLINE_BYTES then
      g.inline, g.isTableChanged = rep(NO_CELL, size) .. g.contents, true
    end
  else
    local last = #g.segments / 8 - 1
    if last < 0 or g.bytes + #bytes - (unpackBytes('<I4', g.segments, last * 8 + 5)) > SEGMENT_BYTES then
      g.segments, g.isSegmentsChanged = g.segments .. pack('<I4I4', from, g.bytes), true
      last = last + 1
    end
    call('STRLEN', d)
    call('STRLEN', g.b .. ':i' .. last)
    g.writes = { { 'SETRANGE', d, size * 8 + from * 4, ends }, { 'APPEND', g.b .. ':i' .. last, bytes } }
  end
  g.fill, g.bytes = g.fill + count, g.bytes + #bytes
  addReady(g, readyOf(g) - ready)
end

-- Opens a group for a branch of `holding`, as ARGV tells of it from `at` on (see step).
local function newChild(ARGV, at, holding, index, session, lane)
  local gid, from, count = ARGV[at], tonumber(ARGV[at + 17]), tonumber(ARGV[at + 18])
  local child = newGroup(gid, { run = holding.run, digest = ARGV[at + 1], size = tonumber(ARGV[at + 2]), isShared = ARGV[at + 3] == '1', rule = ARGV[at + 4],
    depth = tonumber(ARGV[at + 9]), limit = tonumber(ARGV[at + 10]), attempts = tonumber(ARGV[at + 11]), losses = tonumber(ARGV[at + 12]),
    timeout = tonumber(ARGV[at + 13]), affinity = ARGV[at + 14], parent = holding.gid, parentIndex = index, inbox = session, spec = ARGV[at + 22] },
    lane, tonumber(ARGV[at + 8]), tonumber(ARGV[at + 15]))
  if from == 0 and count > 0 then
    addInputs(child, 0, count, ARGV[at + 20], ARGV[at + 21])
  end
  touch(holding)
  local kids = holding.kids or {}
  local mine = kids[index] or holding.hasKids and call('HGET', holding.b .. ':k', index) or ''
  kids[index] = mine == '' and gid or mine .. '\n' .. gid
  holding.kids, holding.hasKids = kids, true
  activity(holding.run, 'group', gid)
  return child
end
