-- Dead letters: branches whose attempts are spent, with input and error, newest kept.
-- Gives: addDeadLetter commitDeadLetters
-- Needs:
--   base: makeAnew now setShard shardNumber wall whole
--   branch-table: DEAD
--   group: inputOf specOf
-- Kept at most, or roughly so many; and the largest input that is kept with one.
local MOST_DEAD_LETTERS, MOST_INPUT_BYTES = 1000, 65536
local deadLetters = {}

local function reset()
  deadLetters = {}
end

function addDeadLetter(g, index, kind, errors, losses, value)
  local input = g.bytes > 0 and inputOf(g, index, MOST_INPUT_BYTES) or ''
  specOf(g) -- read before the first write
  if not deadLetters[1] then
    now()
    shardNumber('deads') -- this too
    begins[#begins + 1] = reset
  end
  deadLetters[#deadLetters + 1] = { g, index, kind, errors, losses, input, value }
end

function commitDeadLetters()
  if not deadLetters[1] then
    return
  end
  local key, at = T .. ':dead', whole(wall())
  setShard('deads', whole(shardNumber('deads') + #deadLetters))
  for i = 1, #deadLetters do
    local letter = deadLetters[i]
    local g = letter[1]
    makeAnew('XADD', key, '*', 'gid', g.gid, 'index', whole(letter[2]), 'run', g.run, 'kind', letter[3] == DEAD and 'dead' or 'failed', 'errors',
      whole(letter[4]), 'losses', whole(letter[5]), 'at', at, 'spec', g.spec, 'input', letter[6], 'error', letter[7])
  end
  tryCall('XTRIM', key, 'MAXLEN', '~', MOST_DEAD_LETTERS)
end
