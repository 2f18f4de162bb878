-- Flags: allow-oom
-- Needs:
--   base: commitShard now setShard whole
--   event-log: eventLog
-- From now on, for a while, what happens in the store is kept; where it was not until now, the log begins anew. Also when memory is full: people look
-- at the store then above all.
-- KEYS: T:m
-- Derives: T:ev
-- ARGV: for ms
-- Answers: OK
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

return keepEvents(tonumber(ARGV[1]))
