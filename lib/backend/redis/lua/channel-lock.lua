-- Flags: allow-oom
-- Needs:
--   base: commitShard now
--   channels: answered channelsOf mayWrite remember
--   locks: renewLock takeLock unlock
--   run: loadRun
-- Takes, renews or gives back a lock of a run; needs no room to speak of, so it works when memory is full.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:cl T:r:<run>:cn T:b:<gid> T:b:<gid>:d
-- ARGV: run, gid, index, token, key, nonce, then lock, lease in ms | renew, lease in ms | unlock
-- Answers: OK fence | LOCKED holder | LOST | FENCED | GONE
local run, key, nonce, what, lease = ARGV[1], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local c = channelsOf(run)
if not loadRun(run) then
  return { 'GONE' }
elseif not mayWrite(run, ARGV[2], ARGV[3], ARGV[4]) then
  return { 'FENCED' }
end
now()
if what == 'renew' then
  local fence = renewLock(c, key, nonce, lease)
  return fence and { 'OK', fence } or { 'LOST' }
end
local before, place = answered(c, nonce)
if what == 'unlock' then
  if before then
    return before
  end
  local fence = unlock(c, key, nonce)
  return remember(c, place, fence and { 'OK', fence } or { 'LOST' })
elseif before then
  -- a call that arrives once more, after the unlock: nobody waits for its answer
  return { 'LOST' }
end
local fence, holder = takeLock(c, key, { gid = ARGV[2], index = ARGV[3], token = ARGV[4] }, nonce, lease)
commitShard()
return fence and { 'OK', fence } or { 'LOCKED', holder }
