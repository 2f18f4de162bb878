-- Grants: ranges of branches that a session holds under one token. Hides how a grant is recorded with its group and with its session.
-- Gives: PUSHED holdings grantNumberOf nonceOf recordOf stillHeld heldGroup newGrant endHolding isHolding commitHeld commitEnded
-- Needs:
--   base: many nextFence now whole
--   branch-table: GRANTED NO_CELL cellOf cellsOf grantedCells setCells
--   due-queue: plan unplan
--   group: load
-- Stands at the end of a token's nonce where the grant was pushed (part-pushing): until it is settled or confirmed it is planned to be
-- reclaimed.
PUSHED = '!'
-- By session: how many branches of each grant it holds from now on.
local owned = {}

-- What is seldom done: one table, since Lua has room for 200 names in a function.
holdings = {}

function begin_grants()
  if next(owned) then owned = {} end
end

-- The number of the grant in a token; nil where it has none that a cell could hold.
function grantNumberOf(token)
  if byte(token, -2) == 45 then -- a minus sign
    local only = byte(token, -1)
    return only >= 48 and only <= 57 and char(only) or nil
  end
  local grantNumber = match(token, '%-(%d+)$', -11)
  return grantNumber
end

-- The nonce in a token: that of the call that granted.
function nonceOf(token)
  return match(token, '^%d+%.(.*)%-%d+$')
end

-- `<token> <first>-<last>,… <granted at> <session>`: token, the branches as runs of neighbours, session, granted at.
function recordOf(g, grantNumber)
  local record = g.records[grantNumber]
  if record == nil then
    record = call('HGET', g.b, 't' .. grantNumber)
    g.records[grantNumber] = record
  end
  if not record then
    return nil
  end
  -- by its spaces: a pattern takes three times as long
  local first = find(record, ' ', 1, true)
  local second = first and find(record, ' ', first + 1, true)
  local third = second and find(record, ' ', second + 1, true)
  local at = third and tonumber(sub(record, second + 1, third - 1))
  local branches = at and sub(record, first + 1, second - 1)
  if not at or at ~= at or first == 1 or third == #record or find(record, ' ', third + 1, true)
    or not (branches == '0-0' or find(branches, '^[%d,-]+$')) then
    error('an unreadable grant')
  end
  return sub(record, 1, first - 1), branches, sub(record, third + 1), at
end

local function setRecord(g, grantNumber, record)
  g.records[grantNumber] = record
  local changes = g.recordChanges
  if changes then
    changes[#changes + 1] = grantNumber
  else
    g.recordChanges = { grantNumber }
  end
end

-- A grant has no record: where the table still has it, the record is lost, and the next sweep makes its branches ready again. Written at once, since
-- the answer is a refusal, which changes nothing else.
function holdings.missRecord(cell, grantNumber)
  if cell and byte(cell) == GRANTED and (unpackBytes('<I4', cell, 5)) == tonumber(grantNumber) then
    tryCall('HSET', M, 'fix', 'new')
  end
end

-- What is still held of a grant: indexes and cells. Only the grant's own branches are looked at, however large its group.
function stillHeld(g, branches, grantNumber)
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

-- The open group of a branch that this token holds, with the number of the grant, the branch's cell, and whose the grant is; nil when it does not.
function heldGroup(gid, index, token)
  local grantNumber = grantNumberOf(token)
  if not grantNumber then
    return nil
  end
  local g = load(gid, grantNumber)
  if not g or g.state ~= 'o' then
    return nil
  end
  local known, _, session = recordOf(g, grantNumber)
  local cell = cellOf(g, index)
  if token ~= known then
    if not known then
      holdings.missRecord(cell, grantNumber)
    end
    return nil
  end
  if g.isRoot and cell == NO_CELL then
    -- the table is lost, and a run has one branch: its driver can still end it
    cell = grantedCells(pack('<I4', tonumber(grantNumber)), 1)
    setCells(g, index, cell)
  end
  if not cell or byte(cell) ~= GRANTED or unpackBytes('<I4', cell, 5) ~= tonumber(grantNumber) then
    return nil
  end
  return g, grantNumber, cell, session
end

local function holdingsOf(session)
  local mine = owned[session]
  if not mine then
    mine = {}
    owned[session] = mine
  end
  return mine
end

-- Grants `count` branches of a group, `branches` as its record has them, to a session; the caller sets their cells. The token, its fence, and the
-- grant's number as cells have it.
function newGrant(g, session, nonce, branches, count, graceMs)
  local fence = nextFence()
  g.grantCount = g.grantCount + 1
  local grantNumber = g.grantCount
  local token = fence .. '.' .. nonce .. '-' .. grantNumber
  g.inFlight = g.inFlight + count
  setRecord(g, whole(grantNumber), concat({ token, branches, whole(now()), session }, ' '))
  local field, mine = g.gid .. '#' .. grantNumber, owned[session]
  if mine then
    mine[field] = count
  else
    owned[session] = { [field] = count }
  end
  if g.timeout > 0 then
    plan(now() + g.timeout + graceMs, 'd ' .. field)
  end
  return token, fence, pack('<I4', grantNumber)
end

-- How many branches a grant had, by its record.
local function sizeOfGrant(branches)
  if branches == '0-0' then
    return 1
  end
  local size = 0
  for first, last in gmatch(branches, '(%d+)%-(%d+)') do
    size = size + last - first + 1
  end
  return size
end

-- `count` branches of a grant, which had `branches`, are no longer held by its session. True when none is.
function endHolding(g, grantNumber, session, branches, count)
  local field = g.gid .. '#' .. grantNumber
  local mine = holdingsOf(session)
  local had = mine[field]
  if count >= sizeOfGrant(branches) then
    mine[field] = 0
  else
    if had == nil then
      had = tonumber((tryCall('HGET', T .. ':o:' .. session, field)))
    end
    -- where that is lost, the table knows
    mine[field] = had and max(0, had - count) or #stillHeld(g, branches, grantNumber)
    if mine[field] > 0 then
      return false
    end
  end
  if find(g.records[grantNumber], PUSHED .. '-', 1, true) then
    unplan('s ' .. field)
  end
  setRecord(g, grantNumber, false)
  if g.timeout > 0 then
    unplan('d ' .. field)
  end
  return true
end

-- Whether this call has changed what the session holds.
function isHolding(session)
  return owned[session] ~= nil
end

-- Nothing is held under this entry of a session, whatever its group says.
function holdings.forget(session, field)
  holdingsOf(session)[field] = 0
end

-- What this call has granted of an unreadable group was not granted.
function holdings.forgetGroup(session, gid)
  local mine = holdingsOf(session)
  for field in pairs(mine) do
    if sub(field, 1, #gid + 1) == gid .. '#' then
      mine[field] = nil
    end
  end
end

-- The caller deletes all that the session holds.
function holdings.endAll(session)
  owned[session] = nil
end

-- What sessions hold now is written; what they hold no more is the answer: by key, a list of fields.
function commitHeld()
  local gone
  for session, fields in pairs(owned) do
    local key, kept, left = T .. ':o:' .. session, nil, nil
    for field, held in pairs(fields) do
      if held > 0 then
        kept = kept or {}
        local at = #kept
        kept[at + 1], kept[at + 2] = field, whole(held)
      else
        left = left or {}
        left[#left + 1] = field
      end
    end
    if kept then many('HSET', key, kept) end
    if left then
      gone = gone or {}
      gone[key] = left
    end
  end
  return gone
end

-- `ended` as `commitHeld` answered it. What stays because its key is of another type is forgotten by the next reader.
function commitEnded(ended)
  for key, fields in pairs(ended) do
    local count = #fields
    if count <= 4000 then
      tryCall('HDEL', key, unpack(fields))
    else
      for i = 1, count, 4000 do
        tryCall('HDEL', key, unpack(fields, i, min(i + 3999, count)))
      end
    end
  end
end
