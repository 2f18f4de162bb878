-- Collections of documents: changed as a whole, if they are as the caller has seen them.
-- Gives: writeDocuments
-- Needs: none

-- Names have a `=` before them, so that none is that of the field which counts changes.
local function write(call, key, nonce, expected, count, ARGV)
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

-- The last change, repeated, answers the same.
function writeDocuments(KEYS, ARGV)
  local T = string.sub(KEYS[1], 1, -3)
  return write(redis.call, T .. ':doc:' .. ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV)
end
