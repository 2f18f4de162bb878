-- Flags: no-writes
-- Needs:
--   base: now
--   channels: channelsOf readEntry
-- Reads one channel of a run, or the names of all.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:ch T:r:<run>:cx T:r:<run>:cl:<key>
-- ARGV: run, get key | run, keys
-- Answers: NONE | VALUE bytes | NUMBER text | LIST items | KEYS keys… | GONE
local run, what, key = ARGV[1], ARGV[2], ARGV[3]
local c = channelsOf(run)
if call('HLEN', T .. ':r:' .. run) == 0 then
  return { 'GONE' }
end
if what == 'keys' then
  local expiries = call('HGETALL', c.cx)
  local isOver = {}
  for i = 1, #expiries, 2 do
    isOver[expiries[i]] = tonumber(expiries[i + 1]) <= now()
  end
  local answer = { 'KEYS' }
  for _, name in ipairs(call('HKEYS', c.ch)) do
    if not isOver[name] then
      answer[#answer + 1] = name
    end
  end
  return answer
end
local kind, bytes = readEntry(c, key)
if kind == 'v' then
  return { 'VALUE', bytes }
elseif kind == 'n' then
  return { 'NUMBER', bytes }
elseif kind == 'l' then
  return { 'LIST', call('LRANGE', c.items .. key, 0, -1) }
end
return { 'NONE' }
