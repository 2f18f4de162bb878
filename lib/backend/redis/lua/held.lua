-- Flags: no-writes
-- Needs:
--   base: whole
--   grants: recordOf stillHeld
--   group: load
-- Which branches of an open group sessions hold: a grant after the other, `most` branches at most.
-- KEYS: T:m
-- Derives: T:b:<gid> T:b:<gid>:d
-- ARGV: gid, most
-- Answers: a list for each grant: session, fence, indexes (four bytes each)
local MOST_READ = 4000
local answers, left = {}, tonumber(ARGV[2])
local isFine, g = pcall(load, ARGV[1])
if not isFine or not g or g.state ~= 'o' then
  return answers
end

local function heldUnder(grantNumber)
  local token, branches, session = recordOf(g, grantNumber)
  local held = token and stillHeld(g, branches, grantNumber) or {}
  return session, held, token and match(token, '^(%d+)')
end

local numbers = {}
local fields = call('HLEN', g.b) <= MOST_READ and call('HKEYS', g.b) or call('HRANDFIELD', g.b, MOST_READ)
for _, field in ipairs(fields) do
  numbers[#numbers + 1] = tonumber(match(field, '^t(%d+)$'))
end
table.sort(numbers)
for _, number in ipairs(numbers) do
  if left == 0 then
    break
  end
  local isRead, session, held, fence = pcall(heldUnder, whole(number))
  if isRead and held[1] then
    local indexes = {}
    for k = 1, min(left, #held) do
      indexes[k] = pack('<I4', held[k])
    end
    left = left - #indexes
    answers[#answers + 1] = { session, fence, concat(indexes) }
  end
end
return answers
