-- Opens or fills a group under the holder's token: a hash field for each input, a list entry for each branch.
-- ARGV: run, token, gid, digest, size, queue, inbox, spec, from, then an input each.
-- Answers: OK fill | DONE | CONFLICT | FENCED
local run, token, gid, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local size, queue, from, count = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[9]), #ARGV - 9

if call('HGET', T .. ':b:' .. run .. ':t', 0) ~= 'L' .. token then
  return { 'FENCED' }
end
local b, q = T .. ':b:' .. gid, T .. ':q:' .. queue
local group = call('HMGET', b, 'digest', 'state', 'fill')
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
call('HLEN', b .. ':i')
call('LLEN', q)
local rung = call('LLEN', q .. ':bell')

-- writes
if isNew then
  call('HSET', b, 'digest', digest, 'state', 'open', 'size', size, 'left', size, 'fill', count, 'flight', 0, 'limit', 0,
    'queue', queue, 'inbox', ARGV[7], 'holder', run .. ' 0 ' .. token, 'spec', ARGV[8])
else
  call('HSET', b, 'fill', whole(fill + count))
end
local inputs, entries = {}, {}
local prefix = gid .. ' '
for i = 1, count do
  local index = from + i - 1
  inputs[i * 2 - 1] = index
  inputs[i * 2] = ARGV[9 + i]
  entries[i] = prefix .. index
end
batched('HSET', b .. ':i', inputs)
batched('RPUSH', q, entries)
for _ = rung + 1, math.min(2, count) do
  call('RPUSH', q .. ':bell', '1')
end
return { 'OK', fill + count }
