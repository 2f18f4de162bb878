-- Opens or fills a group under the holder's token.
-- ARGV: run, token, gid, digest, size, queue, inbox, spec, from, count, base, ends, bytes (as in packed/step.lua).
-- `T:b:<gid>:d` is the branch table (8 bytes a branch), then the ends (4 bytes a branch), then the inputs of a group that came in
-- one call. Those of a bigger one are in segments `T:b:<gid>:i<k>` of 1 MiB at most, because a string that grows is copied as a whole;
-- the group's field `segments` has for each u32 the first index and u32 the first byte.
-- `T:b:<gid>:g` is the spec: one value over 64 bytes would turn the group's hash from a listpack into a table of twice the size.
-- SET needs no check of the type.
-- Answers: OK fill | DONE | CONFLICT | FENCED | BASE bytes
local run, token, gid, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local size, queue, from, count, base = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

local parent = T .. ':b:' .. run
local lease = call('HGET', parent, 't:' .. token)
if not lease or call('GETRANGE', parent .. ':d', 0, 7) ~= struct.pack('<BBBBI4', 1, 0, 0, 0, string.match(lease, '^%d+')) then
  return { 'FENCED' }
end
local b, q, m = T .. ':b:' .. gid, T .. ':q:' .. queue, T .. ':m'
local group = call('HMGET', b, 'digest', 'state', 'fill', 'bytes', 'score', 'segments')
local fill, bytes, isNew = tonumber(group[3]) or 0, tonumber(group[4]) or 0, not group[1]
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
if bytes ~= base then
  return { 'BASE', bytes }
end
call('STRLEN', b .. ':d')
local segments, isWhole = group[6] or '', count == size
local last = #segments / 8 - 1
if not isWhole then
  if last < 0 or base + #ARGV[13] - struct.unpack('<I4', segments, last * 8 + 5) > 1048576 then
    segments = segments .. struct.pack('<I4I4', from, base)
    last = last + 1
  end
  call('STRLEN', b .. ':i' .. last)
end
local isQueued = call('ZSCORE', q, gid)
local shard = call('HMGET', m, 'sequence', 'n:' .. queue)
local sequence, depth = tonumber(shard[1]) or 0, tonumber(shard[2]) or 0
local rung = call('LLEN', q .. ':bell')

-- writes
local score = group[5]
local filled, total = fill + count, base + #ARGV[13]
if isNew then
  -- priority 0 and depth 1 of (100 - priority) * 64 + (63 - depth), above 39 bits of sequence
  score = whole((100 * 64 + 62) * 549755813888 + sequence)
  call('HSET', m, 'sequence', whole(sequence + 1), 'n:' .. queue, whole(depth + count))
  call('HSET', b, 'digest', digest, 'state', 'open', 'size', size, 'left', size, 'fill', count, 'bytes', total, 'next', 0,
    'flight', 0, 'limit', 0, 'leases', 0, 'settles', 0, 'returned', 0, 'queue', queue, 'inbox', ARGV[7], 'score', score,
    'holder', run .. ' 0 ' .. token, 'segments', segments)
  call('SET', b .. ':g', ARGV[8])
else
  call('HSET', m, 'n:' .. queue, whole(depth + count))
  call('HSET', b, 'fill', whole(filled), 'bytes', whole(total), 'segments', segments)
end
if isWhole then
  call('SETRANGE', b .. ':d', size * 8, ARGV[12] .. ARGV[13])
else
  call('SETRANGE', b .. ':d', size * 8 + from * 4, ARGV[12])
  call('APPEND', b .. ':i' .. last, ARGV[13])
end
if not isQueued then
  call('ZADD', q, score, gid)
end
for _ = rung + 1, math.min(2, count) do
  call('RPUSH', q .. ':bell', '1')
end
return { 'OK', filled }
