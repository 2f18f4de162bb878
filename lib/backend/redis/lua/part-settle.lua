-- The body of settle: whether a result counts is decided by its token alone, branch by branch. A range of final outcomes that are all current,
-- which is nearly every range, is counted as a whole, and the bytes that came are stored.
-- Gives: settle
-- Needs:
--   barrier: barrier
--   base: activity firstRead quarantine shard wall
--   branch-table: ANYWHERE DEAD DELAYED FAILED GRANTED HAS_SAVED READY SUCCEEDED cellOf cellsOf lastingFlags grantedCells setCells
--   closing: closeChildren
--   commit: commit
--   dead-letters: addDeadLetter
--   drivers: loseDriver
--   grants: endHolding grantNumberOf holdings recordOf
--   group: forget load touch
--   retries: requeue retries
--   run: loadRun
--   runs: save
--   tasks-in-hand: inHand
--   uploads: uploads
--   waits: runWaits
--   waking: addReady reopenLimit
-- A function of its own: Lua has room for 200 names in one, and the parts around have taken nearly all.
(function()
local RETRY, PARKED = 6, 8
local MOST_RETRIED_BYTES = 4096

-- What became of the range that is settled branch by branch: indexes, kinds and values of those that ended; how many are ready or delayed.
local ended, endedKinds, endedValues, failed, ready, delayed, isFenced
-- Those that are parked: index, cell, and where their parks begin.
local parked

-- The indexes of a range that are not neighbours.
local function indexesIn(outcomes, count)
  local indexes = {}
  for i = 1, count do
    indexes[i] = unpackBytes('<I4', outcomes, 5 + i * 4)
  end
  return indexes
end

-- The value of the i-th of `count` outcomes; their kinds begin at `at`.
local function valueIn(outcomes, at, count, i)
  local start = i > 1 and (unpackBytes('<I4', outcomes, at + count + i * 4 - 8)) or 0
  local last = unpackBytes('<I4', outcomes, at + count + i * 4 - 4)
  return sub(outcomes, at + count * 5 + start, at + count * 5 + last - 1)
end

-- Nothing of the range is held under the token: why. `known`: its grant has a record.
local function refusal(g, grantNumber, known, indexes, from, count)
  local number, isFenced = tonumber(grantNumber), false
  for i = 1, count do
    local index = indexes and indexes[i] or from + i - 1
    local cell = cellOf(g, index)
    if not cell or (unpackBytes('<I4', cell, 5)) ~= number then
      isFenced = true
    elseif byte(cell) == GRANTED then
      if g.state == 'o' and not known then
        holdings.missRecord(cell, grantNumber)
      end
      return g.state == 'o' and 'FENCED' or 'WITHDRAWN'
    end
  end
  return isFenced and 'FENCED' or 'DUP'
end

local function countDead(g, kind)
  if kind == DEAD then
    g.dead = g.dead + 1
  end
end

-- Final outcomes of neighbours, all granted once and now: cells and dead letters. How many failed.
local function finishAll(g, from, count, mode, outcomes, at, numberBytes)
  if mode == 's' then
    setCells(g, from, rep(char(SUCCEEDED, 0, 0, 0) .. numberBytes, count))
    return 0
  end
  local cells, failures = {}, 0
  for i = 1, count do
    local kind = byte(outcomes, at + i - 1)
    cells[i] = char(kind, 0, 0, 0) .. numberBytes
    if kind ~= SUCCEEDED then
      failures = failures + 1
      countDead(g, kind)
      addDeadLetter(g, from + i - 1, kind, 0, 0, valueIn(outcomes, at, count, i))
    end
  end
  setCells(g, from, concat(cells))
  return failures
end

-- One branch of a range, held under the grant: its outcome, or another start. `hasSaved`: the range saves outputs, maybe of this branch; `parkAt`:
-- where its park begins, if it has one.
local function settleBranch(g, index, cell, kind, delays, i, numberBytes, outcomes, at, count, hasSaved, parkAt)
  local _, errors, losses, flags = byte(cell, 1, 4)
  local isRetry = kind == RETRY
  if isRetry then
    errors = min(errors + 1, 255)
    if g.attempts > 0 and errors >= g.attempts then
      kind = FAILED
    end
  end
  if kind == SUCCEEDED or kind == FAILED or kind == DEAD then
    local value = valueIn(outcomes, at, count, i)
    setCells(g, index, char(kind, errors, losses, 0) .. numberBytes)
    inHand.endStart(g, index, flags, true)
    ended[#ended + 1], endedKinds[#endedKinds + 1], endedValues[#endedValues + 1] = index, char(kind), value
    if kind ~= SUCCEEDED then
      failed = failed + 1
      countDead(g, kind)
      if not g.isRoot then
        addDeadLetter(g, index, kind, errors, losses, value)
      end
    end
    closeChildren(g, index, cell, 'the branch that opened it is over')
    return
  end
  inHand.endStart(g, index, flags, false)
  if hasSaved and flags < HAS_SAVED then
    flags = flags + HAS_SAVED
  end
  if kind == PARKED and parkAt then
    parked[#parked + 1] = { index, cell, parkAt }
    return
  end
  local delayMs = isRetry and #delays >= i * 4 and (unpackBytes('<I4', delays, i * 4 - 3)) or 0
  if delayMs > 0 then
    retries.delay(g, index, char(DELAYED, errors, losses, lastingFlags(flags)) .. numberBytes, delayMs)
    delayed = delayed + 1
    local why = valueIn(outcomes, at, count, i)
    if #why <= MOST_RETRIED_BYTES then
      g.why = why
    end
  else
    requeue(g, index, char(READY, errors, losses, lastingFlags(flags)) .. numberBytes)
    ready = ready + 1
  end
end

-- Branch by branch. How many were held under the grant.
local function settleBranches(g, number, numberBytes, indexes, from, count, outcomes, at, delays, hasSaved, parks)
  ended, endedKinds, endedValues, failed, ready, delayed, isFenced, parked = {}, {}, {}, 0, 0, 0, false, {}
  local nextPark = parks and 1
  for i = 1, count do
    local index = indexes and indexes[i] or from + i - 1
    local cell = cellOf(g, index)
    local kind, parkAt = byte(outcomes, at + i - 1), nil
    if kind == PARKED and nextPark then
      parkAt, nextPark = nextPark, runWaits.skip(parks, nextPark)
    end
    if not cell or (unpackBytes('<I4', cell, 5)) ~= number then
      isFenced = true
    elseif byte(cell) > DEAD then
      error('a branch in no state')
    elseif byte(cell) == GRANTED then
      touch(g)
      settleBranch(g, index, cell, kind, delays, i, numberBytes, outcomes, at, count, hasSaved, parkAt)
    end
  end
  return #ended + ready + delayed + #parked
end

-- These branches are held no more; what they have saved is kept. `run` where the root branch starts again: it has no driver any more.
local function accept(g, grantNumber, session, branches, count, saved, run)
  endHolding(g, grantNumber, session, branches, count)
  g.inFlight = g.inFlight - count
  if run then
    loseDriver(g, run)
  end
  if saved then
    save(saved)
  end
  activity(g.run, 'settled', g.gid)
end

-- What a range is settled from branch by branch: its outcomes with their values, delays, parks where some are parked, and times.
local function partsIn(mode, outcomes, delays, upload, at, count)
  local parks
  if mode == 'p' then
    local length = unpackBytes('<I4', delays)
    delays, parks = sub(delays, 5, 4 + length), sub(delays, 5 + length)
  end
  if upload ~= '' then
    outcomes = outcomes .. uploads.bytesOf(upload)
  end
  return outcomes, delays, parks, sub(outcomes, at + count * 5 + (unpackBytes('<I4', outcomes, at + count * 5 - 4)))
end

-- `saved`: outputs to be saved, as `save` takes them, but for the key. `upload`: the values, where `outcomes` has all but them; else ''.
local function settleRange(gid, token, mode, outcomes, delays, upload, saved)
  local grantNumber = grantNumberOf(token)
  local g = load(gid, grantNumber)
  if not g or g.isRetired then
    return 'GONE'
  end
  if not grantNumber then
    return 'FENCED'
  end
  local count, from = unpackBytes('<I4I4', outcomes)
  local at, indexes = 9, nil
  if from == ANYWHERE then
    at, indexes = 9 + count * 4, indexesIn(outcomes, count)
  end
  if saved then
    saved[1] = T .. ':r:' .. g.run .. ':v'
    call('HLEN', saved[1])
  end
  local known, branches, session = recordOf(g, grantNumber)
  if known and known ~= token then
    return 'FENCED'
  end
  if not known or g.state ~= 'o' then
    return refusal(g, grantNumber, known, indexes, from, count)
  end
  if upload ~= '' and uploads.sizeOf(upload) < unpackBytes('<I4', outcomes, #outcomes - 3) then
    return 'MISSING'
  end
  local number = tonumber(grantNumber)
  local numberBytes = pack('<I4', number)
  local run = g.isRoot and loadRun(g.run)
  if run and shard.ahead == nil then
    firstRead[#firstRead + 1] = 'keep'
  end
  if (mode == 's' or mode == 'f' and upload == '') and not indexes and not g.isRoot and from + count <= g.size and count > 0
    and cellsOf(g, from, count) == grantedCells(numberBytes, count) then
    touch(g)
    local failures = finishAll(g, from, count, mode, outcomes, at, numberBytes)
    accept(g, grantNumber, session, branches, count, saved, false)
    barrier.arrive(g, outcomes, count, failures, nil, upload ~= '' and upload)
    return 'OK'
  end
  local parks, times
  outcomes, delays, parks, times = partsIn(mode, outcomes, delays, upload, at, count)
  local accepted = settleBranches(g, number, numberBytes, indexes, from, count, outcomes, at, delays, saved ~= nil, parks)
  if accepted == 0 then
    return isFenced and 'FENCED' or 'DUP'
  end
  accept(g, grantNumber, session, branches, accepted, saved, #ended == 0 and #parked == 0 and run)
  if g.why then
    g.writes = g.writes or {}
    g.writes[#g.writes + 1] = { 'HSET', g.b, 'why', pack('<d', wall()) .. g.why }
  end
  addReady(g, ready)
  for _, what in ipairs(parked) do
    runWaits.parkBranch(g, what[1], what[2], parks, what[3])
  end
  if #ended > 0 then
    barrier.arrive(g, barrier.chunkOf(ended, concat(endedKinds), endedValues) .. times, #ended, failed, endedValues[1])
  else
    reopenLimit(g)
  end
  return 'OK'
end

-- The outputs that a range saves, from ARGV[at] on; nil when there are none. Where the next range begins.
local function savedIn(ARGV, at)
  local count = tonumber(ARGV[at])
  if count == 0 then
    return nil, at + 1
  end
  local saved = { '' }
  for i = at + 1, at + count * 2 do
    saved[#saved + 1] = ARGV[i]
  end
  return saved, at + 1 + count * 2
end

function settle(ARGV)
  local answers, gids, at = {}, {}, 1
  while at <= #ARGV do
    local gid, token, mode, outcomes, delays, upload = unpack(ARGV, at, at + 5)
    local saved
    saved, at = savedIn(ARGV, at + 6)
    local isFine, answer = pcall(settleRange, gid, token, mode, outcomes, delays, upload, saved)
    if not isFine then
      quarantine(gid, answer)
      forget(gid)
      answer = 'GONE'
      for i, other in ipairs(gids) do
        if other == gid then
          answers[i] = 'GONE'
        end
      end
    end
    gids[#gids + 1] = gid
    answers[#answers + 1] = answer
  end
  commit()
  return answers
end
end)()
