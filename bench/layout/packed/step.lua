-- Opens or fills a group under the holder's token.
-- ARGV: run, token, gid, digest, size, queue, inbox, spec, from, count, base, ends, bytes.
--   base: bytes of the items before `from`; ends: u32 each, counted from the group's first byte, so that they are stored as they come.
-- Answers: OK fill | DONE | CONFLICT | FENCED | BASE bytes
local run, token, gid, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local size, queue, from, count = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[9]), tonumber(ARGV[10])

local parent = T .. ':b:' .. run
local cell = call('GETRANGE', parent .. ':s', 0, 7)
if #cell ~= 8 or byte(cell) ~= 1 then
  return { 'FENCED' }
end
local lease = call('HGET', parent .. ':l', (struct.unpack('<I4', cell, 5)))
if not lease or sub(lease, 1, #token + 1) ~= token .. ' ' then
  return { 'FENCED' }
end

local b, q = T .. ':b:' .. gid, T .. ':q:' .. queue
local group = call('HMGET', b, 'digest', 'state', 'fill', 'next', 'score')
local fill, isNew = tonumber(group[3]) or 0, not group[1]
if not isNew then
  if group[1] ~= digest then
    return { 'CONFLICT' }
  end
  if group[2] ~= 'open' then
    return { 'DONE' }
  end
end
if from ~= fill or count == 0 then
  return { 'OK', fill }
end
local bytes = call('STRLEN', b .. ':i')
if bytes ~= tonumber(ARGV[11]) then
  return { 'BASE', bytes }
end
call('STRLEN', b .. ':x')
local sequence = tonumber(call('HGET', T .. ':m', 'sequence') or 0)
local isQueued = call('ZSCORE', q, gid)
local depth = tonumber(call('GET', q .. ':n') or 0)
local rung = call('LLEN', q .. ':bell')
if not depth then
  return redis.error_reply('ERR the depth gauge is no number')
end

-- writes
local score = group[5]
if isNew then
  -- priority 0 and depth 1 of (100 - priority) * 64 + (63 - depth), above 39 bits of sequence
  score = whole((100 * 64 + 62) * 549755813888 + sequence)
  call('HSET', T .. ':m', 'sequence', whole(sequence + 1))
  call('HSET', b, 'digest', digest, 'state', 'open', 'size', size, 'left', size, 'fill', count, 'next', 0, 'flight', 0,
    'limit', 0, 'leases', 0, 'settles', 0, 'queue', queue, 'inbox', ARGV[7], 'score', score, 'holder', run .. ' 0 ' .. token,
    'spec', ARGV[8])
else
  call('HSET', b, 'fill', whole(fill + count))
end
call('APPEND', b .. ':i', ARGV[13])
call('APPEND', b .. ':x', ARGV[12])
call('INCRBY', q .. ':n', count)
if not isQueued then
  call('ZADD', q, score, gid)
end
for _ = rung + 1, math.min(2, count) do
  call('RPUSH', q .. ':bell', '1')
end
return { 'OK', fill + count }
