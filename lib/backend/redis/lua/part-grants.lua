-- Grants: what a session is given, and what it was given.

-- One grant as it travels: spec, token, fence, first (-1: indexes follow), count, indexes, cells, layout, ends, bytes, and how many processes
-- watch its run.
local GRANT_PARTS = 11
-- Inputs lie in it as in part-barrier, or gathered: ends from 0.
local GATHERED = 3

-- A range never granted before: nil when the table does not say so.
local function freshRange(g, most, bytesLeft)
  local from, size = g.next, g.size
  local to = min(filled(g), from + most)
  local grant = { first = from, layout = SPLIT, indexes = '', cells = '' }
  if g.isShared then
    grant.layout, grant.bytes, grant.ends = SHARED, sharedInput(g), ''
    grant.size = #grant.bytes
  else
    local _, _, behind = segmentOf(g, from)
    to = min(to, behind)
    if g.segments == '' and from == 0 and to == size and g.bytes <= bytesLeft then
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
    else
      local ends = stored(g, size * 8 + max(0, from - 1) * 4, size * 8 + to * 4 - 1)
      local skip = from > 0 and 4 or 0
      local start = from > 0 and (unpackBytes('<I4', ends)) or 0
      local last = unpackBytes('<I4', ends, #ends - 3)
      if last - start > bytesLeft and to - from > 1 then
        local fits, tooFar = 1, to - from
        while tooFar - fits > 1 do
          local middle = floor((fits + tooFar) / 2)
          if (unpackBytes('<I4', ends, skip + middle * 4 - 3)) - start <= bytesLeft then
            fits = middle
          else
            tooFar = middle
          end
        end
        to = from + fits
        ends = sub(ends, 1, skip + fits * 4)
        last = unpackBytes('<I4', ends, #ends - 3)
      end
      if last < start or last > g.bytes then
        error('inputs that end before they begin')
      end
      grant.ends, grant.size = ends, last - start
      grant.bytes = inputBytes(g, from, start, last)
      if #grant.bytes ~= grant.size then
        error('inputs that are not all there')
      end
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
    grant.layout, grant.ends, grant.bytes = SHARED, '', sharedInput(g)
    grant.size = #grant.bytes
  else
    grant.ends, grant.bytes, grant.size = concat(ends), concat(parts), size
  end
  return grant
end

-- Branches that came back, then fresh ones; of the first `mostLost` some may have been lost before. The second answer: nothing, since those
-- that come next were lost and may not be granted now.
local function mixedRange(g, most, bytesLeft, mostLost)
  local indexes, cells, starts, lasts, taken, size, used, at, requeuedTaken = {}, {}, {}, {}, {}, 0, 0, 0, 0
  local next, isFull, isHeldBack = g.next, false, false
  local limit = filled(g)
  local page = {}
  local position, isEnd = 1, false
  while #indexes < most do
    local index, cell, fromList, fromRequeued
    while not isEnd do
      if position > #page then
        page = call('LRANGE', g.b .. ':r', at, at + 127)
        at, position = at + #page, 1
        isEnd = #page == 0
      else
        local candidate = tonumber(page[position])
        if candidate and candidate < g.next and candidate >= 0 and candidate % 1 == 0 and not taken[candidate] then
          cell = cellOf(g, candidate)
          if byte(cell) == READY then
            index, fromList = candidate, true
            break
          end
        end
        position, used = position + 1, used + 1
      end
    end
    if not index then
      -- what came back in this very call stands in no list yet
      while not index and g.requeued and #g.requeued > 0 do
        local candidate = g.requeued[1]
        cell = cellOf(g, candidate)
        if not taken[candidate] and byte(cell) == READY then
          index = candidate
        else
          table.remove(g.requeued, 1)
        end
      end
      fromRequeued = index ~= nil
    end
    if not index then
      g.requeuedCount = requeuedTaken
      if next >= limit then
        break
      end
      index = next
      cell = cellOf(g, index)
      if cell ~= NO_CELL then
        error('a branch that was never granted and is not ready')
      end
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
      isFull = true
      break
    end
    size = size + length
    local place = #indexes + 1
    indexes[place], cells[place], starts[place], lasts[place] = index, cell, start, last
    taken[index] = true
    if fromList then
      position, used, requeuedTaken = position + 1, used + 1, requeuedTaken + 1
    elseif fromRequeued then
      table.remove(g.requeued, 1)
      requeuedTaken = requeuedTaken + 1
    else
      next = next + 1
    end
  end
  if used > 0 then
    g.writes = g.writes or {}
    g.writes[#g.writes + 1] = { 'LTRIM', g.b .. ':r', used, -1 }
  end
  if #indexes == 0 and isHeldBack then
    return nil, true
  end
  if #indexes == 0 then
    -- the list was all stale
    touch(g)
    g.requeuedCount = 0
    return nil
  end
  local grant = gathered(g, indexes, cells, starts, lasts)
  grant.next, grant.fromList = next, requeuedTaken
  return grant
end

-- The groups that this branch has opened notify its new holder from now on.
local function passChildrenOn(g, index, session)
  local children = call('HGET', g.b .. ':k', index) or ''
  for gid in gmatch(children, '[^\n]+') do
    local child = load(gid)
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

-- Grants up to `most` branches of a group that has ready ones; nil when nothing is there after all.
local function grantTo(g, session, nonce, most, bytesLeft, graceMs, mostLost)
  touch(g)
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
  if grant.list then
    for i, index in ipairs(grant.list) do
      local _, errors, losses, flags = byte(grant.cells, i * 8 - 7, i * 8 - 4)
      setCells(g, index, char(GRANTED, errors, losses, childrenFlag(flags)) .. numberBytes)
      if flags >= HAS_CHILDREN then
        passChildrenOn(g, index, session)
      end
    end
    g.next = grant.next
    g.requeuedCount = max(0, g.requeuedCount - grant.fromList)
  else
    setCells(g, grant.first, rep(char(GRANTED, 0, 0, 0) .. numberBytes, grant.count))
    g.next = grant.first + grant.count
  end
  if g.isRoot then
    local run = loadRun(g.run)
    if not run.startedAt then
      run.startedAt = wall()
      setRun(run, 'startedAt', run.startedAt)
    end
    setRun(run, 'driver', session)
    activity(run.id, 'state', run.id)
  end
  grant.token, grant.fence, grant.spec, grant.run = token, fence, specOf(g), g.run
  return grant
end

-- What is still held of a grant, as it was given; nil when nothing is.
local function heldOf(g, grantNumber)
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

local function addGrant(reply, grant)
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] = grant.spec, grant.token, grant.fence, grant.first, grant.count
  reply[at + 6], reply[at + 7], reply[at + 8], reply[at + 9], reply[at + 10] = grant.indexes, grant.cells, grant.layout, grant.ends, grant.bytes
  reply[at + 11] = watchersOf(grant.run)
end
