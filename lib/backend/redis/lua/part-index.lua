-- Keeps the indexes of runs true: T:runs has them by state, T:by:<word> by workflow, tag and build. What a run's record says is the truth.
-- Runs that an older release has opened or ended, and keys that were lost, are found by looking at two runs in every sweep; then sweeps look
-- at all of them.
-- Gives: runIndex
-- Needs:
--   base: nowMicros readHint setShard shardNumber shardValue whole
--   commit: later
--   run: LOST PAUSED PENDING RUNNING WAITING standings
-- A function of its own: Lua has room for 200 names in one, and the parts around have taken nearly all.
(function()
-- Runs that a sweep looks at; and while it looks at all.
local SAMPLE, PAGE = 2, 256
local FACTS = { 'created', 'us', 'end', 'aband', 'paused', 'parked', 'startedAt', 'driver', 'lostAt', 'wf', 'tags', 'build' }

-- Where a run stands, by its record (run-state.ts has the same rule).
local function standingOf(facts)
  if facts[3] then
    return standings.ofEnd(facts[3])
  elseif facts[4] == '1' then
    return LOST
  elseif facts[5] == '1' then
    return PAUSED
  elseif facts[6] == '1' then
    return WAITING
  elseif facts[7] and facts[8] and facts[8] ~= '' then
    return RUNNING
  end
  return facts[9] and facts[9] ~= '' and LOST or PENDING
end

-- The words by which a run is found.
local function wordsOf(facts)
  local words = {}
  for tag in gmatch(facts[11] or '', '[^\n]+') do
    words[#words + 1] = 't:' .. tag
  end
  if facts[10] and facts[10] ~= '' then
    words[#words + 1] = 'w:' .. facts[10]
  end
  if facts[12] then
    words[#words + 1] = 'b:' .. facts[12]
  end
  return words
end

-- Writes what the indexes lack of a run, or have wrong; whether there was something.
local function mend(id)
  local facts = tryCall('HMGET', T .. ':r:' .. id, unpack(FACTS))
  local created = not facts.err and tonumber(facts[1] or nil)
  if not created or not (created >= 0 and created * 250 < standings.SPAN) or standings.isMoved(id) then
    return false -- of a time that cannot be read: the run is found by nobody
  end
  local micros, isWrong = created * 1000 + (tonumber(facts[2]) or 0), false
  local score = standings.scoreOf(standingOf(facts), micros)
  if tonumber(readHint('ZSCORE', T .. ':runs', id) or nil) ~= score then
    later({ 'ZADD', T .. ':runs', whole(score), id })
    isWrong = true
  end
  for _, word in ipairs(wordsOf(facts)) do
    local key = T .. ':by:' .. word
    local found = tryCall('ZSCORE', key, id)
    if type(found) == 'table' then
      later({ 'UNLINK', key }) -- of another type
    end
    if type(found) ~= 'string' then
      later({ 'ZADD', key, whole(micros), id })
      isWrong = true
    end
  end
  return isWrong
end

-- One look at the indexes, a sweep.
local function keep()
  local total, at = shardNumber('runs'), tonumber(shardValue('index'))
  if total == 0 then
    return
  end
  local from, count = at or nowMicros() % total, at and PAGE or SAMPLE
  local ids = readHint('ZRANGE', T .. ':runs', from, from + count - 1) or {}
  local isWrong = false
  for _, id in ipairs(ids) do
    isWrong = mend(id) or isWrong
  end
  if at then
    setShard('index', #ids == PAGE and whole(from + PAGE) or '')
  elseif isWrong then
    setShard('index', '0')
  end
end

runIndex = { mend = mend, keep = keep }
end)()
