-- The barrier of a group: counts final outcomes, and releases the group once, when its rule is met.
-- Gives: arrive chunkOf
-- Needs:
--   branch-table: ANYWHERE
--   closing: close
--   group: touch
--   parking: parking
--   run: loadRun
--   runs: endRun
--   waking: reopenLimit
-- An only chunk of at most so many bytes travels with the notice.
local MOST_NOTICE_BYTES = 4096

-- One chunk of outcomes: indexes and values run in parallel; kinds is a text of one byte each. `apart`: how long the only value is, if it is not in
-- it.
function chunkOf(indexes, kinds, values, apart)
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
  if g.outcome and g.left == 0 then
    -- the notice brings it all: its holder need not ask
    g.onlyChunk = chunk
  end
  close(g, 'r', g.rule == 'ff' and 'another branch of the group failed' or 'another branch of the group succeeded')
  if g.isRoot then
    endRun(loadRun(g.run), failed > 0 and 'failed' or 'completed', lastValue or '', 'the run is over', upload)
  end
end
