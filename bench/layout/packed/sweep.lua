-- Takes back all that a session holds, as a sweep does when the session is gone.
-- ARGV: session, queue. Answers: how many branches.
local session, queue = ARGV[1], ARGV[2]
local owned, q = T .. ':o:' .. session, T .. ':q:' .. queue
local fields = call('HGETALL', owned)
local depth = tonumber(call('GET', q .. ':n') or 0)
local plans, taken = {}, 0
for i = 1, #fields, 2 do
  local gid, lease = string.match(fields[i], '^(.*)#(%d+)$')
  if gid then
    local b = T .. ':b:' .. gid
    local group = call('HMGET', b, 'flight', 'score', 'leases')
    local record = call('HGET', b .. ':l', lease)
    local from, count = string.match(record, ' (%-?%d+) (%d+)$')
    from, count = tonumber(from), tonumber(count)
    if from < 0 then
      from, count = 0, call('STRLEN', b .. ':s') / 8
    end
    call('LLEN', b .. ':r')
    local cells = call('GETRANGE', b .. ':s', from * 8, (from + count) * 8 - 1)
    local indexes = {}
    for k = 0, count - 1 do
      if byte(cells, k * 8 + 1) == 1 and struct.unpack('<I4', cells, k * 8 + 5) == tonumber(lease) then
        indexes[#indexes + 1] = { index = from + k, cell = sub(cells, k * 8 + 1, k * 8 + 8) }
      end
    end
    plans[#plans + 1] = { gid = gid, b = b, flight = group[1] - #indexes, score = group[2], indexes = indexes }
  end
end
call('ZCARD', q)
call('ZCARD', T .. ':w')
-- writes
for _, plan in ipairs(plans) do
  for _, found in ipairs(plan.indexes) do
    local losses = byte(found.cell, 3) + 1
    call('SETRANGE', plan.b .. ':s', found.index * 8, '\0' .. sub(found.cell, 2, 2) .. string.char(losses) .. '\0\0\0\0\0')
    call('RPUSH', plan.b .. ':r', found.index)
    taken = taken + 1
  end
  call('HSET', plan.b, 'flight', whole(plan.flight))
  call('ZADD', q, plan.score, plan.gid)
end
call('DEL', owned)
call('ZREM', T .. ':w', session)
call('SET', q .. ':n', whole(depth + taken))
return taken
