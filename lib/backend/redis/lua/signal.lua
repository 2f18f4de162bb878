-- Flags: allow-oom
-- Needs:
--   base: readShard
--   commit: commit
--   run: loadRun setRun withCall
--   waits: runWaits
-- Brings a payload to the wait at an address of a run, or keeps it for the first: what waits may finish also when memory is full. Nonces of the last
-- signals stand in field `sigs` of the run, those of late ones behind `-`.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:v T:u:<run> T:b:<gid> T:b:<gid>:d T:b:<gid>:r T:wake T:purge T:q:<lane> T:wait
-- ARGV: run, address, payload, nonce, `1`: nobody can take it; `2`: only a repeat is answered
-- Answers: OK | LATE | OVER | GONE | FULL (too many are kept) | NEW (no repeat)
local run = loadRun(ARGV[1])
if not run then
  return 'GONE'
end
local known = call('HGET', run.key, 'sigs') or ' '
if find(known, ' ' .. ARGV[4] .. ' ', 1, true) then
  return 'OK'
elseif find(known, ' -' .. ARGV[4] .. ' ', 1, true) then
  return 'LATE'
elseif ARGV[5] == '2' then
  return 'NEW'
elseif run.isEnded then
  return 'OVER'
end
readShard({ 'ahead', 'seen', 'epoch', 'fix', 'dues', 'purges', 'wakes', 'ready', 'act', 'ev' })
local answer = ARGV[5] == '1' and 'LATE' or runWaits.signal(run, ARGV[2], ARGV[3])
if answer == 'FULL' then
  return 'FULL'
end
setRun(run, 'sigs', withCall(known, (answer == 'OK' and '' or '-') .. ARGV[4]))
commit()
return answer == 'OK' and 'OK' or 'LATE'
