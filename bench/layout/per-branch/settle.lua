-- Counts outcomes of many grants.
-- ARGV: session, then for each range: gid, token, count, then count times index, and count times outcome (a byte of kind, the value).
-- Answers, one a range: OK | DUP | FENCED | WITHDRAWN | GONE
local leases = T .. ':leases'
local answers, plans, inPlan = {}, {}, {}
local now

local function gather(gid, token, count, at)
  local b = T .. ':b:' .. gid
  local group = inPlan[gid] or call('HMGET', b, 'state', 'left', 'flight', 'inbox')
  if not group[1] then
    return 'GONE'
  end
  local states = call('HMGET', b .. ':t', unpack(ARGV, at, at + count - 1))
  local held, settled, isDone = 'L' .. token, 'S' .. token, false
  for i = 1, count do
    local state = states[i]
    if state == settled then
      isDone = true
    elseif state ~= held then
      return 'FENCED'
    end
  end
  if isDone then
    return 'DUP'
  end
  if group[1] ~= 'open' then
    return 'WITHDRAWN'
  end
  call('HLEN', b .. ':o')
  group[2], group[3] = group[2] - count, group[3] - count
  inPlan[gid] = group
  if group[2] == 0 then
    call('XLEN', group[4])
    now = now or nowMicros()
  end
  plans[#plans + 1] = { gid = gid, b = b, group = group, count = count, at = at, settled = settled }
  return 'OK'
end

call('ZCARD', leases)
local i = 2
while i <= #ARGV do
  local count = tonumber(ARGV[i + 2])
  answers[#answers + 1] = gather(ARGV[i], ARGV[i + 1], count, i + 3)
  i = i + 3 + count * 2
end

-- writes
local counted = {}
for _, plan in ipairs(plans) do
  local b, group, prefix = plan.b, plan.group, plan.gid .. ' '
  local states, outcomes, entries = {}, {}, {}
  for k = 1, plan.count do
    local index = ARGV[plan.at + k - 1]
    states[k * 2 - 1], states[k * 2] = index, plan.settled
    outcomes[k * 2 - 1], outcomes[k * 2] = index, ARGV[plan.at + plan.count + k - 1]
    entries[k] = prefix .. index
  end
  batched('HSET', b .. ':t', states)
  batched('HSET', b .. ':o', outcomes)
  batched('ZREM', leases, entries)
  if not counted[plan.gid] then
    counted[plan.gid] = true
    if group[2] == 0 then
      call('HSET', b, 'left', 0, 'flight', whole(group[3]), 'state', 'released', 'releasedAt', whole(now))
      call('XADD', group[4], 'MAXLEN', '~', '1000', '*', 'released', plan.gid)
    else
      call('HSET', b, 'left', whole(group[2]), 'flight', whole(group[3]))
    end
  end
end
return answers
