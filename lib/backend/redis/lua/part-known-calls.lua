-- Calls that changed a run, by what names them, the newest first, each between two spaces: a repeat of one is known, while it is one of the last.
-- Gives: withCall
-- Needs: none
local CALLS_KNOWN = 32

-- The same calls with one more. Without any, `known` is a space.
function withCall(known, name)
  local at = 1
  for _ = 2, CALLS_KNOWN do
    at = find(known, ' ', at + 1, true)
    if not at then
      return ' ' .. name .. known
    end
  end
  return ' ' .. name .. sub(known, 1, at)
end
