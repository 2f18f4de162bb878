-- Counts outcomes of many grants.
-- ARGV: session, then for each range: gid, token, outcomes. Outcomes are stored as they come:
--   u32 count, u32 first index (0xffffffff: count indexes of u32 follow), a kind of one byte each, ends of u32 each, bytes.
-- Answers, one a range: OK | DUP | FENCED | WITHDRAWN | GONE
local owned = T .. ':o:' .. ARGV[1]
local answers, plans, inPlan = {}, {}, {}
local now

local function gather(gid, token, outcomes)
  local b = T .. ':b:' .. gid
  local group = call('HMGET', b, 'state', 't:' .. token, 'left', 'flight', 'settles', 'inbox', 'size')
  if not group[1] then
    return 'GONE'
  end
  if not group[2] then
    return 'FENCED'
  end
  local lease = tonumber(string.match(group[2], '^%d+'))
  local count, from = struct.unpack('<I4I4', outcomes)
  local isRange = from ~= 4294967295
  local at = 9
  if not isRange then
    from = struct.unpack('<I4', outcomes, 9)
    at = 9 + count * 4
  end
  if isRange and from + count > tonumber(group[7]) then
    return 'FENCED' -- behind the table lie the ends
  end
  local cells = call('GETRANGE', b .. ':d', from * 8, (from + (isRange and count or 1)) * 8 - 1)
  if #cells < 8 or struct.unpack('<I4', cells, 5) ~= lease then
    return 'FENCED'
  end
  if group[1] ~= 'open' then
    -- settled under this very token: done before; else the group was closed over it
    return byte(cells) >= 3 and 'DUP' or 'WITHDRAWN'
  end
  local kinds = sub(outcomes, at, at + count - 1)
  local held = struct.pack('<BBBBI4', 1, 0, 0, 0, lease)
  local plan = { gid = gid, b = b, token = token, lease = lease, count = count, from = from, outcomes = outcomes }
  if isRange and cells == rep(held, count) then
    if kinds == rep('\3', count) then
      plan.cells = rep(struct.pack('<BBBBI4', 3, 0, 0, 0, lease), count)
    else
      local written = {}
      for i = 1, count do
        written[i] = struct.pack('<BBBBI4', byte(kinds, i), 0, 0, 0, lease)
      end
      plan.cells = table.concat(written)
    end
  else
    -- one by one: scattered, tried before, or settled in part. What is not held under this lease makes the range a repeat:
    -- the real script counts the rest; here a range is all or nothing.
    plan.writes = {}
    for i = 1, count do
      local index = isRange and from + i - 1 or struct.unpack('<I4', outcomes, 5 + i * 4)
      local cell = call('GETRANGE', b .. ':d', index * 8, index * 8 + 7)
      if index >= tonumber(group[7]) or struct.unpack('<I4', cell, 5) ~= lease then
        return 'FENCED'
      end
      if byte(cell) ~= 1 then
        return 'DUP'
      end
      plan.writes[i] = { index * 8, sub(kinds, i, i) .. sub(cell, 2, 8) }
    end
  end
  call('HLEN', b .. ':o')
  plan.owns = tonumber(call('HGET', owned, gid .. '#' .. token) or 0)
  local totals = inPlan[gid]
  if not totals then
    totals = { left = tonumber(group[3]), flight = tonumber(group[4]), settles = tonumber(group[5]), inbox = group[6] }
    inPlan[gid] = totals
  end
  totals.left, totals.flight, totals.settles = totals.left - count, totals.flight - count, totals.settles + 1
  plan.totals, plan.settle = totals, totals.settles
  if totals.left == 0 then
    call('XLEN', totals.inbox)
    now = now or nowMicros()
  end
  plans[#plans + 1] = plan
  return 'OK'
end

for i = 2, #ARGV, 3 do
  answers[#answers + 1] = gather(ARGV[i], ARGV[i + 1], ARGV[i + 2])
end

-- writes
local counted = {}
for _, plan in ipairs(plans) do
  local b, totals = plan.b, plan.totals
  if plan.cells then
    call('SETRANGE', b .. ':d', plan.from * 8, plan.cells)
  else
    for _, write in ipairs(plan.writes) do
      call('SETRANGE', b .. ':d', write[1], write[2])
    end
  end
  call('HSET', b .. ':o', plan.settle, plan.outcomes)
  local field = plan.gid .. '#' .. plan.token
  if plan.owns > plan.count then
    call('HSET', owned, field, whole(plan.owns - plan.count))
  else
    call('HDEL', owned, field)
  end
  if not counted[plan.gid] then
    counted[plan.gid] = true
    if totals.left == 0 then
      call('HSET', b, 'left', 0, 'flight', totals.flight, 'settles', totals.settles, 'state', 'released', 'releasedAt', whole(now))
      call('XADD', totals.inbox, 'MAXLEN', '~', '1000', '*', 'released', plan.gid)
    else
      call('HSET', b, 'left', totals.left, 'flight', totals.flight, 'settles', totals.settles)
    end
  end
end
return answers
