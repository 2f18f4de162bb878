-- Flags:
-- Needs:
--   base: commitShard now setShard whole
--   event-log: eventLog
-- From now on, for a while, what happens in the store is kept; where it was not until now, the log begins anew. Or appends to what was seen of one
-- run, unless somebody else has appended since.
-- KEYS: T:m
-- Derives: T:ev T:ev:<run> T:es:<run>
-- ARGV: keep, for ms | append, run, the position that it was known to ('' the beginning), events, all that was seen, kept for ms
-- Answers: OK (append: then the position behind it) | STALE
local MOST_RUN_EVENTS = 1000
local MOST_RUN_BYTES = 2 * 1024 * 1024

local function keepEvents(forMs)
  local key = T .. ':ev'
  if not eventLog.isKept() then
    call('UNLINK', key)
    call('XADD', key, '*', 'k', 'begin', 'f', '')
  end
  setShard('ev', whole(now() + forMs))
  call('PEXPIRE', key, whole(forMs * 2))
  commitShard()
  return { 'OK' }
end

-- Drops the oldest entries of a run as long as there are too many bytes; `total` is what entry `id`, the last one, says.
local function dropOldest(key, id, total)
  local isMore = total > MOST_RUN_BYTES
  while isMore do
    local first = call('XREAD', 'COUNT', 1, 'STREAMS', key, '0')[1][2][1]
    local behind = total - (tonumber(first[2][2]) or 0)
    isMore = first[1] ~= id and behind + #(first[2][4] or '') > MOST_RUN_BYTES
    if isMore then
      call('XDEL', key, first[1])
    end
  end
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
  dropOldest(key, id, total)
  call('PEXPIRE', key, keptMs)
  call('SET', T .. ':es:' .. run, seen, 'PX', keptMs)
  return { 'OK', id }
end

if ARGV[1] == 'keep' then
  return keepEvents(tonumber(ARGV[2]))
end
return appendRunEvents(unpack(ARGV, 2, 6))
