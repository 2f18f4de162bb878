-- Flags: no-writes
-- Needs: none
-- The result of a run, or an output in it, a part at a time, for servers that send little at once.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:v
-- ARGV: run, '' (the result) | output, path of the output, bytes read before, most bytes
-- Answers: NONE | OK bytes (of the whole; -1: there is no result yet) part, and with the first part of a result the other fields and values of the
--   run
local call, T = redis.call, string.sub(KEYS[1], 1, -3)
local key = T .. ':r:' .. ARGV[1]
local from, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local answer = { 'OK', -1, '' }
local field = 'value'
if ARGV[2] == 'output' then
  key, field = key .. ':v', ARGV[3]
elseif from == 0 then
  for _, name in ipairs(call('HKEYS', key)) do
    if name ~= field then
      answer[#answer + 1] = name
      answer[#answer + 1] = call('HGET', key, name)
    end
  end
end
local value = call('HGET', key, field)
if value then
  answer[2], answer[3] = #value, string.sub(value, from + 1, from + most)
elseif #answer == 3 then
  return { 'NONE' }
end
return answer
