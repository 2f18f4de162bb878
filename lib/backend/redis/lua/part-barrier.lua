-- The barrier of a group: counts final outcomes, and releases the group once, when its rule is met. Hides which runs end with the barrier of their
-- last group, and with what result.
-- Gives: barrier
-- Needs:
--   base: firstRead now shard shardValue watchersOf whole
--   branch-table: ANYWHERE FAILED GRANTED SUCCEEDED cellOf setCells
--   closing: close
--   grants: endHolding holdings recordOf
--   group: loadReadable touch
--   parking: parking
--   run: loadRun
--   runs: endRun
--   tasks-in-hand: inHand
--   uploads: uploads
--   waking: reopenLimit
-- A run ends with the barrier of its last group only where that is this small, and its outcomes are kept for so long afterwards: a driver that missed
-- the notice reads from the store what it has missed.
local MOST_ENDING, MOST_ENDING_BYTES, LEAST_KEPT_MS = 15, 2048, 60000
-- What a value with stand-ins begins with (lib/values/codec.ts), and so would a list of three that begins with that text.
local STAND_IN_HEAD, STAND_IN_TEXT = '\147\162\1g', '\162\1g'
-- An only chunk of at most so many bytes travels with the notice.
local MOST_NOTICE_BYTES = 4096

-- One chunk of outcomes: indexes and values run in parallel; kinds is a text of one byte each. `apart`: how long the only value is, if it is not in
-- it.
local function chunkOf(indexes, kinds, values, apart)
  local packedIndexes, ends, size = {}, {}, 0
  for i, index in ipairs(indexes) do
    packedIndexes[i] = pack('<I4', index)
    size = size + (apart or #values[i])
    ends[i] = pack('<I4', size)
  end
  return pack('<I4I4', #indexes, ANYWHERE) .. concat(packedIndexes) .. kinds .. concat(ends) .. concat(values)
end

local function storeChunk(g, chunk, upload)
  local outcomes = g.outcomes
  if not outcomes then
    outcomes = {}
    call('HLEN', g.b .. ':o')
    g.outcomes = outcomes
  end
  outcomes[#outcomes + 1] = { g.settles, chunk, upload }
  if upload and not g.isRoot then
    g.apart = (g.apart or call('HGET', g.b, 'apart') or '') .. pack('<I4', g.settles)
  end
end

-- The result of a run whose last group gives these outcomes: the list of its values, as lib/values/packed-arrays.ts joins them. Nil where they are
-- not all there, in order, or one cannot stand in a list as it is.
local function resultIn(g, chunk, count)
  local number, from = unpackBytes('<I4I4', chunk)
  local at = 9
  if from == ANYWHERE then
    for i = 1, count do
      if unpackBytes('<I4', chunk, 5 + i * 4) ~= i - 1 then
        return nil
      end
    end
    at = 9 + count * 4
  elseif from ~= 0 then
    return nil
  end
  local values, start = at + count * 5, 0
  for i = 1, number do
    local last = unpackBytes('<I4', chunk, at + count + i * 4 - 4)
    if last <= start or last > MOST_ENDING_BYTES or sub(chunk, values + start, values + start + 3) == STAND_IN_HEAD then
      return nil
    end
    start = last
  end
  if count == 3 and sub(chunk, values, values + 2) == STAND_IN_TEXT then
    return nil
  end
  return char(144 + count) .. sub(chunk, values, values + start - 1)
end

-- The root of a run, held, that ends with the barrier of `g`: with the number of its grant, whose that is, its cell and its value. Nil where its
-- driver has to end it. That of a watched run does, so that its watchers are told of the group before they are told of the end.
local function endedWith(g, chunk, count, failed, upload)
  if not g.endsRun or failed > 0 or count ~= g.size or upload or count > MOST_ENDING or g.parent ~= g.run then
    return nil
  end
  local value = resultIn(g, chunk, count)
  if not value then
    return nil
  end
  -- one that cannot be read ends by nobody, and must cost its group nothing
  local isFine, run = pcall(loadRun, g.run)
  if not isFine or not run or run.isEnded or run.isPaused or run.timeout or run.epoch > 0 or watchersOf(run.id) > 0 then
    return nil
  end
  if shard.ahead == nil then
    firstRead[#firstRead + 1] = 'keep'
    firstRead[#firstRead + 1] = 'e:completed:' .. run.workflow
  end
  now()
  if min(run.retention, tonumber(shardValue('keep') or 600000)) < LEAST_KEPT_MS then
    return nil
  end
  local root = loadReadable(g.parent)
  local cell = root and root.state == 'o' and cellOf(root, 0)
  if not cell or byte(cell) ~= GRANTED then
    return nil
  end
  local number = whole((unpackBytes('<I4', cell, 5)))
  local isRead, token, _, session = pcall(recordOf, root, number)
  if not isRead or not token then
    if isRead then
      holdings.missRecord(cell, number)
    end
    return nil
  end
  return root, number, session, cell, value
end

local arrive

-- The branch of a root ends, and with it its run: its own arrival at the root's barrier.
local function endRoot(root, grantNumber, session, cell, kind, value, upload)
  touch(root)
  local _, branches = recordOf(root, grantNumber)
  endHolding(root, grantNumber, session, branches, 1)
  root.inFlight = root.inFlight - 1
  inHand.endStart(root, 0, byte(cell, 4), true)
  setCells(root, 0, char(kind) .. sub(cell, 2, 3) .. '\0' .. sub(cell, 5))
  local chunk = chunkOf({ 0 }, char(kind), { value }, upload and uploads.sizeOf(upload))
  arrive(root, chunk, 1, kind == FAILED and 1 or 0, value, upload)
end

-- Final outcomes reach the barrier: `chunk` as it is stored, `count` of them, `failed` of which did not succeed. `upload`: their values, if not in
-- it.
function arrive(g, chunk, count, failed, lastValue, upload)
  touch(g)
  g.settles = g.settles + 1
  g.left, g.failed = g.left - count, g.failed + failed
  local isMet = g.left == 0 or (g.rule == 'ff' and failed > 0) or (g.rule == 'fs' and failed < count)
  if isMet and g.settles == 1 and #chunk <= MOST_NOTICE_BYTES and not upload then
    -- nothing follows: it stands with the group
    g.outcome = chunk
  else
    storeChunk(g, chunk, upload)
  end
  if not isMet then
    reopenLimit(g)
    parking.noteIdle(g)
    return
  end
  local root, number, session, cell, value = endedWith(g, chunk, count, failed, upload)
  if g.outcome and g.left == 0 then
    -- the notice brings it all: its holder need not ask, nor end the run where that is done
    g.onlyChunk = root and { 'v', chunk, 'e', '1' } or chunk
  end
  close(g, 'r', g.rule == 'ff' and 'another branch of the group failed' or 'another branch of the group succeeded')
  if g.isRoot then
    endRun(loadRun(g.run), failed > 0 and 'failed' or 'completed', lastValue or '', 'the run is over', upload)
  elseif root then
    endRoot(root, number, session, cell, SUCCEEDED, value)
  end
end

barrier = { arrive = arrive, chunkOf = chunkOf, endRoot = endRoot }
