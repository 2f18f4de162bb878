-- Flags:
-- Needs:
--   base: now
--   channels: answered channelsOf clear dropEnded mayWrite readEntry remember setExpiry
--   locks: lostLock
--   run: loadRun
-- Sets a channel, or puts an item before or after those of a list. Refused when memory is full.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:ch T:r:<run>:cx T:r:<run>:cl T:r:<run>:cl:<key> T:r:<run>:cn T:b:<gid> T:b:<gid>:d
-- ARGV: run, gid, index, token, key, ttl in ms or '', locks or '' (lostLock), then
--   set, nonce, kind (v, n, l), items… | append, nonce, item | prepend, nonce, item
-- Answers: OK length | TYPE kind | LOST key | FENCED | GONE
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
-- a call that is repeated after others have written would undo what they wrote
local before, place = answered(c, ARGV[9])
if before then
  return before
end
if what == 'set' then
  local kind = ARGV[10]
  call('HLEN', c.ch)
  dropEnded(c, ttl)
  clear(c, key)
  if kind == 'l' then
    call('HSET', c.ch, key, kind)
    for i = 11, #ARGV, 4000 do
      call('RPUSH', c.items .. key, unpack(ARGV, i, min(i + 3999, #ARGV)))
    end
  else
    call('HSET', c.ch, key, kind .. ARGV[11])
  end
  setExpiry(c, key, ttl)
  return remember(c, place, { 'OK', 0 })
end
local kind, _, isOver = readEntry(c, key)
local length = call('LLEN', c.items .. key)
if kind and kind ~= 'l' then
  return remember(c, place, { 'TYPE', kind })
end
dropEnded(c, ttl)
if isOver then
  clear(c, key)
  length = 0
end
if not kind then
  call('HSET', c.ch, key, 'l')
end
call(what == 'append' and 'RPUSH' or 'LPUSH', c.items .. key, ARGV[10])
setExpiry(c, key, ttl)
return remember(c, place, { 'OK', length + 1 })
