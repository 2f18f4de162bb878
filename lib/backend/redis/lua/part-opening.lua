-- New groups and their inputs.

-- The number of the lane for what a group asks of a worker; a new one is added.
local function laneNumber(queue, requires, tasks)
  local text = queue .. '|' .. requires .. '|' .. tasks
  local number = call('HGET', T .. ':l', text)
  if not number then
    number = shardNumber('lanes') + 1
    setShard('lanes', number)
    local at = #newLanes
    newLanes[at + 1], newLanes[at + 2], newLanes[at + 3], newLanes[at + 4] = text, number, '#' .. number, text
    number = tostring(number)
  end
  lanes[number] = { queue = queue, requires = requires, tasks = tasks }
  return number
end

-- A group that is not there yet. `facts`: run, digest, size, isShared, rule, queue, requires, tasks, priority, depth, limit, attempts, losses,
-- timeout, affinity, affinityMs, parent, parentIndex, inbox, spec.
local function newGroup(gid, facts)
  local sequence = shardNumber('seq')
  setShard('seq', sequence + 1)
  local lane = laneNumber(facts.queue, facts.requires, facts.tasks)
  local score = whole(((100 - facts.priority) * 64 + max(0, 63 - facts.depth)) * 549755813888 + sequence)
  local head = concat({ facts.run, facts.digest, facts.size, facts.isShared and 1 or 0, facts.rule, lane, score, facts.depth, facts.limit, facts.attempts, facts.losses,
    facts.timeout, facts.parentIndex, now(), facts.affinity, facts.parent }, '\t') .. '\n' .. facts.spec
  local b = T .. ':b:' .. gid
  local g = { gid = gid, b = b, records = {}, recordChanges = {}, ended = {}, cells = {}, ranges = {}, single = {}, returned = {}, outcomes = {}, cursors = {}, writes = {}, head = head, isNew = true,
    run = facts.run, digest = facts.digest, size = facts.size, isShared = facts.isShared, rule = facts.rule, lane = lane, score = score, depth = facts.depth,
    limit = facts.limit, attempts = facts.attempts, losses = facts.losses, timeout = facts.timeout, parentIndex = facts.parentIndex, opened = now(),
    affinity = facts.affinity, parent = facts.parent, isRoot = facts.parent == '', spec = facts.spec, state = 'o', left = facts.size, fill = 0, bytes = 0, next = 0,
    flight = 0, settles = 0, leases = 0, since = 0, isQueued = false, wasQueued = false, back = 0, delayed = 0, failed = 0, dead = 0, closed = 0, isRetired = false,
    cursorCount = 0, hasKids = false, affinityUntil = 0, inbox = facts.inbox, isInboxChanged = facts.inbox ~= '', segments = '' }
  if facts.affinity ~= '' then
    g.affinityUntil = now() + facts.affinityMs
    due[#due + 1] = { g.affinityUntil, 'a ' .. gid }
  end
  groups[gid] = g
  groupOrder[#groupOrder + 1] = g
  touch(g)
  return g
end

-- Stores `count` input items from item `from` (which is the fill) on. `ends` count from the group's first byte. Before they are ready.
local function addInputs(g, from, count, ends, bytes)
  g.writes = g.writes or {}
  local d, size = g.b .. ':d', g.size
  local ready = readyOf(g)
  if g.isShared then
    if #bytes > SEGMENT_BYTES then
      g.segments, g.isSegmentsChanged = pack('<I4I4', 0, 0), true
      g.writes[1] = { 'SET', g.b .. ':i0', bytes }
      g.writes[2] = { 'SET', d, rep(NO_CELL, size) }
    else
      g.writes[1] = { 'SET', d, rep(NO_CELL, size) .. bytes }
    end
  elseif count == size then
    g.writes[1] = { 'SET', d, rep(NO_CELL, size) .. ends .. bytes }
  else
    local last = #g.segments / 8 - 1
    if last < 0 or g.bytes + #bytes - (unpackBytes('<I4', g.segments, last * 8 + 5)) > SEGMENT_BYTES then
      g.segments, g.isSegmentsChanged = g.segments .. pack('<I4I4', from, g.bytes), true
      last = last + 1
    end
    call('STRLEN', d)
    call('STRLEN', g.b .. ':i' .. last)
    g.writes[1] = { 'SETRANGE', d, size * 8 + from * 4, ends }
    g.writes[2] = { 'APPEND', g.b .. ':i' .. last, bytes }
  end
  g.fill, g.bytes = g.fill + count, g.bytes + #bytes
  addReady(g, readyOf(g) - ready)
end
