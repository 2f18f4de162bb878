-- Granting branches of a group: fresh ones as one range, requeued ones gathered one by one. A grant travels as spec, token, fence, first (-1:
-- indexes follow), count, indexes, cells, layout, ends, bytes, how many processes watch its run, and how long the group had ready branches (-1:
-- granted before).
-- Gives: grantTo grantOf addGrant WHOLE SHARED
-- Needs:
--   base: activity now shard shardNumber wall watchersOf
--   branch-table: GRANTED HAS_CHILDREN NO_CELL READY SMALL cellOf cellsOf grantedCells lastingFlags setCells stored
--   children: childrenOf
--   due-queue: unplan
--   grants: newGrant recordOf stillHeld
--   group: filled inputBytes inputPlace inputRange loadReadable segmentOf sharedInput specOf touch
--   run: RUNNING loadRun setRun standings
--   sessions: callWatchers
-- A function of its own: Lua has room for 200 names in one, and the parts around have taken nearly all.
(function()
-- How the inputs of a grant lie in it: the ends, with the one before the first where first is above 0, and the bytes; all in `ends`; one shared
-- input in `bytes`; or gathered: ends from 0; or apart: `bytes` says where they are, and ends are as in the first.
local SPLIT, GATHERED, APART = 0, 3, 4
WHOLE, SHARED = 1, 2

-- The one input of a group.
local function addShared(g, grant)
  local place = inputPlace(g, 0, 0, g.bytes)
  grant.layout, grant.bytes, grant.ends = place and APART or SHARED, place or sharedInput(g), ''
  grant.size = place and g.bytes or #grant.bytes
end

-- All branches of a group whose inputs stand in one piece.
local function addWhole(g, grant)
  local size = g.size
  local all = g.inline or call('GET', g.b .. ':d') or ''
  if #all ~= size * 12 + g.bytes then
    error('inputs that are not all there')
  end
  grant.layout, grant.ends, grant.bytes, grant.size = WHOLE, sub(all, size * 8 + 1), '', g.bytes
  if size <= SMALL then
    g.all = g.all or sub(all, 1, size * 8)
  else
    grant.wasCells = not g.cells and sub(all, 1, size * 8)
  end
end

-- How many of the branches fit: `ends` of their inputs, `skip` bytes before the first end. At least one.
local function fitting(ends, skip, start, count, bytesLeft)
  local fits, tooFar = 1, count
  while tooFar - fits > 1 do
    local middle = floor((fits + tooFar) / 2)
    if (unpackBytes('<I4', ends, skip + middle * 4 - 3)) - start <= bytesLeft then
      fits = middle
    else
      tooFar = middle
    end
  end
  return fits
end

-- The inputs of branches `from` to before `to`, as many as fit. Where they end.
local function addRange(g, grant, from, to, bytesLeft)
  local ends = stored(g, g.size * 8 + max(0, from - 1) * 4, g.size * 8 + to * 4 - 1)
  local skip = from > 0 and 4 or 0
  local start = from > 0 and (unpackBytes('<I4', ends)) or 0
  local last = unpackBytes('<I4', ends, #ends - 3)
  if last - start > bytesLeft and to - from > 1 then
    to = from + fitting(ends, skip, start, to - from, bytesLeft)
    ends = sub(ends, 1, skip + (to - from) * 4)
    last = unpackBytes('<I4', ends, #ends - 3)
  end
  if last < start or last > g.bytes then
    error('inputs that end before they begin')
  end
  grant.ends, grant.size = ends, last - start
  local place = inputPlace(g, from, start, last)
  if place then
    grant.layout, grant.bytes = APART, place
    return to
  end
  grant.bytes = inputBytes(g, from, start, last)
  if #grant.bytes ~= grant.size then
    error('inputs that are not all there')
  end
  return to
end

-- A range that was never granted: neighbours. An error when the table does not say so.
local function freshRange(g, most, bytesLeft)
  local from = g.next
  local to = min(filled(g), from + most)
  local grant = { first = from, layout = SPLIT, indexes = '', cells = '' }
  if g.isShared then
    addShared(g, grant)
  else
    local _, _, behind = segmentOf(g, from)
    to = min(to, behind)
    if g.segments == '' and from == 0 and to == g.size and g.bytes <= bytesLeft then
      addWhole(g, grant)
    else
      to = addRange(g, grant, from, to, bytesLeft)
    end
  end
  grant.count = to - from
  if (grant.wasCells or cellsOf(g, from, grant.count)) ~= rep(NO_CELL, grant.count) then
    error('branches that were never granted and are not ready')
  end
  return grant
end

-- These branches, with their cells, one by one. `starts` and `lasts` are where their inputs are, if that is known.
local function gathered(g, indexes, cells, starts, lasts)
  local grant = { first = -1, count = #indexes, layout = GATHERED, list = indexes }
  local packedIndexes, ends, parts, size = {}, {}, {}, 0
  -- the inputs of neighbours are read at once
  local first, start, last, behind
  for i, index in ipairs(indexes) do
    packedIndexes[i] = pack('<I4', index)
    if not g.isShared then
      local from, to
      if starts then
        from, to = starts[i], lasts[i]
      else
        from, to = inputRange(g, index)
      end
      if not first or index ~= indexes[i - 1] + 1 or index >= behind then
        if first then
          parts[#parts + 1] = inputBytes(g, first, start, last)
        end
        local _, _, next = segmentOf(g, index)
        first, start, behind = index, from, next
      end
      last = to
      size = size + to - from
      ends[i] = pack('<I4', size)
    end
  end
  if first then
    parts[#parts + 1] = inputBytes(g, first, start, last)
  end
  grant.indexes, grant.cells = concat(packedIndexes), concat(cells)
  if g.isShared then
    addShared(g, grant)
  else
    grant.ends, grant.bytes, grant.size = concat(ends), concat(parts), size
  end
  return grant
end

-- Where a branch of a mixed range comes from: the group's list of requeued ones, those requeued in this very call, the table, where the list has
-- lost it, or never granted.
local FROM_LIST, FROM_CALL, FROM_TABLE, FRESH = 1, 2, 3, 4

-- The next ready branch on the group's list, with its cell; entries that mean nothing are passed. A walk: `at`, what was read of the list; `used`,
-- what is done with; `position` in the `page` read last; `taken` by index.
local function listed(g, walk)
  while not walk.isEnd do
    local page = walk.page
    if walk.position > #page then
      page = call('LRANGE', g.b .. ':r', walk.at, walk.at + 127)
      walk.page, walk.at, walk.position, walk.isEnd = page, walk.at + #page, 1, #page == 0
    else
      local index = tonumber(page[walk.position])
      if index and index < g.next and index >= 0 and index % 1 == 0 and not walk.taken[index] then
        local cell = cellOf(g, index)
        if byte(cell) == READY then
          return index, cell
        end
      end
      walk.position, walk.used = walk.position + 1, walk.used + 1
    end
  end
end

-- The next ready branch of those requeued in this very call, which stand in no list yet.
local function unlisted(g, walk)
  local requeued = g.requeued
  while requeued and #requeued > 0 do
    local index = requeued[1]
    local cell = cellOf(g, index)
    if not walk.taken[index] and byte(cell) == READY then
      return index, cell
    end
    table.remove(requeued, 1)
  end
end

-- The next ready branch that stands in no list, though it was granted before: there is one only where more are counted than were found.
local function missing(g, walk)
  if g.requeuedCount <= walk.requeuedTaken then
    return nil
  end
  local first = walk.missed or 0
  local cells = cellsOf(g, first, g.next - first)
  for index = first, g.next - 1 do
    local at = (index - first) * 8
    if byte(cells, at + 1) == READY and not walk.taken[index] then
      walk.missed = index
      return index, sub(cells, at + 1, at + 8)
    end
  end
end

-- The next branch of a mixed range, its cell, and where it comes from; nil when none is left.
local function nextBranch(g, walk, limit)
  local index, cell = listed(g, walk)
  if index then
    return index, cell, FROM_LIST
  end
  index, cell = unlisted(g, walk)
  if index then
    return index, cell, FROM_CALL
  end
  index, cell = missing(g, walk)
  if index then
    return index, cell, FROM_TABLE
  end
  g.requeuedCount = walk.requeuedTaken
  if walk.next >= limit then
    return nil
  end
  cell = cellOf(g, walk.next)
  if cell ~= NO_CELL then
    error('a branch that was never granted and is not ready')
  end
  return walk.next, cell, FRESH
end

-- The branch is part of the range.
local function takeBranch(g, walk, index, from)
  walk.taken[index] = true
  if from == FROM_LIST then
    walk.position, walk.used, walk.requeuedTaken = walk.position + 1, walk.used + 1, walk.requeuedTaken + 1
  elseif from == FROM_CALL then
    table.remove(g.requeued, 1)
    walk.requeuedTaken = walk.requeuedTaken + 1
  elseif from == FROM_TABLE then
    walk.requeuedTaken = walk.requeuedTaken + 1
  else
    walk.next = walk.next + 1
  end
end

-- Requeued branches, then fresh ones; of the first `mostLost` some may have been lost before. The second answer: nothing, since those
-- that come next were lost and may not be granted now.
local function mixedRange(g, most, bytesLeft, mostLost)
  local indexes, cells, starts, lasts, size, isHeldBack = {}, {}, {}, {}, 0, false
  local walk = { next = g.next, page = {}, at = 0, position = 1, isEnd = false, used = 0, taken = {}, requeuedTaken = 0 }
  local limit = filled(g)
  while #indexes < most do
    local index, cell, from = nextBranch(g, walk, limit)
    if not index then
      break
    end
    if #indexes >= mostLost and byte(cell, 3) > 0 then
      isHeldBack = true
      break
    end
    local length, start, last = 0, nil, nil
    if not g.isShared then
      start, last = inputRange(g, index)
      length = last - start
    end
    if #indexes > 0 and size + length > bytesLeft then
      break
    end
    size = size + length
    local place = #indexes + 1
    indexes[place], cells[place], starts[place], lasts[place] = index, cell, start, last
    takeBranch(g, walk, index, from)
  end
  if walk.used > 0 then
    g.writes = g.writes or {}
    g.writes[#g.writes + 1] = { 'LTRIM', g.b .. ':r', walk.used, -1 }
  end
  if #indexes == 0 then
    if not isHeldBack then
      -- the list was all stale
      touch(g)
      g.requeuedCount = 0
    end
    return nil, isHeldBack
  end
  local grant = gathered(g, indexes, cells, starts, lasts)
  grant.next, grant.requeuedTaken = walk.next, walk.requeuedTaken
  return grant
end

-- The groups that this branch has opened notify its new holder from now on.
local function passChildrenOn(g, index, session)
  for gid in gmatch(childrenOf(g, index), '[^\n]+') do
    local child = loadReadable(gid)
    if child and child.state == 'o' then
      touch(child)
      child.inbox = session
    end
  end
end

-- The branches of a grant as its record has them: runs of neighbours.
local function branchesOf(grant)
  if not grant.list then
    return grant.first .. '-' .. grant.first + grant.count - 1
  end
  local runs, first, last = {}, nil, nil
  for _, index in ipairs(grant.list) do
    if first and index == last + 1 then
      last = index
    else
      if first then
        runs[#runs + 1] = first .. '-' .. last
      end
      first, last = index, index
    end
  end
  runs[#runs + 1] = first .. '-' .. last
  return concat(runs, ',')
end

-- The cells of what is granted, and where fresh branches begin from now on.
local function setGranted(g, grant, session, numberBytes)
  if not grant.list then
    setCells(g, grant.first, grantedCells(numberBytes, grant.count))
    g.next = grant.first + grant.count
    return
  end
  for i, index in ipairs(grant.list) do
    local _, errors, losses, flags = byte(grant.cells, i * 8 - 7, i * 8 - 4)
    setCells(g, index, char(GRANTED, errors, losses, lastingFlags(flags)) .. numberBytes)
    if flags % 4 >= HAS_CHILDREN then
      passChildrenOn(g, index, session)
    end
  end
  g.next = grant.next
  g.requeuedCount = max(0, g.requeuedCount - grant.requeuedTaken)
end

-- The session drives the run whose root branch it was granted.
local function setDriver(run, session)
  if not run.startedAt then
    run.startedAt = wall()
    setRun(run, 'startedAt', run.startedAt)
  end
  setRun(run, 'driver', session)
  standings.relist(run, RUNNING)
  if run.isAbandoned or run.lostAt then
    run.isAbandoned, run.lostAt = false, false
    setRun(run, 'aband', '0')
    setRun(run, 'lostAt', '')
    shardNumber('purges') -- read before the first write
    unplan('p ' .. run.id)
  end
  activity(run.id, 'state', run.id)
end

-- Grants up to `most` branches of a group that has ready ones; nil when nothing is there after all, or (then the second answer is true) when the
-- next one was lost before and none such may be granted.
function grantTo(g, session, nonce, most, bytesLeft, graceMs, mostLost)
  touch(g)
  local waited = max(0, now() - g.since)
  if g.limit > 0 then
    most = min(most, g.limit - g.inFlight)
  end
  local grant
  if g.requeuedCount > 0 then
    local isHeldBack
    grant, isHeldBack = mixedRange(g, most, bytesLeft, mostLost)
    if isHeldBack then
      return nil, true
    end
    if not grant and filled(g) <= g.next then
      return nil
    end
  end
  grant = grant or freshRange(g, most, bytesLeft)
  local token, fence, numberBytes = newGrant(g, session, nonce, branchesOf(grant), grant.count, graceMs)
  if shard.idle == '-1' then
    callWatchers(session)
  end
  setGranted(g, grant, session, numberBytes)
  if g.isRoot then
    setDriver(loadRun(g.run), session)
  end
  grant.token, grant.fence, grant.spec, grant.run, grant.waited = token, fence, specOf(g), g.run, waited
  return grant
end

-- What is still held of a grant, as it was given; nil when nothing is.
function grantOf(g, grantNumber)
  local token, branches = recordOf(g, grantNumber)
  if not token or g.state ~= 'o' then
    return nil
  end
  local indexes, kept = stillHeld(g, branches, grantNumber)
  if #indexes == 0 then
    return nil
  end
  local grant = gathered(g, indexes, kept)
  grant.token, grant.fence, grant.spec, grant.run = token, match(token, '^%d+'), specOf(g), g.run
  return grant
end

function addGrant(reply, grant)
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] = grant.spec, grant.token, grant.fence, grant.first, grant.count
  reply[at + 6], reply[at + 7], reply[at + 8], reply[at + 9], reply[at + 10] = grant.indexes, grant.cells, grant.layout, grant.ends, grant.bytes
  reply[at + 11], reply[at + 12] = watchersOf(grant.run), grant.waited or -1
end
end)()
