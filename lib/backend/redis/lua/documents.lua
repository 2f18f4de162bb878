-- Flags:
-- Needs: none
-- Changes a collection of documents, if it is as the caller has seen it. The last change, repeated, answers the same.
-- KEYS: T:m
-- Derives: T:doc:<collection>
-- ARGV: collection, nonce, revision that it must have or '', how many are put, name and bytes of each of them, names of those that are removed
-- Answers: OK revision | CONFLICT revision
local call, T = redis.call, string.sub(KEYS[1], 1, -3)

-- Names have a `=` before them, so that none is that of the field which counts changes.
local function writeDocuments(collection, nonce, expected, count, ARGV)
  local key = T .. ':doc:' .. collection
  local revision, last = string.match(call('HGET', key, '#') or '', '^(%d+) (.*)$')
  revision = tonumber(revision) or 0
  if last == nonce then
    return { 'OK', revision }
  elseif expected and expected ~= revision then
    return { 'CONFLICT', revision }
  end
  local at = 5
  for _ = 1, count do
    call('HSET', key, '=' .. ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  for i = at, #ARGV do
    call('HDEL', key, '=' .. ARGV[i])
  end
  call('HSET', key, '#', string.format('%d', revision + 1) .. ' ' .. nonce)
  return { 'OK', revision + 1 }
end
return writeDocuments(ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV)
