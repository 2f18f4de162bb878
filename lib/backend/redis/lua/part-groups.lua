-- Groups and runs as a picture in memory: read once, changed there, written at the end by `commit` (part-commit).
local READY, LEASED, DELAYED, SUCCEEDED, FAILED, DEAD = 0, 1, 2, 3, 4, 5
local ANYWHERE = 4294967295
-- Flags of a cell: its holder has taken a step under this grant; it has opened a group under this grant or one before.
local HAS_STEPPED, HAS_KIDS = 1, 2

-- What stays of the flags when a branch is granted again.
local function kidsFlag(flags)
  return flags >= HAS_KIDS and HAS_KIDS or 0
end

local NO_LEASE = '\0\0\0\0'
local NO_CELL = '\0\0\0\0\0\0\0\0'
local SEGMENT_BYTES = 1048576

-- By gid: the group, or false when there is none.
local groups, groupOrder
local HEAD = '^([^\t]*)\t([^\t]*)\t(%d+)\t(%d)\t(%a+)\t(%d+)\t(%d+)\t(%d+)\t(%d+)\t(%d+)\t(%d+)\t(%d+)\t(%d+)\t(%d+)\t([^\t]*)\t([^\n]*)\n'
local STATE = '^(%l) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d) (%d+)$'
local RARE = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d) (%d+) (%d) (%d+)$'

-- The group; `lease` is the number of a grant whose record is wanted, too. False when there is none. Garbage is an error.
local function load(gid, lease)
  local g = groups[gid]
  if g ~= nil then
    if g and lease and g.records[lease] == nil then
      g.records[lease] = call('HGET', g.b, 't' .. lease)
    end
    return g
  end
  local b = T .. ':b:' .. gid
  local fields = lease and call('HMGET', b, 's', 'x', 'inbox', 'segs', 't' .. lease) or call('HMGET', b, 's', 'x', 'inbox', 'segs')
  if not fields[1] then
    groups[gid] = false
    return false
  end
  local head = call('GET', b .. ':g')
  if not head then
    error('no head')
  end
  g = { gid = gid, b = b, records = {}, recordChanges = {}, ended = {}, cells = {}, ranges = {}, single = {}, returned = {}, outcomes = {}, cursors = {} }
  local _, headEnd
  _, headEnd, g.run, g.digest, g.size, g.shared, g.rule, g.lane, g.score, g.depth, g.limit, g.attempts, g.losses, g.timeout,
    g.parentIndex, g.opened, g.affinity, g.parent = find(head, HEAD)
  g.state, g.left, g.fill, g.bytes, g.next, g.flight, g.settles, g.leases, g.queued, g.since = match(fields[1], STATE)
  if not headEnd or not g.state then
    error('an unreadable head or state')
  end
  g.spec = sub(head, headEnd + 1)
  g.size, g.limit, g.attempts, g.losses, g.timeout = tonumber(g.size), tonumber(g.limit), tonumber(g.attempts), tonumber(g.losses), tonumber(g.timeout)
  g.parentIndex, g.opened, g.depth = tonumber(g.parentIndex), tonumber(g.opened), tonumber(g.depth)
  g.isShared, g.isRoot = g.shared == '1', g.parent == ''
  g.left, g.fill, g.bytes, g.next, g.flight = tonumber(g.left), tonumber(g.fill), tonumber(g.bytes), tonumber(g.next), tonumber(g.flight)
  g.settles, g.leases, g.since, g.isQueued = tonumber(g.settles), tonumber(g.leases), tonumber(g.since), g.queued == '1'
  if fields[2] then
    local back, delayed, failed, dead, closed, retired, cursors, kids, affinityUntil = match(fields[2], RARE)
    if not back then
      error('an unreadable state')
    end
    g.back, g.delayed, g.failed, g.dead, g.closed = tonumber(back), tonumber(delayed), tonumber(failed), tonumber(dead), tonumber(closed)
    g.isRetired, g.cursorCount, g.hasKids, g.affinityUntil = retired == '1', tonumber(cursors), kids == '1', tonumber(affinityUntil)
    g.hadRare = true
  else
    g.back, g.delayed, g.failed, g.dead, g.closed, g.isRetired, g.cursorCount, g.hasKids, g.affinityUntil = 0, 0, 0, 0, 0, false, 0, false, 0
  end
  g.inbox, g.segments = fields[3] or '', fields[4] or ''
  if lease then
    g.records[lease] = fields[5]
  end
  g.wasQueued, g.readyBefore, g.flightBefore, g.delayedBefore = g.isQueued, nil, g.flight, g.delayed
  groups[gid] = g
  groupOrder[#groupOrder + 1] = g
  return g
end

-- Branches whose input is there.
local function filled(g)
  if g.isShared then
    return g.fill > 0 and g.size or 0
  end
  return g.fill
end

local function readyOf(g)
  return g.state == 'o' and filled(g) - g.next + g.back or 0
end

-- Before anything of a group is changed: what it looked like.
local function touch(g)
  if not g.isTouched then
    g.isTouched = true
    g.readyBefore = g.isNew and 0 or readyOf(g)
    if g.isNew then
      g.flightBefore, g.delayedBefore = 0, 0
    end
  end
end

-- The cells of branches `from` on, as they are or will be. One that was written alone is not searched for: a call may write a thousand.
local function cellsOf(g, from, count)
  if count == 1 and g.single[from] then
    return g.single[from]
  end
  local cells = call('GETRANGE', g.b .. ':d', from * 8, (from + count) * 8 - 1)
  if #cells < count * 8 then
    cells = cells .. rep('\0', count * 8 - #cells)
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

local function cellOf(g, index)
  if index >= g.size then
    return nil
  end
  return cellsOf(g, index, 1)
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
  return g.bytes > 0 and call('GETRANGE', g.b .. ':d', g.size * 8, g.size * 8 + g.bytes - 1) or ''
end

-- Start and end of a branch's input, counted from the group's first byte.
local function inputRange(g, index)
  local around = call('GETRANGE', g.b .. ':d', g.size * 8 + max(0, index - 1) * 4, g.size * 8 + index * 4 + 3)
  local start = index > 0 and (unpackBytes('<I4', around)) or 0
  local last = unpackBytes('<I4', around, #around - 3)
  if last < start or last > g.bytes then
    error('inputs that end before they begin')
  end
  return start, last
end

local function inputOf(g, index)
  if g.isShared then
    return sharedInput(g)
  end
  local start, last = inputRange(g, index)
  if last == start then
    return ''
  end
  local key, before = segmentOf(g, index)
  return call('GETRANGE', key, start - before, last - 1 - before)
end

-- `<token> <first>-<last>,… <granted at> <session>`: token, the branches as runs of neighbours, session, granted at.
local function recordOf(g, lease)
  local record = g.records[lease]
  if record == nil then
    record = call('HGET', g.b, 't' .. lease)
    g.records[lease] = record
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
local function stillHeld(g, branches, lease)
  local indexes, kept, number = {}, {}, tonumber(lease)
  for first, last in string.gmatch(branches, '(%d+)%-(%d+)') do
    first, last = tonumber(first), tonumber(last)
    if last >= g.size then
      error('a grant of branches that are not there')
    end
    local cells = first < last and cellsOf(g, first, last - first + 1) or cellOf(g, first)
    for k = 0, last - first do
      if byte(cells, k * 8 + 1) == LEASED and (unpackBytes('<I4', cells, k * 8 + 5)) == number then
        indexes[#indexes + 1], kept[#kept + 1] = first + k, sub(cells, k * 8 + 1, k * 8 + 8)
      end
    end
  end
  return indexes, kept
end

local function setRecord(g, lease, record)
  g.records[lease] = record
  g.recordChanges[#g.recordChanges + 1] = lease
end

local function leaseOf(token)
  return match(token, '%-(%d+)$')
end

-- Whether this is the token of a grant. Who opened a run may name it before it has heard of its fence: `?.` and the rest.
local function isToken(token, known)
  return token == known or (known and sub(token, 1, 2) == '?.' and sub(token, 3) == match(known, '^%d+%.(.*)$'))
end

-- The open group of a branch that this token holds, with the number of the grant and the branch's cell; nil when it does not.
local function held(gid, index, token)
  local lease = leaseOf(token)
  if not lease or #lease > 10 then
    return nil
  end
  local g = load(gid, lease)
  if not g or g.state ~= 'o' or not isToken(token, (recordOf(g, lease))) then
    return nil
  end
  local cell = cellOf(g, index)
  if not cell or byte(cell) ~= LEASED or unpackBytes('<I4', cell, 5) ~= tonumber(lease) then
    return nil
  end
  return g, lease, cell
end

-- Runs, by id: the facts, or false when there is none.
local runs, runOrder
local RUN_FIELDS = { 'created', 'end', 'paused', 'aband', 'started', 'driver', 'startedAt', 'ret', 'timeout', 'graph', 'ikey', 'kept' }

local function loadRun(id)
  local run = runs[id]
  if run ~= nil then
    return run
  end
  local values = call('HMGET', T .. ':r:' .. id, unpack(RUN_FIELDS))
  if not values[1] then
    runs[id] = false
    return false
  end
  run = { id = id, key = T .. ':r:' .. id, changes = {}, isEnded = values[2] ~= false, ended = values[2], isPaused = values[3] == '1', isAbandoned = values[4] == '1',
    isStarted = values[5] == '1', driver = values[6] or '', startedAt = values[7], retention = tonumber(values[8]) or 0,
    timeout = values[9], graph = values[10], key2 = values[11], kept = tonumber(values[12]) or 0 }
  runs[id] = run
  runOrder[#runOrder + 1] = run
  return run
end

local function setRun(run, name, value)
  run.changes[#run.changes + 1] = name
  run.changes[#run.changes + 1] = value
end

local function begin_groups()
  groups, groupOrder, runs, runOrder = {}, {}, {}, {}
end
