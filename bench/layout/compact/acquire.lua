-- Grants up to `max` branches to a session, one token a group.
-- ARGV: session, lane, nonce, max, most bytes, queue.
-- Answers: as packed/acquire.lua; a whole group's ends and inputs come in one piece, as the ends.
local session, lane, nonce = ARGV[1], ARGV[2], ARGV[3]
local left, bytesLeft, queue = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local q, owned, m = T .. ':q:' .. queue, T .. ':o:' .. session, T .. ':m'

local shard = call('HMGET', m, 'fence', 'n:' .. queue)
local fence, depth = tonumber(shard[1]) or 0, tonumber(shard[2]) or 0
if not call('ZSCORE', T .. ':w', session) then
  return { 'NOSESSION' }
end
if call('HGET', owned, '@' .. lane) == nonce then
  return { 'REPEAT' } -- the real script answers the same grants again
end
local plans, isMore = {}, false
local now

-- Where the input of a branch is: key, what is before the inputs in it, and the first index behind it.
local function segmentOf(b, segments, index, size)
  if segments == '' then
    return b .. ':d', -size * 12, size
  end
  local low, high = 0, #segments / 8
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if struct.unpack('<I4', segments, middle * 8 + 1) <= index then
      low = middle
    else
      high = middle
    end
  end
  local behind = low * 8 + 8 < #segments and struct.unpack('<I4', segments, low * 8 + 9) or size
  return b .. ':i' .. low, struct.unpack('<I4', segments, low * 8 + 5), behind
end

local function fresh(b, from, fill, size, total, segments)
  local d = b .. ':d'
  if fill <= from then
    return nil
  end
  local key, before, behind = segmentOf(b, segments, from, size)
  local to = math.min(fill, from + left, behind)
  if segments == '' and from == 0 and to == size and total <= bytesLeft then
    return { from = 0, count = size, indexes = '', cells = '', ends = call('GETRANGE', d, size * 8, -1), bytes = '', size = total }
  end
  local ends = call('GETRANGE', d, size * 8 + math.max(0, from - 1) * 4, size * 8 + to * 4 - 1)
  local skip = from > 0 and 4 or 0
  local start = from > 0 and struct.unpack('<I4', ends) or 0
  local last = struct.unpack('<I4', ends, #ends - 3)
  if last - start > bytesLeft and to - from > 1 then
    local fits, tooFar = 1, to - from
    while tooFar - fits > 1 do
      local middle = math.floor((fits + tooFar) / 2)
      if struct.unpack('<I4', ends, skip + middle * 4 - 3) - start <= bytesLeft then
        fits = middle
      else
        tooFar = middle
      end
    end
    to = from + fits
    ends = sub(ends, 1, skip + fits * 4)
    last = struct.unpack('<I4', ends, #ends - 3)
  end
  local bytes = last > start and call('GETRANGE', key, start - before, last - 1 - before) or ''
  return { from = from, count = to - from, indexes = '', cells = '', ends = ends, bytes = bytes, size = last - start }
end

local function mixed(b, size, segments)
  local d = b .. ':d'
  local indexes = call('LRANGE', b .. ':r', 0, left - 1)
  local packed, cells, ends, parts, bytes = {}, {}, {}, {}, 0
  for i, index in ipairs(indexes) do
    index = tonumber(index)
    packed[i] = struct.pack('<I4', index)
    cells[i] = call('GETRANGE', d, index * 8, index * 8 + 7)
    local around = call('GETRANGE', d, size * 8 + math.max(0, index - 1) * 4, size * 8 + index * 4 + 3)
    local start = index > 0 and struct.unpack('<I4', around) or 0
    local last = struct.unpack('<I4', around, #around - 3)
    local key, before = segmentOf(b, segments, index, size)
    parts[i] = last > start and call('GETRANGE', key, start - before, last - 1 - before) or ''
    bytes = bytes + last - start
    ends[i] = struct.pack('<I4', bytes)
  end
  return { from = -1, count = #indexes, indexes = table.concat(packed), cells = table.concat(cells),
    ends = table.concat(ends), bytes = table.concat(parts), size = bytes }
end

for page = 0, 56, 8 do
  local gids = call('ZRANGE', q, page, page + 7)
  for _, gid in ipairs(gids) do
    if left <= 0 or bytesLeft <= 0 then
      isMore = true
      break
    end
    local b = T .. ':b:' .. gid
    local group = call('HMGET', b, 'state', 'next', 'fill', 'flight', 'leases', 'limit', 'size', 'bytes',
      'returned', 'segments')
    if group[1] == 'open' then
      local from, fill, returned, size = tonumber(group[2]), tonumber(group[3]), tonumber(group[9]), tonumber(group[7])
      local plan
      if returned > 0 then
        plan = mixed(b, size, group[10])
      else
        plan = fresh(b, from, fill, size, tonumber(group[8]), group[10])
      end
      if plan then
        now = now or nowMicros()
        fence = math.max(fence + 1, now)
        plan.gid, plan.b, plan.spec, plan.returned = gid, b, call('GET', b .. ':g'), returned
        plan.fence, plan.lease, plan.flight = whole(fence), tonumber(group[5]) + 1, tonumber(group[4]) + plan.count
        plan.isEmptied = returned + fill - from == plan.count
        isMore = isMore or not plan.isEmptied
        plans[#plans + 1] = plan
        left, bytesLeft = left - plan.count, bytesLeft - plan.size
      end
    end
  end
  if #gids < 8 or left <= 0 or bytesLeft <= 0 then
    break
  end
end

local reply = { 'OK' }
if #plans == 0 then
  return reply
end
local rings = isMore and call('LLEN', q .. ':bell') == 0

-- writes
local taken = 0
local ours = { '@' .. lane, nonce }
for _, plan in ipairs(plans) do
  local b, token = plan.b, plan.fence .. '.' .. nonce
  local lease = whole(plan.lease)
  -- where its branches are, so that a sweep need not walk the table: -1 for scattered ones
  local record = lease .. ' ' .. plan.from .. ' ' .. plan.count .. ' ' .. whole(now) .. ' ' .. session
  if plan.from >= 0 then
    call('SETRANGE', b .. ':d', plan.from * 8, rep(struct.pack('<BBBBI4', 1, 0, 0, 0, plan.lease), plan.count))
    call('HSET', b, 'flight', plan.flight, 'leases', lease, 't:' .. token, record, 'next', plan.from + plan.count)
  else
    for i = 1, plan.count do
      local index = struct.unpack('<I4', plan.indexes, i * 4 - 3)
      local counters = sub(plan.cells, i * 8 - 6, i * 8 - 4)
      call('SETRANGE', b .. ':d', index * 8, '\1' .. counters .. struct.pack('<I4', plan.lease))
    end
    call('LTRIM', b .. ':r', plan.count, -1)
    call('HSET', b, 'flight', plan.flight, 'leases', lease, 't:' .. token, record, 'returned', plan.returned - plan.count)
  end
  if plan.isEmptied then
    call('ZREM', q, plan.gid)
  end
  ours[#ours + 1] = plan.gid .. '#' .. token
  ours[#ours + 1] = plan.count
  taken = taken + plan.count
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] = plan.gid, plan.spec, token, plan.from, plan.count
  reply[at + 6], reply[at + 7], reply[at + 8], reply[at + 9] = plan.indexes, plan.cells, plan.ends, plan.bytes
end
call('HSET', owned, unpack(ours))
call('HSET', m, 'fence', whole(fence), 'n:' .. queue, depth - taken)
if rings then
  call('RPUSH', q .. ':bell', '1')
end
return reply
