-- Flags:
-- Needs:
--   base: now
--   channels: answered channelsOf clear mayWrite readEntry remember setExpiry
--   run: loadRun
-- Sets a channel, or puts an item before or after those of a list. Refused when memory is full.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:ch T:r:<run>:cx T:r:<run>:cl:<key> T:r:<run>:cn T:b:<gid> T:b:<gid>:d
-- ARGV: run, gid, index, token, key, ttl in ms or '', then set, kind (v, n, l), items… | append, nonce, item | prepend, nonce, item
-- Answers: OK length | TYPE kind | FENCED | GONE
local run, key, ttl, what = ARGV[1], ARGV[5], ARGV[6], ARGV[7]
local c = channelsOf(run)
if not loadRun(run) then
  return { 'GONE' }
elseif not mayWrite(run, ARGV[2], ARGV[3], ARGV[4]) then
  return { 'FENCED' }
end
now()
call('HLEN', c.cx)
if what == 'set' then
  local kind = ARGV[8]
  call('HLEN', c.ch)
  clear(c, key)
  if kind == 'l' then
    call('HSET', c.ch, key, kind)
    for i = 9, #ARGV, 4000 do
      call('RPUSH', c.items .. key, unpack(ARGV, i, min(i + 3999, #ARGV)))
    end
  else
    call('HSET', c.ch, key, kind .. ARGV[9])
  end
  setExpiry(c, key, ttl)
  return { 'OK', 0 }
end
local before, place = answered(c, ARGV[8])
if before then
  return before
end
local kind, _, isOver = readEntry(c, key)
local length = call('LLEN', c.items .. key)
if kind and kind ~= 'l' then
  return remember(c, place, { 'TYPE', kind })
end
if isOver then
  clear(c, key)
  length = 0
end
if not kind then
  call('HSET', c.ch, key, 'l')
end
call(what == 'append' and 'RPUSH' or 'LPUSH', c.items .. key, ARGV[9])
setExpiry(c, key, ttl)
return remember(c, place, { 'OK', length + 1 })
