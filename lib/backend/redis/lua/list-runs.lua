-- Flags: no-writes
-- Needs:
--   base: wall whole
--   run: PENDING standings
-- A page of runs, newest first, as they are at this moment: of all, or of those that stand in some states and are found by some words. What is
-- looked at is the shortest list that has them all, `most` entries of it at most, and each run's record says whether it is one.
-- KEYS: T:m
-- Derives: T:runs T:by:<word> T:r:<run>
-- ARGV: limit, most, behind which run: quarters of the microsecond of its creation and its id (or '' and ''), since and until (the same
--   quarters, or ''), standings (a digit each; '' for any), then the words, such as w:<workflow>
-- Answers: a list: now, where the next page begins (quarters and id, or '' and ''), then a list for each run: its quarters and id, and
--   facts of its record
local FACTS = { 'created', 'us', 'wf', 'graph', 'dig', 'startedAt', 'endedAt', 'timeout', 'driver', 'reason', 'epoch', 'opener', 'build',
  'tags', 'terms', 'end', 'aband', 'paused', 'pausedAt', 'parked', 'lostAt' }
local LAST_STANDING, MOST_CHUNK, FILTERED_CHUNK, SHORT = 7, 128, 500, 2000
local limit, most, afterQuarters, afterId = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local since, before = tonumber(ARGV[5]) or 0, tonumber(ARGV[6]) or 1125899906842623
local wanted, words = ARGV[7], { unpack(ARGV, 8) }
-- Of what most runs may be passed over, many are read at once.
local chunk = words[1] and wanted ~= '' and FILTERED_CHUNK or min(limit + 1, MOST_CHUNK)
local newest = min(afterQuarters or before, before - 1)

-- Whether text `a` comes behind `b`, byte by byte, as Redis has them.
local function isBehind(a, b)
  for i = 1, min(#a, #b) do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then
      return x > y
    end
  end
  return #a > #b
end

-- The runs of T:runs that stand so, within the time asked for, from the newest on.
local function standingSource(standing)
  local from, to = standings.scoreOf(standing, since * 4), standings.scoreOf(standing, newest * 4)
  return { key = T .. ':runs', from = from, to = standing == PENDING and to + 3 or to, offset = 0, at = 0, entries = {},
    base = standing * standings.SPAN, unit = standing == PENDING and 4 or 1 }
end

local function wordSource(word)
  return { key = T .. ':by:' .. word, from = since * 4, to = newest * 4 + 3, offset = 0, at = 0, entries = {}, base = 0, unit = 4 }
end

-- The first run of a source that was not taken yet: quarters and id, or nothing. What stands at the end of the page before is passed over.
local function head(source)
  while true do
    local id = source.entries[source.at + 1]
    if not id then
      if source.isOver then
        return nil
      end
      local to, from = whole(source.to), whole(source.from)
      source.entries = call('ZRANGE', source.key, to, from, 'BYSCORE', 'REV', 'LIMIT', source.offset, chunk, 'WITHSCORES')
      source.at, source.offset, source.isOver = 0, source.offset + chunk, #source.entries < chunk * 2
    else
      local quarters = floor((tonumber(source.entries[source.at + 2]) + source.base) / source.unit)
      if quarters ~= afterQuarters or isBehind(afterId, id) then
        return quarters, id
      end
      source.at = source.at + 2
    end
  end
end

local function isLong(source)
  return #call('ZRANGE', source.key, whole(source.to), whole(source.from), 'BYSCORE', 'REV', 'LIMIT', SHORT, 1) > 0
end

-- Where the runs are looked for.
local function sourcesOf()
  local byState, isAnyLong = {}, false
  for standing = 0, LAST_STANDING do
    if wanted == '' or find(wanted, whole(standing), 1, true) then
      byState[#byState + 1] = standingSource(standing)
    end
  end
  if not words[1] then
    return byState
  end
  local shortest, size
  for _, word in ipairs(words) do
    local own = call('ZCARD', T .. ':by:' .. word)
    if not size or own < size then
      shortest, size = word, own
    end
  end
  for _, source in ipairs(size > SHORT and wanted ~= '' and byState or {}) do
    isAnyLong = isAnyLong or isLong(source)
  end
  return (size <= SHORT or wanted == '' or isAnyLong) and { wordSource(shortest) } or byState
end

-- Whether a run is found by all words: workflow, tags and build of its record.
local function hasWords(workflow, tags, build)
  for _, word in ipairs(words) do
    local kind, value = sub(word, 1, 2), sub(word, 3)
    if kind == 'w:' and value ~= workflow or kind == 'b:' and value ~= build
      or kind == 't:' and not find('\n' .. (tags or '') .. '\n', '\n' .. value .. '\n', 1, true) then
      return false
    end
  end
  return true
end

-- The facts of a run that is one of those asked for; nil for any other.
local function factsOf(id, isByState)
  if not isByState and wanted ~= '' then
    local score = tonumber(call('ZSCORE', T .. ':runs', id) or nil)
    local standing = score and (score >= 0 and PENDING or -floor(score / standings.SPAN))
    if standing and not find(wanted, whole(standing), 1, true) then
      return nil
    end
  end
  local key = T .. ':r:' .. id
  if words[1] then
    local known = call('HMGET', key, 'wf', 'tags', 'build')
    if not hasWords(known[1], known[2], known[3]) then
      return nil
    end
  end
  local facts = call('HMGET', key, unpack(FACTS))
  return facts[1] and facts or nil
end

local sources = sourcesOf()
local isByState = sources[1] and sources[1].key == T .. ':runs'

-- The newest of the sources, which is taken from it.
local function newestRun()
  local first, firstQuarters, firstId
  for _, source in ipairs(sources) do
    local quarters, id = head(source)
    if quarters and (not first or quarters > firstQuarters or quarters == firstQuarters and isBehind(id, firstId)) then
      first, firstQuarters, firstId = source, quarters, id
    end
  end
  if first then
    first.at = first.at + 2
  end
  return firstQuarters, firstId
end

local function isAnyLeft()
  for _, source in ipairs(sources) do
    if head(source) then
      return true
    end
  end
  return false
end

local function listRuns()
  local answer, looked, quarters, id = { whole(wall()), '', '' }, 0, nil, nil
  while #answer < limit + 3 and looked < most do
    quarters, id = newestRun()
    if not quarters then
      return answer
    end
    looked = looked + 1
    local facts = factsOf(id, isByState)
    if facts then
      answer[#answer + 1] = { whole(quarters), id, unpack(facts, 1, #FACTS) }
    end
  end
  if isAnyLeft() then
    answer[2], answer[3] = whole(quarters), id
  end
  return answer
end

return listRuns()
