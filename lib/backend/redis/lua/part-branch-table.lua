-- The branch table: 8 bytes a branch, its cell: state, errors, losses, flags, and the number of the grant it was last granted under. Hides where
-- the cells of a group are stored and which of them this call has changed.
-- Gives: READY GRANTED DELAYED SUCCEEDED FAILED DEAD ANYWHERE HAS_OUTLASTED HAS_CHILDREN HAS_SAVED IS_PARKED HAS_PARK NO_GRANT NO_CELL SMALL
--   BLOCK_BYTES lastingFlags isParked grantedCells stored storedNear tableOf cellsOf cellOf setCells commitTable
-- Needs: none
READY, GRANTED, DELAYED, SUCCEEDED, FAILED, DEAD = 0, 1, 2, 3, 4, 5
ANYWHERE = 4294967295
-- Flags of a cell: the deadline of its group counts no more under this grant, since a step reported the task in hand; it has opened a group under
-- this grant or one before; outputs inside it are saved; it is parked, where its state is
-- DELAYED, and what ends that is planned (part-parking). 4 is that of tasks in hand.
HAS_OUTLASTED, HAS_CHILDREN, HAS_SAVED, IS_PARKED, HAS_PARK = 1, 2, 8, 16, 32
NO_GRANT = '\0\0\0\0'
NO_CELL = '\0\0\0\0\0\0\0\0'
-- The branch table of a group of at most this many is read and written in one piece.
SMALL = 32

-- What stays of the flags when a branch is granted again.
function lastingFlags(flags)
  return flags % IS_PARKED - flags % 2
end

-- Whether the branch of this cell waits until somebody wakes it.
function isParked(cell)
  local state, _, _, flags = byte(cell, 1, 4)
  return state == DELAYED and flags >= IS_PARKED
end

-- Cells of branches that were never granted before, granted under a number (4 bytes).
function grantedCells(numberBytes, count)
  return rep(char(GRANTED, 0, 0, 0) .. numberBytes, count)
end

-- Bytes of the branch table and what comes behind it, as they are stored.
function stored(g, from, to)
  return g.inline and sub(g.inline, from + 1, to + 1) or call('GETRANGE', g.b .. ':d', from, to)
end

-- Cells that were never written are those of branches that were never granted. A table that has none for branches which were is lost, or cut off:
-- nobody could settle these, and nobody would get them again.
local function padded(g, cells, size)
  local written = g.nextBefore
  if written and written > 0 and call('STRLEN', g.b .. ':d') < written * 8 then
    error('a branch table that is cut off')
  end
  return cells .. rep('\0', size - #cells)
end

-- All cells of a small group, as they are or will be.
function tableOf(g)
  local all = g.all
  if not all then
    all = stored(g, 0, g.size * 8 - 1)
    if #all < g.size * 8 then
      all = padded(g, all, g.size * 8)
    end
    g.all = all
  end
  return all
end

-- What this call has written, over `cells` of branches `from` on as they are stored.
local function withWrites(g, cells, from, count)
  for _, write in ipairs(count == 1 and g.ranges or g.cells) do
    local at, length = write[1], #write[2] / 8
    if at < from + count and at + length > from then
      local first, last = max(at, from), min(at + length, from + count)
      cells = sub(cells, 1, (first - from) * 8) .. sub(write[2], (first - at) * 8 + 1, (last - at) * 8) .. sub(cells, (last - from) * 8 + 1)
    end
  end
  return cells
end

-- The cells of branches `from` on, as they are or will be. One that was written alone is not searched for: a call may write a thousand.
function cellsOf(g, from, count)
  if g.size <= SMALL then
    local all = tableOf(g)
    return count == g.size and all or sub(all, from * 8 + 1, (from + count) * 8)
  end
  if count == 1 and g.single and g.single[from] then
    return g.single[from]
  end
  local cells = call('GETRANGE', g.b .. ':d', from * 8, (from + count) * 8 - 1)
  if #cells < count * 8 then
    cells = padded(g, cells, count * 8)
  end
  return g.cells and withWrites(g, cells, from, count) or cells
end

function setCells(g, from, cells)
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
BLOCK_BYTES = 4096
function storedNear(g, at, length)
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

function cellOf(g, index)
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
  return #cell == 8 and cell or padded(g, cell, 8)
end

-- Of a group whose table does not stand in its hash.
function commitTable(g)
  local d = g.b .. ':d'
  if g.contents then
    -- what comes behind the cells of a new group
    call('SET', d, (g.all or rep(NO_CELL, g.size)) .. g.contents)
  elseif g.isTableChanged then
    call('SETRANGE', d, 0, g.all)
  end
  local cells = g.cells
  local i, count = 1, cells and #cells or 0
  while i <= count do
    -- neighbours in order are one write
    local from, parts = cells[i][1], { cells[i][2] }
    local behind = from + #parts[1] / 8
    while i < count and cells[i + 1][1] == behind do
      i = i + 1
      parts[#parts + 1] = cells[i][2]
      behind = behind + #cells[i][2] / 8
    end
    call('SETRANGE', d, from * 8, concat(parts))
    i = i + 1
  end
end
