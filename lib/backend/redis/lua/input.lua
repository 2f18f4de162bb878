-- Flags: no-writes
-- Needs:
--   group: inputOf load
-- What a branch of a group got, as long as it is kept.
-- KEYS: T:m
-- Derives: T:b:<gid> T:b:<gid>:d T:b:<gid>:i<k> T:p:<run>
-- ARGV: gid, index
-- Answers: OK input | GONE
local isFine, g = pcall(load, ARGV[1])
local index = tonumber(ARGV[2])
if not isFine or not g or g.bytes == 0 or g.isRetired or index >= g.size then
  return { 'GONE' }
end
local isThere, input = pcall(inputOf, g, index, HUGE)
return isThere and input and { 'OK', input } or { 'GONE' }
