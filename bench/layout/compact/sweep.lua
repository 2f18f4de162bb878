-- Takes back all that a session holds, as a sweep does when the session is gone.
-- ARGV: session, queue. Answers: how many branches.
local session, queue = ARGV[1], ARGV[2]
local owned, q = T .. ':o:' .. session, T .. ':q:' .. queue
local fields = call('HGETALL', owned)
local depth = tonumber(call('HGET', T .. ':m', 'n:' .. queue) or 0)
local plans, taken = {}, 0
for i = 1, #fields, 2 do
  local gid, token = string.match(fields[i], '^(.*)#(.*)$')
  if gid then
    local b = T .. ':b:' .. gid
    local group = call('HMGET', b, 'flight', 'score', 'returned', 'size', 't:' .. token)
    local lease, from, count = string.match(group[5], '^(%d+) (%-?%d+) (%d+)')
    from, count = tonumber(from), tonumber(count)
    if from < 0 then
      from, count = 0, tonumber(group[4])
    end
    call('LLEN', b .. ':r')
    local cells = call('GETRANGE', b .. ':d', from * 8, (from + count) * 8 - 1)
    local indexes = {}
    for k = 0, count - 1 do
      if byte(cells, k * 8 + 1) == 1 and struct.unpack('<I4', cells, k * 8 + 5) == tonumber(lease) then
        indexes[#indexes + 1] = { index = from + k, cell = sub(cells, k * 8 + 1, k * 8 + 8) }
      end
    end
    plans[#plans + 1] = { gid = gid, b = b, flight = group[1] - #indexes, score = group[2],
      returned = group[3] + #indexes, indexes = indexes }
  end
end
call('ZCARD', q)
call('ZCARD', T .. ':w')
-- writes
for _, plan in ipairs(plans) do
  for _, found in ipairs(plan.indexes) do
    local losses = byte(found.cell, 3) + 1
    call('SETRANGE', plan.b .. ':d', found.index * 8, '\0' .. sub(found.cell, 2, 2) .. string.char(losses) .. '\0\0\0\0\0')
    call('RPUSH', plan.b .. ':r', found.index)
    taken = taken + 1
  end
  call('HSET', plan.b, 'flight', whole(plan.flight), 'returned', whole(plan.returned))
  call('ZADD', q, plan.score, plan.gid)
end
call('DEL', owned)
call('ZREM', T .. ':w', session)
call('HSET', T .. ':m', 'n:' .. queue, whole(depth + taken))
return taken
