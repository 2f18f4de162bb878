-- New groups and their inputs. Hides how a group travels in ARGV, where its inputs are stored, and how long graphs are kept.
-- Gives: hasGraph newGroup newChild addInputs inputsIn isUploaded commitGraphs
-- Needs:
--   base: activity now setShard shardNumber wall whole
--   branch-table: NO_CELL SMALL
--   children: addChild
--   due-queue: plan
--   group: RULES addGroup filled readyOf touch
--   retries: retries
--   run: listGroup loadRun
--   uploads: uploads
--   waking: addReady
-- A function of its own: Lua has room for 200 names in one, and the parts around have taken nearly all.
(function()
-- How long a graph is kept that no run uses, and how much of it may pass before a use renews it.
local GRAPH_RETENTION_S, GRAPH_RENEWAL_S = 86400, 3600
-- A table with inputs of so few bytes stands in the group's hash.
local MOST_INLINE_BYTES = 1024
-- Inputs that come piece by piece are stored in segments of about so many.
local SEGMENT_BYTES = 1048576
-- Graphs that are used, and when each goes.
local kept = {}

function begin_opening()
  if kept[1] then kept = {} end
end

-- Whether a graph is there; it is kept for a day from its use on, renewed in Redis once in an hour.
function hasGraph(graph)
  local key = T .. ':g:' .. graph
  local goes = call('PEXPIRETIME', key)
  if goes == -2 then
    return false
  end
  kept[#kept + 1] = { key, goes }
  return true
end

function commitGraphs()
  for i = 1, #kept do
    if kept[i][2] < wall() + (GRAPH_RETENTION_S - GRAPH_RENEWAL_S) * 1000 then
      tryCall('EXPIRE', kept[i][1], GRAPH_RETENTION_S)
    end
  end
end

-- A group in ARGV: gid, digest, facts, queue, requires, tasks, affinity, graph, ends and bytes of inputs, spec, name of
-- the upload that the bytes are in, or ''. Facts are its numbers: size, shared,
-- rule, depth, limit, attempts, maxLosses, timeoutMs; priority, how long its affinity holds; of the inputs: from, count, and bytes before them.
local FACTS = '<I4BBI4dI4I4dddI4I4I4'

-- A group that is not there yet, as ARGV has it from `at` on.
function newGroup(ARGV, at, run, parent, parentIndex, inbox, lane)
  local gid, facts, affinity = ARGV[at], ARGV[at + 2], ARGV[at + 6]
  local size, shared, rule, depth, limit, attempts, losses, timeout, priority, affinityMs = unpackBytes(FACTS, facts)
  local sequence = shardNumber('seq')
  setShard('seq', whole(sequence + 1))
  -- all it will ever have, so that Lua makes room once
  local g = { gid = gid, b = T .. ':b:' .. gid, run = run, digest = ARGV[at + 1], facts = facts, size = size, isShared = shared == 1,
    rule = RULES[rule], lane = lane, score = ((100 - priority) * 64 + max(0, 63 - depth)) * 549755813888 + sequence, depth = depth, limit = limit,
    attempts = attempts, losses = losses, timeout = timeout, parentIndex = parentIndex, opened = now(), affinity = affinity, parent = parent,
    isRoot = parent == '', spec = ARGV[at + 10], inbox = inbox, state = 'o', left = size, fill = 0, bytes = 0, next = 0, inFlight = 0, settles = 0,
    grantCount = 0, since = 0, requeuedCount = 0, delayed = 0, parked = 0, failed = 0, dead = 0, epoch = 0, closed = 0, affinityUntil = 0,
    isQueued = false, wasQueued = false, isRetired = false, hasChildren = false, isOpeners = false, isNew = true, isTouched = true, readyBefore = 0,
    inFlightBefore = 0, delayedBefore = 0, segments = '', records = {}, inline = false, contents = false,
    endsRun = find(ARGV[at + 10], '"endsRun":true', 1, true) ~= nil,
    all = size <= SMALL and rep(NO_CELL, size) }
  if affinity ~= '' then
    g.affinityUntil = now() + affinityMs
    plan(g.affinityUntil, 'a ' .. gid)
  end
  addGroup(g)
  listGroup(run, gid)
  return g
end

-- Behind what is to be written of the group already.
local function addWrites(g, first, second)
  local writes = g.writes or {}
  g.writes = writes
  writes[#writes + 1] = first
  writes[#writes + 1] = second
end

-- Before inputs are added from item `from` on: those before must be there, since writing would fill up what is lost with zeros.
local function requireEnds(g, from)
  local size = call('STRLEN', g.b .. ':d')
  if from > 0 and size < g.size * 8 + from * 4 then
    error('inputs that are not all there')
  end
end

-- Stores inputs that were uploaded: a segment of their own. How many bytes they are.
local function addUploaded(g, from, count, ends, upload)
  g.segmentUpload = { upload, g.b .. ':i' .. #g.segments / 8 }
  g.segments, g.isSegmentsChanged = g.segments .. pack('<I4I4', from, g.bytes), true
  if g.isShared or count == g.size then
    g.contents = g.isShared and '' or ends
  else
    requireEnds(g, from)
    addWrites(g, { 'SETRANGE', g.b .. ':d', g.size * 8 + from * 4, ends })
  end
  return uploads.sizeOf(upload)
end

-- Stores `count` input items from item `from` (which is the fill) on, as ARGV has them. `ends` count from the group's first byte. Before they
-- are ready.
function addInputs(g, from, count, ARGV, at)
  local size, ends, bytes, upload = g.size, ARGV[at + 8], ARGV[at + 9], ARGV[at + 11]
  local ready, added, before = g.isNew and 0 or readyOf(g), #bytes, g.isReopened and filled(g)
  if g.isReopened then
    retries.keepCells(g, g.isShared or count == size)
  end
  if upload ~= '' then
    added = addUploaded(g, from, count, ends, upload)
  elseif g.isShared and #bytes > SEGMENT_BYTES then
    g.segments, g.isSegmentsChanged = pack('<I4I4', 0, 0), true
    addWrites(g, { 'SET', g.b .. ':i0', bytes })
    g.contents = ''
  elseif g.isShared or count == size then
    g.contents = g.isShared and bytes or ends .. bytes
    if size <= SMALL and size * 8 + #g.contents <= MOST_INLINE_BYTES then
      g.inline, g.isTableChanged = rep(NO_CELL, size) .. g.contents, true
    end
  else
    local d, last = g.b .. ':d', #g.segments / 8 - 1
    if last < 0 or g.bytes + #bytes - (unpackBytes('<I4', g.segments, last * 8 + 5)) > SEGMENT_BYTES then
      g.segments, g.isSegmentsChanged = g.segments .. pack('<I4I4', from, g.bytes), true
      last = last + 1
    end
    requireEnds(g, from)
    call('STRLEN', g.b .. ':i' .. last)
    addWrites(g, { 'SETRANGE', d, size * 8 + from * 4, ends }, { 'APPEND', g.b .. ':i' .. last, bytes })
  end
  g.fill, g.bytes = g.fill + count, g.bytes + added
  if g.isReopened then
    retries.requeueAnew(g, before)
  end
  addReady(g, readyOf(g) - ready)
end

-- Where the inputs begin that ARGV brings for a group, how many they are, and the bytes before them.
function inputsIn(ARGV, at)
  local from, count, base = unpackBytes('<I4I4I4', ARGV[at + 2], 51)
  return from, count, base
end

-- Whether the inputs that ARGV brings for a group are all there: those that were uploaded may not have come.
function isUploaded(ARGV, at)
  local upload, ends = ARGV[at + 11], ARGV[at + 8]
  if upload == '' then
    return true
  end
  local _, _, base = inputsIn(ARGV, at)
  return uploads.sizeOf(upload) == (unpackBytes('<I4', ends, #ends - 3)) - base
end

-- Opens a group for a branch of `holding`, as ARGV has it from `at` on.
function newChild(ARGV, at, holding, index, session, lane)
  local gid = ARGV[at]
  local from, count = inputsIn(ARGV, at)
  local child = newGroup(ARGV, at, holding.run, holding.gid, index, session, lane)
  local epoch = loadRun(holding.run).epoch
  if epoch and epoch > 0 then
    addWrites(child, { 'HSET', child.b, 'ep', whole(epoch) })
  end
  if from == 0 and count > 0 then
    addInputs(child, 0, count, ARGV, at)
  end
  touch(holding)
  addChild(holding, index, gid)
  activity(holding.run, 'group', gid)
  return child
end
end)()
