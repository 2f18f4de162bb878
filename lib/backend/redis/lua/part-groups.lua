-- Groups and runs as a picture in memory: read once, changed there, written at the end by `commit` (part-commit).
local READY, GRANTED, DELAYED, SUCCEEDED, FAILED, DEAD = 0, 1, 2, 3, 4, 5
local ANYWHERE = 4294967295
-- Flags of a cell: its holder has taken a step under this grant; it has opened a group under this grant or one before.
local HAS_STEPPED, HAS_CHILDREN = 1, 2

-- What stays of the flags when a branch is granted again.
local function childrenFlag(flags)
  return flags >= HAS_CHILDREN and HAS_CHILDREN or 0
end

local NO_GRANT = '\0\0\0\0'
local NO_CELL = '\0\0\0\0\0\0\0\0'
local SEGMENT_BYTES = 1048576

-- The branch table of a group of at most this many is read and written in one piece; with inputs of few bytes it stands in the group's hash.
local SMALL, MOST_INLINE_BYTES = 32, 1024
-- By gid: the group, or false when there is none.
local groups, groupOrder = {}, {}

-- Rules of release, by number: all branches, the first failure, the first success.
local RULES = { 'all', 'ff', 'fs' }
local load, headOf, stateOf, isClosedBy
do

-- What never changes of a group: size, shared, rule, depth, limit, attempts, losses, timeout, as the client packs them; then index of the branch
-- that opened it, opened, score; lane, digest, affinity, gid of the group that this branch is of.
local HEAD, FACT_BYTES = '<I4BBI4dI4I4dI4ddssss', 34
-- What does: since; state, flags, left, fill, bytes, next, inFlight, settles, grantCount, requeuedCount, delayed, failed, dead; closed, end of the affinity.
-- Behind it: the session that is told of the release.
local STATE, STATE_BYTES = '<dBBI4I4I4I4I4I4I4I4I4I4I4dd', 70
local STATES = { [111] = 'o', [114] = 'r', [119] = 'w' }
local STATE_BYTE = { o = 111, r = 114, w = 119 }
local IS_QUEUED, IS_RETIRED, HAS_GROUPS = 1, 2, 4
-- Of a new group.
function headOf(g)
  return sub(g.facts, 1, FACT_BYTES) .. pack('<I4ddssss', g.parentIndex, g.opened, g.score, g.lane, g.digest, g.affinity, g.parent)
end

function stateOf(g)
  local flags = (g.isQueued and IS_QUEUED or 0) + (g.isRetired and IS_RETIRED or 0) + (g.hasChildren and HAS_GROUPS or 0)
  return pack(STATE, g.since, STATE_BYTE[g.state], flags, g.left, g.fill, g.bytes, g.next, g.inFlight, g.settles, g.grantCount, g.requeuedCount, g.delayed, g.failed,
    g.dead, g.closed, g.affinityUntil) .. g.inbox
end

-- The group, with the record of grant `grantNumber` where one is named, or ready to be granted (with its spec) where `isToGrant`. False when there is
-- none. Garbage is an error.
function load(gid, grantNumber, isToGrant)
  local g = groups[gid]
  if g ~= nil then
    if g and grantNumber and g.records[grantNumber] == nil then
      g.records[grantNumber] = call('HGET', g.b, 't' .. grantNumber)
    end
    return g
  end
  local b = T .. ':b:' .. gid
  local fields
  if grantNumber then
    fields = call('HMGET', b, 's', 'h', 'd', 'segs', 't' .. grantNumber)
  elseif isToGrant then
    fields = call('HMGET', b, 's', 'h', 'd', 'segs', 'g')
  else
    fields = call('HMGET', b, 's', 'h', 'd', 'segs')
  end
  local s, h = fields[1], fields[2]
  if not s then
    groups[gid] = false
    return false
  end
  if not h then
    error('no head')
  end
  if #s < STATE_BYTES then
    error('an unreadable state')
  end
  local since, state, flags, left, fill, bytes, nextIndex, inFlight, settles, grantCount, requeuedCount, delayed, failed, dead, closed, affinityUntil = unpackBytes(STATE, s)
  local size, shared, rule, depth, limit, attempts, losses, timeout, parentIndex, opened, score, lane, digest, affinity, parent = unpackBytes(HEAD, h)
  if not STATES[state] or not RULES[rule] or score ~= score or not find(lane, '^%d+$') then
    error('an unreadable head or state')
  end
  if size == 0 or max(left, fill, nextIndex, inFlight, delayed) > size then
    error('a state with more branches than the group has')
  end
  g = { gid = gid, b = b, run = parent == '' and gid or match(gid, '^[^/]*'), size = size, isShared = shared == 1, rule = RULES[rule], lane = lane,
    score = score, depth = depth, limit = limit, attempts = attempts, losses = losses, timeout = timeout, parentIndex = parentIndex, opened = opened,
    digest = digest, affinity = affinity, parent = parent, isRoot = parent == '', spec = isToGrant and fields[5] or nil, state = STATES[state],
    left = left, fill = fill, bytes = bytes, next = nextIndex, inFlight = inFlight, settles = settles, grantCount = grantCount, requeuedCount = requeuedCount, delayed = delayed,
    failed = failed, dead = dead, since = since, closed = closed, affinityUntil = affinityUntil, isQueued = flags % 2 == 1,
    isRetired = flags % 4 >= IS_RETIRED, hasChildren = flags >= HAS_GROUPS, inbox = #s > STATE_BYTES and sub(s, STATE_BYTES + 1) or '',
    inline = fields[3], segments = fields[4] or '', wasQueued = flags % 2 == 1, inFlightBefore = inFlight, delayedBefore = delayed, readyBefore = 0, isTouched = false,
    records = grantNumber and { [grantNumber] = fields[5] } or {} }
  if g.inline and #g.inline < size * 8 then
    error('a branch table that is cut off')
  end
  if g.state == 'o' then
    g.readyBefore = (not g.isShared and fill or fill > 0 and size or 0) - nextIndex + requeuedCount
  end
  if shard.ahead == nil then
    firstRead[#firstRead + 1] = 'f:' .. lane
  end
  groups[gid] = g
  groupOrder[#groupOrder + 1] = g
  return g
end

-- Whether a state, as it is stored, is that of a closed group. False for garbage.
function isClosedBy(s)
  local state = type(s) == 'string' and #s >= STATE_BYTES and STATES[byte(s, 9)]
  return state == 'r' or state == 'w'
end

end

-- As the client packed it.
local function specOf(g)
  if not g.spec then
    g.spec = call('HGET', g.b, 'g') or error('no spec')
  end
  return g.spec
end

-- Branches whose input is there.
local function filled(g)
  if g.isShared then
    return g.fill > 0 and g.size or 0
  end
  return g.fill
end

local function readyOf(g)
  return g.state == 'o' and filled(g) - g.next + g.requeuedCount or 0
end

-- Something of the group will be changed.
local function touch(g)
  g.isTouched = true
end

-- Bytes of the branch table and what comes behind it, as they are stored.
local function stored(g, from, to)
  return g.inline and sub(g.inline, from + 1, to + 1) or call('GETRANGE', g.b .. ':d', from, to)
end

-- All cells of a small group, as they are or will be.
local function tableOf(g)
  local all = g.all
  if not all then
    all = stored(g, 0, g.size * 8 - 1)
    if #all < g.size * 8 then
      all = all .. rep('\0', g.size * 8 - #all)
    end
    g.all = all
  end
  return all
end

-- The cells of branches `from` on, as they are or will be. One that was written alone is not searched for: a call may write a thousand.
local function cellsOf(g, from, count)
  if g.size <= SMALL then
    local all = tableOf(g)
    return count == g.size and all or sub(all, from * 8 + 1, (from + count) * 8)
  end
  if count == 1 and g.single and g.single[from] then
    return g.single[from]
  end
  local cells = call('GETRANGE', g.b .. ':d', from * 8, (from + count) * 8 - 1)
  if #cells < count * 8 then
    cells = cells .. rep('\0', count * 8 - #cells)
  end
  if not g.cells then
    return cells
  end
  for _, write in ipairs(count == 1 and g.ranges or g.cells) do
    local at, length = write[1], #write[2] / 8
    if at < from + count and at + length > from then
      local first, last = max(at, from), min(at + length, from + count)
      cells = sub(cells, 1, (first - from) * 8) .. sub(write[2], (first - at) * 8 + 1, (last - at) * 8) .. sub(cells, (last - from) * 8 + 1)
    end
  end
  return cells
end

local function setCells(g, from, cells)
  if g.size <= SMALL then
    local all = tableOf(g)
    g.all = #cells == #all and cells or sub(all, 1, from * 8) .. cells .. sub(all, from * 8 + #cells + 1)
    g.isTableChanged = true
    return
  end
  if not g.cells then
    g.cells, g.ranges, g.single = {}, {}, {}
  end
  g.cells[#g.cells + 1] = { from, cells }
  if #cells == 8 then
    g.single[from] = cells
    return
  end
  g.ranges[#g.ranges + 1] = { from, cells }
  if next(g.single) then
    for k = 0, #cells / 8 - 1 do
      g.single[from + k] = sub(cells, k * 8 + 1, k * 8 + 8)
    end
  end
end

-- A few of the stored bytes from `at` on, all in one block. A call that looks at a thousand branches one by one reads some blocks.
local BLOCK_BYTES = 4096
local function storedNear(g, at, length)
  if g.inline then
    return sub(g.inline, at + 1, at + length)
  end
  local blocks = g.blocks or {}
  g.blocks = blocks
  local number = floor(at / BLOCK_BYTES)
  local block = blocks[number]
  if not block then
    block = call('GETRANGE', g.b .. ':d', number * BLOCK_BYTES, (number + 1) * BLOCK_BYTES - 1)
    blocks[number] = block
  end
  local from = at - number * BLOCK_BYTES
  return sub(block, from + 1, from + length)
end

local function cellOf(g, index)
  if index >= g.size then
    return nil
  end
  if g.size <= SMALL or g.ranges and g.ranges[1] then
    return cellsOf(g, index, 1)
  end
  if g.single and g.single[index] then
    return g.single[index]
  end
  local cell = storedNear(g, index * 8, 8)
  return #cell == 8 and cell or cell .. rep('\0', 8 - #cell)
end

-- Where the input of a branch is: key, what is before the inputs in it, and the first index behind it.
local function segmentOf(g, index)
  local segments = g.segments
  if segments == '' then
    return g.b .. ':d', -g.size * 12, g.size
  end
  local low, high = 0, #segments / 8
  while high - low > 1 do
    local middle = floor((low + high) / 2)
    if unpackBytes('<I4', segments, middle * 8 + 1) <= index then
      low = middle
    else
      high = middle
    end
  end
  local behind = g.size
  if low * 8 + 8 < #segments then
    behind = unpackBytes('<I4', segments, low * 8 + 9)
  end
  local before = unpackBytes('<I4', segments, low * 8 + 5)
  return g.b .. ':i' .. low, before, behind
end

local function sharedInput(g)
  if g.segments ~= '' then
    return call('GET', g.b .. ':i0') or ''
  end
  return g.bytes > 0 and stored(g, g.size * 8, g.size * 8 + g.bytes - 1) or ''
end

-- Start and end of a branch's input, counted from the group's first byte.
local function inputRange(g, index)
  local ends = g.size * 8
  local start = index > 0 and (unpackBytes('<I4', storedNear(g, ends + index * 4 - 4, 4))) or 0
  local last = unpackBytes('<I4', storedNear(g, ends + index * 4, 4))
  if last < start or last > g.bytes then
    error('inputs that end before they begin')
  end
  return start, last
end

-- The inputs between two bytes, which start in the segment of branch `index`.
local function inputBytes(g, index, start, last)
  if last == start then
    return ''
  end
  local key, before = segmentOf(g, index)
  if g.segments == '' then
    return stored(g, start - before, last - 1 - before)
  end
  return call('GETRANGE', key, start - before, last - 1 - before)
end

local function inputOf(g, index)
  if g.isShared then
    return sharedInput(g)
  end
  local start, last = inputRange(g, index)
  return inputBytes(g, index, start, last)
end

-- `<token> <first>-<last>,… <granted at> <session>`: token, the branches as runs of neighbours, session, granted at.
local function recordOf(g, grantNumber)
  local record = g.records[grantNumber]
  if record == nil then
    record = call('HGET', g.b, 't' .. grantNumber)
    g.records[grantNumber] = record
  end
  if not record then
    return nil
  end
  local token, branches, at, session = match(record, '^(%S+) ([%d,-]+) (%d+) (%S+)$')
  if not token then
    error('an unreadable grant')
  end
  return token, branches, session, tonumber(at)
end

-- What is still held of a grant: indexes and cells. Only the grant's own branches are looked at, however large its group.
local function stillHeld(g, branches, grantNumber)
  local indexes, kept, number = {}, {}, tonumber(grantNumber)
  for first, last in gmatch(branches, '(%d+)%-(%d+)') do
    first, last = tonumber(first), tonumber(last)
    if last >= g.size then
      error('a grant of branches that are not there')
    end
    local cells = first < last and cellsOf(g, first, last - first + 1) or cellOf(g, first)
    for k = 0, last - first do
      if byte(cells, k * 8 + 1) == GRANTED and (unpackBytes('<I4', cells, k * 8 + 5)) == number then
        indexes[#indexes + 1], kept[#kept + 1] = first + k, sub(cells, k * 8 + 1, k * 8 + 8)
      end
    end
  end
  return indexes, kept
end

local function setRecord(g, grantNumber, record)
  g.records[grantNumber] = record
  local changes = g.recordChanges or {}
  g.recordChanges = changes
  changes[#changes + 1] = grantNumber
end

local function grantNumberOf(token)
  return match(token, '%-(%d+)$')
end

-- The open group of a branch that this token holds, with the number of the grant, the branch's cell, and whose the grant is; nil when it does not.
local function held(gid, index, token)
  local grantNumber = grantNumberOf(token)
  if not grantNumber or #grantNumber > 10 then
    return nil
  end
  local g = load(gid, grantNumber)
  if not g or g.state ~= 'o' then
    return nil
  end
  local known, _, session = recordOf(g, grantNumber)
  if token ~= known then
    return nil
  end
  local cell = cellOf(g, index)
  if not cell or byte(cell) ~= GRANTED or unpackBytes('<I4', cell, 5) ~= tonumber(grantNumber) then
    return nil
  end
  return g, grantNumber, cell, session
end

-- Runs, by id: the facts, or false when there is none.
local runs, runOrder = {}, {}

local function loadRun(id)
  local run = runs[id]
  if run ~= nil then
    return run
  end
  local key = T .. ':r:' .. id
  local values = call('HMGET', key, 'created', 'end', 'paused', 'aband', 'started', 'startedAt', 'ret', 'timeout')
  if not values[1] then
    runs[id] = false
    return false
  end
  run = { id = id, key = key, isEnded = values[2] ~= false, ended = values[2], isPaused = values[3] == '1', isAbandoned = values[4] == '1',
    isStarted = values[5] == '1', startedAt = values[6], retention = tonumber(values[7]) or 0, timeout = values[8], changes = false }
  runs[id] = run
  runOrder[#runOrder + 1] = run
  return run
end

local function setRun(run, name, value)
  local changes = run.changes or {}
  run.changes = changes
  local at = #changes
  changes[at + 1], changes[at + 2] = name, value
end

local function begin_groups()
  groups, groupOrder = {}, {}
  if next(runs) ~= nil then runs, runOrder = {}, {} end
end
