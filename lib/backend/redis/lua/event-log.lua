-- Flags:
-- Needs:
--   base: now whole
-- Appends to what was seen of one run, unless somebody else has appended since.
-- KEYS: T:m
-- Derives: T:ev:<run> T:es:<run> T:evx T:evb
-- ARGV: run, the position that it was known to ('' the beginning), events, all that was seen, kept for ms
-- Answers: OK and the position behind it | STALE
local MOST_RUN_EVENTS = 1000
local MOST_RUN_BYTES = 2 * 1024 * 1024
-- Of all runs together; and what a log takes beside what is in it.
local MOST_LOGS_BYTES = 64 * 1024 * 1024
local LOG_BYTES = 1024
-- Logs that one call drops.
local MOST_DROPPED = 100
-- The index of logs is kept longer than any log.
local INDEX_MS = 86400000

-- Drops the oldest entries of a run as long as there are too many bytes; `total` is what entry `id`, the last one, says. Says how many are left.
local function dropOldest(key, id, total)
  while true do
    local first = call('XREAD', 'COUNT', 1, 'STREAMS', key, '0')[1][2][1]
    local left = total - (tonumber(first[2][2]) or 0) + #(first[2][4] or '')
    if first[1] == id or left <= MOST_RUN_BYTES then
      return left
    end
    call('XDEL', key, first[1])
  end
end

-- Keeps how much the log of a run takes; where all take too much, those go that would be over soonest.
local function boundLogs(run, bytes, keptMs)
  local index, sizes = T .. ':evx', T .. ':evb'
  local found = tryCall('HMGET', sizes, '#', run)
  if found.err or type(tryCall('ZADD', index, now() + keptMs, run)) == 'table' then
    call('UNLINK', index, sizes) -- one of them was of another type
    call('ZADD', index, now() + keptMs, run)
    found = {}
  end
  local sum = bytes + (tonumber(found[1]) or 0) - (tonumber(found[2]) or 0)
  call('HSET', sizes, run, whole(bytes))
  for _ = 1, MOST_DROPPED do
    local soonest = call('ZRANGE', index, 0, 1, 'WITHSCORES')
    local at = soonest[1] == run and 3 or 1
    local other = soonest[at]
    if not other then
      sum = bytes -- also where the sum was lost
      break
    elseif sum <= MOST_LOGS_BYTES and tonumber(soonest[at + 1]) > now() then
      break
    end
    sum = sum - (tonumber(call('HGET', sizes, other)) or 0)
    call('ZREM', index, other)
    call('HDEL', sizes, other)
    call('UNLINK', T .. ':ev:' .. other, T .. ':es:' .. other)
  end
  call('HSET', sizes, '#', whole(max(sum, bytes)))
  call('PEXPIRE', index, INDEX_MS)
  call('PEXPIRE', sizes, INDEX_MS)
end

local function appendRunEvents(run, after, events, seen, keptMs)
  local key = T .. ':ev:' .. run
  local last = tryCall('XREVRANGE', key, '+', '-', 'COUNT', 1)
  if (last.err or not last[1]) and after ~= '' or last[1] and last[1][1] ~= after then
    return { 'STALE' }
  elseif last.err then
    call('UNLINK', key)
  end
  -- how many bytes came with it and before it, so that nothing needs to be counted anew
  local total = #events + (last[1] and tonumber(last[1][2][2]) or 0)
  local id = call('XADD', key, 'MAXLEN', '~', MOST_RUN_EVENTS, '*', 'b', whole(total), 'e', events)
  local left = dropOldest(key, id, total)
  call('PEXPIRE', key, keptMs)
  call('SET', T .. ':es:' .. run, seen, 'PX', keptMs)
  boundLogs(run, left + #seen + LOG_BYTES, tonumber(keptMs))
  return { 'OK', id }
end

return appendRunEvents(unpack(ARGV, 1, 5))
