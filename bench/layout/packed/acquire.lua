-- Grants up to `max` branches to a session, one token a group.
-- ARGV: session, lane, nonce, max, most bytes, queue.
-- Answers: OK, then for each grant: gid, spec, token, from, count, indexes, cells, ends, bytes | NOSESSION | REPEAT
--   A range that was never granted: indexes and cells are empty; ends are as stored, with the one before the range unless from is 0.
--   Taken-back branches: indexes u32 each, their cells, ends from 0.
local session, lane, nonce = ARGV[1], ARGV[2], ARGV[3]
local left, bytesLeft, queue = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local q, owned = T .. ':q:' .. queue, T .. ':o:' .. session

local fence = tonumber(call('HGET', T .. ':m', 'fence') or 0)
if not call('ZSCORE', T .. ':w', session) then
  return { 'NOSESSION' }
end
if call('HGET', owned, '@' .. lane) == nonce then
  return { 'REPEAT' } -- the real script answers the same grants again
end
local now = nowMicros()
local depth = tonumber(call('GET', q .. ':n') or 0)
local rung = call('LLEN', q .. ':bell')
local plans, isMore = {}, false

local function fresh(gid, b, group)
  local from = tonumber(group[2])
  local to = math.min(tonumber(group[3]), from + left)
  if to <= from then
    return nil
  end
  local ends = call('GETRANGE', b .. ':x', math.max(0, from - 1) * 4, to * 4 - 1)
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
  local bytes = last > start and call('GETRANGE', b .. ':i', start, last - 1) or ''
  call('STRLEN', b .. ':s')
  return { from = from, count = to - from, indexes = '', cells = '', ends = ends, bytes = bytes, size = last - start }
end

local function mixed(gid, b, group, returned)
  local indexes = call('LRANGE', b .. ':r', 0, left - 1)
  local packed, cells, ends, parts, size = {}, {}, {}, {}, 0
  for i, index in ipairs(indexes) do
    index = tonumber(index)
    packed[i] = struct.pack('<I4', index)
    cells[i] = call('GETRANGE', b .. ':s', index * 8, index * 8 + 7)
    local around = call('GETRANGE', b .. ':x', math.max(0, index - 1) * 4, index * 4 + 3)
    local start = index > 0 and struct.unpack('<I4', around) or 0
    local last = struct.unpack('<I4', around, #around - 3)
    parts[i] = last > start and call('GETRANGE', b .. ':i', start, last - 1) or ''
    size = size + last - start
    ends[i] = struct.pack('<I4', size)
  end
  return { from = -1, count = #indexes, indexes = table.concat(packed), cells = table.concat(cells),
    ends = table.concat(ends), bytes = table.concat(parts), size = size }
end

for page = 0, 56, 8 do
  local gids = call('ZRANGE', q, page, page + 7)
  for _, gid in ipairs(gids) do
    if left <= 0 or bytesLeft <= 0 then
      isMore = true
      break
    end
    local b = T .. ':b:' .. gid
    local group = call('HMGET', b, 'state', 'next', 'fill', 'flight', 'leases', 'limit', 'spec')
    if group[1] == 'open' then
      local returned = call('LLEN', b .. ':r')
      local plan = returned > 0 and mixed(gid, b, group, returned) or fresh(gid, b, group)
      if plan then
        local ready = returned + group[3] - group[2]
        call('HLEN', b .. ':l')
        fence = math.max(fence + 1, now)
        plan.gid, plan.b, plan.spec = gid, b, group[7]
        plan.fence, plan.lease, plan.flight = whole(fence), tonumber(group[5]) + 1, tonumber(group[4]) + plan.count
        plan.isEmptied = ready == plan.count
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

-- writes
local reply = { 'OK' }
if #plans == 0 then
  return reply
end
local taken = 0
local ours = { '@' .. lane, nonce }
for _, plan in ipairs(plans) do
  local b, token = plan.b, plan.fence .. '.' .. nonce
  local lease = whole(plan.lease)
  local changed = { 'flight', whole(plan.flight), 'leases', lease }
  if plan.from >= 0 then
    call('SETRANGE', b .. ':s', plan.from * 8, rep(struct.pack('<BBBBI4', 1, 0, 0, 0, plan.lease), plan.count))
    changed[5], changed[6] = 'next', whole(plan.from + plan.count)
  else
    for i = 1, plan.count do
      local index = struct.unpack('<I4', plan.indexes, i * 4 - 3)
      local counters = sub(plan.cells, i * 8 - 6, i * 8 - 4)
      call('SETRANGE', b .. ':s', index * 8, '\1' .. counters .. struct.pack('<I4', plan.lease))
    end
    call('LTRIM', b .. ':r', plan.count, -1)
  end
  call('HSET', b, unpack(changed))
  -- where its branches are, so that a sweep need not walk the table: -1 for scattered ones
  call('HSET', b .. ':l', lease,
    token .. ' ' .. session .. ' ' .. whole(now) .. ' ' .. whole(plan.from) .. ' ' .. whole(plan.count))
  if plan.isEmptied then
    call('ZREM', q, plan.gid)
  end
  ours[#ours + 1] = plan.gid .. '#' .. lease
  ours[#ours + 1] = whole(plan.count)
  taken = taken + plan.count
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] = plan.gid, plan.spec, token, plan.from, plan.count
  reply[at + 6], reply[at + 7], reply[at + 8], reply[at + 9] = plan.indexes, plan.cells, plan.ends, plan.bytes
end
call('HSET', owned, unpack(ours))
call('HSET', T .. ':m', 'fence', whole(fence))
call('SET', q .. ':n', whole(depth - taken))
if isMore and rung == 0 then
  call('RPUSH', q .. ':bell', '1')
end
return reply
