-- Branches that are to start again: at once, or after a delay.
-- Gives: requeue delay promoteDue commitRetries
-- Needs:
--   base: many now quarantine whole
--   branch-table: DELAYED READY cellOf isParked setCells
--   group: forget load touch
--   waking: addReady
-- Entries for T:d; those of it that are over.
local delayed, promotedEntries = {}, {}

function begin_retries()
  if delayed[1] then delayed = {} end
  if promotedEntries[1] then promotedEntries = {} end
end

-- Makes a branch ready again, with its counters; `cell` has 0 as its grant when that means nothing any more.
function requeue(g, index, cell)
  local requeued = g.requeued
  if not requeued then
    requeued = {}
    call('LLEN', g.b .. ':r')
    g.requeued = requeued
  end
  setCells(g, index, cell)
  requeued[#requeued + 1] = index
  g.requeuedCount = g.requeuedCount + 1
end

-- The branch waits for its retry.
function delay(g, index, cell, delayMs)
  setCells(g, index, cell)
  delayed[#delayed + 1] = { now() + delayMs, g.gid .. '#' .. whole(index) }
  g.delayed = g.delayed + 1
end

-- The retry is due; false when the table does not know the branch as delayed.
local function promote(gid, index)
  local g = load(gid)
  local cell = g and g.state == 'o' and cellOf(g, index)
  if not cell or byte(cell) ~= DELAYED or isParked(cell) then
    return false
  end
  touch(g)
  requeue(g, index, char(READY) .. sub(cell, 2))
  g.delayed = g.delayed - 1
  addReady(g, 1)
  return true
end

-- Promotes up to `most` delayed branches whose time has come: how many, and when the next is due. An entry that the table does not know as
-- delayed, or whose group cannot be read, is forgotten.
function promoteDue(most)
  local first = call('ZRANGE', T .. ':d', 0, 0, 'WITHSCORES')
  if not first[1] or tonumber(first[2]) > now() then
    return 0, tonumber(first[2])
  end
  local entries = call('ZRANGEBYSCORE', T .. ':d', '-inf', whole(now()), 'LIMIT', 0, most)
  local promoted = 0
  for _, entry in ipairs(entries) do
    promotedEntries[#promotedEntries + 1] = entry
    local gid, index = match(entry, '^(.*)#(%d+)$')
    if gid then
      local isFine, isReady = pcall(promote, gid, tonumber(index))
      if not isFine then
        quarantine(gid, isReady)
        forget(gid)
      elseif isReady then
        promoted = promoted + 1
      end
    end
  end
  first = call('ZRANGE', T .. ':d', #entries, #entries, 'WITHSCORES')
  return promoted, tonumber(first[2])
end

function commitRetries()
  for i = 1, #delayed do
    call('ZADD', T .. ':d', delayed[i][1], delayed[i][2])
  end
  if promotedEntries[1] then many('ZREM', T .. ':d', promotedEntries) end
end
