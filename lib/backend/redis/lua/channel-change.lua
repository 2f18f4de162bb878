-- Flags: allow-oom
-- Needs:
--   base: now
--   channels: answered channelsOf clear dropEnded mayWrite readEntry remember setExpiry
--   locks: lostLock
--   run: loadRun
-- Adds to a number, or deletes a channel: neither needs room, so both work when memory is full.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:ch T:r:<run>:cx T:r:<run>:cl T:r:<run>:cl:<key> T:r:<run>:cn T:b:<gid> T:b:<gid>:d
-- ARGV: run, gid, index, token, key, ttl in ms or '', locks or '' (lostLock), then add, nonce, number | delete, nonce
-- Answers: OK sum, or 1 when something was deleted, else 0 | TYPE kind | LOST key | FENCED | GONE
local run, key, ttl, under, what = ARGV[1], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local c = channelsOf(run)
if not loadRun(run) then
  return { 'GONE' }
elseif not mayWrite(run, ARGV[2], ARGV[3], ARGV[4]) then
  return { 'FENCED' }
end
now()
local lost = lostLock(c, under)
if lost then
  return { 'LOST', lost }
end
call('HLEN', c.cx)
local before, place = answered(c, ARGV[9])
if before then
  return before
end
if what == 'delete' then
  local kind = readEntry(c, key)
  clear(c, key)
  return remember(c, place, { 'OK', kind and '1' or '0' })
end
local kind, number, isOver = readEntry(c, key)
if kind and kind ~= 'n' then
  return remember(c, place, { 'TYPE', kind })
end
dropEnded(c, ttl)
if isOver then
  clear(c, key)
end
local sum = string.format('%.17g', (kind and tonumber(number) or 0) + tonumber(ARGV[10]))
call('HSET', c.ch, key, 'n' .. sum)
setExpiry(c, key, ttl)
return remember(c, place, { 'OK', sum })
