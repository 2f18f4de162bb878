-- Takes back all branches whose lease is over; for the check, all that are leased.
-- ARGV: session, queue. Answers: how many branches.
local leases, q = T .. ':leases', T .. ':q:' .. ARGV[2]
local entries = call('ZRANGE', leases, 0, -1)
call('LLEN', q)
local flights = {}
for _, entry in ipairs(entries) do
  local gid = string.match(entry, '^(.*) %d+$')
  flights[gid] = flights[gid] or tonumber(call('HGET', T .. ':b:' .. gid, 'flight'))
  call('HLEN', T .. ':b:' .. gid .. ':t')
end
-- writes
for _, entry in ipairs(entries) do
  local gid, index = string.match(entry, '^(.*) (%d+)$')
  flights[gid] = flights[gid] - 1
  call('HSET', T .. ':b:' .. gid .. ':t', index, 'R 0 1')
  call('LPUSH', q, entry)
end
for gid, flight in pairs(flights) do
  call('HSET', T .. ':b:' .. gid, 'flight', whole(flight))
end
call('DEL', leases)
call('ZREM', T .. ':w', ARGV[1])
return #entries
