-- Flags: no-writes
-- Needs:
--   base: shardNumber
--   branch-table: ANYWHERE stored
--   group: load
--   run: loadRun
-- Outcomes of a group in the order in which they were counted, a page at a time.
-- KEYS: T:m
-- Derives: T:r:<run> T:p:<run> T:b:<gid> T:b:<gid>:d T:b:<gid>:o T:bad
-- ARGV: gid, settles read before, most bytes
-- Answers: NONE | BAD why | OK state (o, r, w) size next is-last (1: nothing of a closed group follows)
--   table (of one that had branches left, then; else '')
--   when it was closed (in milliseconds by the clock of this server; 0: it is open)
--   (of a group that was opened again) how many settles were before that: of their outcomes only those of succeeded branches count; and those that
--   count no more, as u32 of index and settle up to which; else 0 and ''
--   chunks…
--   (times behind the values; of one with fewer bytes than its ends say the values are in T:b:<gid>:o<number>; they count as its bytes)
local MOST_CHUNKS = 1024

-- Bytes of a chunk, with values that stand apart.
local function bytesIn(chunk)
  local count, first = unpackBytes('<I4I4', chunk)
  local head = 8 + (first == ANYWHERE and 4 or 0) * count + count * 5
  return max(#chunk, head + (unpackBytes('<I4', chunk, head - 3)))
end

local isFine, g = pcall(load, ARGV[1])
local why = tryCall('HGET', T .. ':bad', ARGV[1])
if not isFine then
  return { 'BAD', type(g) == 'table' and (g.err or 'unreadable') or tostring(g) }
end
if type(why) == 'string' then
  return { 'BAD', why }
end
-- without its run, or the group of its run, nothing will ever release it
if not g or (g.state == 'o' and not (loadRun(g.run) and call('EXISTS', T .. ':b:' .. g.run, T .. ':p:' .. g.run) > 0)) then
  return { 'NONE' }
end
local next, left = tonumber(ARGV[2]), tonumber(ARGV[3])
local answer = { 'OK', g.state, g.size, next, 0, '', g.state == 'o' and 0 or g.closed - shardNumber('ahead'), 0, '' }
if g.isReopened then
  local facts = call('HMGET', g.b, 'redone', 'undone')
  answer[8], answer[9] = facts[1] or 0, facts[2] or ''
end
local last = min(g.settles, next + MOST_CHUNKS)
local only = next == 0 and g.settles == 1 and g.state ~= 'o' and call('HGET', g.b, 'o')
if only then
  answer[#answer + 1] = only
  next = 1
end
local most, isFull = 1, false
while next < last and not isFull do
  local to = min(last, next + most)
  local names = {}
  for i = next + 1, to do
    names[#names + 1] = i
  end
  for _, chunk in ipairs(call('HMGET', g.b .. ':o', unpack(names))) do
    if not chunk then
      return { 'BAD', 'outcomes that were counted are not there' }
    end
    local isFine, size = pcall(bytesIn, chunk)
    if not isFine then
      size = #chunk -- its reader finds out
    end
    if #answer > 9 and size > left then
      isFull = true
      break
    end
    answer[#answer + 1] = chunk
    next, left = next + 1, left - size
    isFull = left <= 0
    -- as many as are likely to fit
    most = max(1, min(64, floor(left / size)))
  end
end
answer[4] = next
if next == g.settles and g.state ~= 'o' then
  answer[5] = 1
  if g.left > 0 then
    -- nothing but a byte where nothing was stored: what is behind the end was never granted
    answer[6] = stored(g, 0, g.size * 8 - 1) .. '\0'
  end
end
return answer
