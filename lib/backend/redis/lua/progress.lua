-- Flags:
-- Needs:
--   base: wall
-- Keeps how far handlers of a run are: the last note at each of the paths that were noted last. A note of an earlier grant than that of the one
-- that is there is left out.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:v
-- ARGV: run, then path, fence and value of each note
-- Answers: OK | GONE
local MOST_PROGRESS_NOTES = 100
local HEAD = '<ddI2'

-- The notes that there are, by place.
local function notesIn(key)
  local marks, known = {}, {}
  for slot = 1, MOST_PROGRESS_NOTES do
    marks[slot] = '/!p' .. slot - 1
  end
  for slot, bytes in ipairs(call('HMGET', key, unpack(marks))) do
    if bytes and #bytes >= 18 then
      local fence, at, length = unpackBytes(HEAD, bytes)
      known[slot] = { fence = fence, at = at, path = sub(bytes, 19, 18 + length) }
    end
  end
  return known
end

-- A path that was noted before keeps its place; a new one takes a free place, or that of the oldest note.
local function placeOf(known, path)
  local free, oldest
  for slot = 1, MOST_PROGRESS_NOTES do
    local note = known[slot]
    if note and note.path == path then
      return slot
    elseif not note then
      free = free or slot
    elseif not oldest or note.at < known[oldest].at then
      oldest = slot
    end
  end
  return free or oldest
end

local function noteProgress(run, ARGV)
  local key = T .. ':r:' .. run .. ':v'
  if call('EXISTS', T .. ':r:' .. run) == 0 then
    return 'GONE'
  end
  local known, at = notesIn(key), wall()
  for i = 2, #ARGV, 3 do
    local path, fence = ARGV[i], tonumber(ARGV[i + 1])
    local slot = placeOf(known, path)
    local before = known[slot]
    if not before or before.path ~= path or before.fence <= fence then
      known[slot] = { fence = fence, at = at, path = path }
      call('HSET', key, '/!p' .. slot - 1, pack(HEAD, fence, at, #path) .. path .. ARGV[i + 2])
    end
  end
  return 'OK'
end
return noteProgress(ARGV[1], ARGV)
