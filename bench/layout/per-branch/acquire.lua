-- Grants up to `max` branches to a session, one token a group.
-- ARGV: session, lane, nonce, max, most bytes, queue, lease in microseconds.
-- Answers: OK, then for each grant: gid, spec, token, indexes, inputs | NOSESSION | REPEAT
local session, lane, nonce = ARGV[1], ARGV[2], ARGV[3]
local most, bytesLeft, queue, ttl = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local q, owned, leases = T .. ':q:' .. queue, T .. ':o:' .. session, T .. ':leases'

local fence = tonumber(call('HGET', T .. ':m', 'fence') or 0)
if not call('ZSCORE', T .. ':w', session) then
  return { 'NOSESSION' }
end
if call('HGET', owned, '@' .. lane) == nonce then
  return { 'REPEAT' } -- the real script answers the same grants again
end
local now = nowMicros()
local entries = call('LRANGE', q, 0, most - 1)
local rung = call('LLEN', q .. ':bell')
call('ZCARD', leases)
if #entries == 0 then
  return { 'OK' }
end

-- Neighbours are mostly of one group: indexes by group, in order.
local plans, byGid = {}, {}
for _, entry in ipairs(entries) do
  local gid, index = string.match(entry, '^(.*) (%d+)$')
  local plan = byGid[gid]
  if not plan then
    plan = { gid = gid, b = T .. ':b:' .. gid, indexes = {}, entries = {} }
    byGid[gid] = plan
    plans[#plans + 1] = plan
  end
  local at = #plan.indexes + 1
  plan.indexes[at], plan.entries[at] = index, entry
end
local served = 0
for i, plan in ipairs(plans) do
  local group = call('HMGET', plan.b, 'state', 'flight', 'limit', 'spec')
  if group[1] == 'open' then
    local inputs = call('HMGET', plan.b .. ':i', unpack(plan.indexes))
    local states = call('HMGET', plan.b .. ':t', unpack(plan.indexes))
    local indexes, kept, leased = {}, {}, {}
    for k, state in ipairs(states) do
      local isReady = not state or sub(state, 1, 1) == 'R'
      if isReady and (bytesLeft > 0 or served == 0) and inputs[k] then
        local at = #indexes + 1
        indexes[at], kept[at], leased[at] = plan.indexes[k], inputs[k], plan.entries[k]
        bytesLeft = bytesLeft - #inputs[k]
        served = served + 1
      elseif isReady then
        plan.isCut = true
      end
    end
    fence = math.max(fence + 1, now)
    plan.spec, plan.flight, plan.token = group[4], group[2] + #indexes, whole(fence) .. '.' .. nonce
    plan.indexes, plan.inputs, plan.leased = indexes, kept, leased
    if plan.isCut then
      bytesLeft = 0
    end
  else
    plan.indexes = {}
  end
end

-- writes
local reply = { 'OK' }
local isCut = bytesLeft <= 0
if isCut then
  -- what did not fit goes back to the front, in order
  local back = {}
  local isTaken = {}
  for _, plan in ipairs(plans) do
    for _, entry in ipairs(plan.leased or {}) do
      isTaken[entry] = true
    end
  end
  for i = #entries, 1, -1 do
    if not isTaken[entries[i]] then
      back[#back + 1] = entries[i]
    end
  end
  call('LTRIM', q, #entries, -1)
  if #back > 0 then
    batched('LPUSH', q, back)
  end
else
  call('LTRIM', q, #entries, -1)
end
local expiry = whole(now + ttl)
for _, plan in ipairs(plans) do
  if #plan.indexes > 0 then
    local states, scores = {}, {}
    local held = 'L' .. plan.token
    for k, index in ipairs(plan.indexes) do
      states[k * 2 - 1], states[k * 2] = index, held
      scores[k * 2 - 1], scores[k * 2] = expiry, plan.leased[k]
    end
    batched('HSET', plan.b .. ':t', states)
    batched('ZADD', leases, scores)
    call('HSET', plan.b, 'flight', whole(plan.flight))
    local at = #reply
    reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] =
      plan.gid, plan.spec, plan.token, plan.indexes, plan.inputs
  end
end
call('HSET', owned, '@' .. lane, nonce)
call('HSET', T .. ':m', 'fence', whole(fence))
if rung == 0 and (isCut or #entries == most) then
  call('RPUSH', q .. ':bell', '1')
end
return reply
