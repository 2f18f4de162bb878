-- Flags: allow-oom
-- Uses: base groups barrier waking commit grants sharing
-- Grants up to `max` branches to a session, one token a group. A session that got less waits from then on.
-- KEYS: T:m
-- Derives: T:wi:<session> T:o:<session> T:l T:q:<lane> T:b:<gid> T:b:<gid>:d T:b:<gid>:i<k> T:b:<gid>:r T:r:<run> T:d T:due T:wait T:wb
-- ARGV: session, nonce, max, bytes, deeper than, grace of a deadline, lanes known, queues (,a,b, or *), capabilities (,a,b, or *),
--   how many can be started at once, how long others that were notified are waited for, tasks that are not shared (,a,b,),
--   whether grants may be sent unasked while it waits (0 or 1), then for each queue: its name, numbers of its lanes with commas between
-- Answers: OK isMore next-due (then the grants, 12 parts each) | NOSESSION | LANES fields (of T:l, a list)
local session, nonce, most, bytesLeft, deeper, graceMs = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local names = { 'ahead', 'fence', 'ready', 'lanes' }
for i = 14, #ARGV, 2 do
  names[#names + 1] = 'p:' .. ARGV[i]
  if #ARGV[i + 1] < 8 then
    -- few lanes: their counters are asked for with the rest, in case that something is granted
    for lane in gmatch(ARGV[i + 1], '%d+') do
      names[#names + 1], names[#names + 2] = 'n:' .. lane, 'f:' .. lane
    end
  end
end
readShard(names)
local me = call('HMGET', T .. ':wi:' .. session, 'base', 'wait', 'nonces')
if not me[1] then
  return { 'NOSESSION' }
end
if shardNumber('lanes') ~= tonumber(ARGV[7]) then
  return { 'LANES', call('HGETALL', T .. ':l') }
end
local base, wasWaiting = me[1], me[2] and sub(me[2], 1, 1) ~= '!'
local nonces = me[3] or ''
local isRepeat = find(nonces, ' ' .. nonce .. ' ', 1, true) ~= nil
local promoted, nextDelayed = 0, nil
if not isRepeat then
  promoted, nextDelayed = promote(64)
end

local cursors = {}
local startable, shareMs, quick = tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12]
for i = 14, #ARGV, 2 do
  if shardValue('p:' .. ARGV[i]) ~= '1' then
    for lane in gmatch(ARGV[i + 1], '%d+') do
      cursors[#cursors + 1] = { lane = lane, at = 0, entries = {}, position = 1 }
    end
  end
end

-- What this call may still take of a lane; at 0 the rest is left to others.
local shares, closed, isLeftToOthers = {}, {}, false

-- The next group of a lane, with its score.
local function peek(cursor)
  if closed[cursor.lane] then
    return nil
  end
  if cursor.position > #cursor.entries then
    if cursor.isDone then
      return nil
    end
    cursor.entries = call('ZRANGE', T .. ':q:' .. cursor.lane, cursor.at, cursor.at + 7, 'WITHSCORES')
    cursor.at, cursor.position, cursor.isDone = cursor.at + 8, 1, #cursor.entries < 16
  end
  return cursor.entries[cursor.position], tonumber(cursor.entries[cursor.position + 1])
end

local strays, came, cleared = {}, {}, 0
-- Promoted branches may have made a group stand in a lane, which the lane itself says only after this call.
for _, g in ipairs(groupOrder) do
  if g.isTouched and not g.wasQueued and isGrantable(g) then
    came[#came + 1] = g
  end
end

local function nextGroup()
  local best, bestScore
  for _, cursor in ipairs(cursors) do
    local gid, score = peek(cursor)
    if gid and (not bestScore or score < bestScore) then
      best, bestScore = cursor, score
    end
  end
  local bestCame
  for i, g in ipairs(came) do
    local score = tonumber(g.score)
    for _, cursor in ipairs(cursors) do
      if cursor.lane == g.lane and not closed[g.lane] and (not bestScore or score < bestScore) then
        bestCame, bestScore = i, score
      end
    end
  end
  if bestCame then
    local g = table.remove(came, bestCame)
    return g.gid, g.lane
  end
  if not best then
    return nil
  end
  local gid = best.entries[best.position]
  best.position = best.position + 2
  return gid, best.lane
end

-- Whether something of the group could be granted to this session; takes it out of its lane where it does not belong there.
local function consider(gid, lane)
  local g = load(gid, nil, true)
  cleared = cleared + 1
  if not g or g.lane ~= lane then
    strays[#strays + 1] = { lane, gid }
    return nil
  end
  if not isGrantable(g) then
    touch(g)
    if not g.isQueued then
      strays[#strays + 1] = { lane, gid }
    end
    return nil
  end
  local run = loadRun(g.run)
  if not run or run.isPaused or run.isEnded or (g.isRoot and run.isAbandoned) then
    touch(g)
    g.isParked = true
    if not g.isQueued then
      strays[#strays + 1] = { lane, gid }
    end
    return nil
  end
  cleared = cleared - 1
  if (deeper > 0 and g.depth <= deeper) or isHeldForOther(g, base) then
    return nil
  end
  return g
end

local grants, taken, isMore, isCut, looks = {}, 0, false, false, deeper > 0 and 512 or 64
local left = isRepeat and 0 or most

-- Asked once a lane and call, and only where there is something to share.
local function shareIn(g, lane)
  if left < 2 and taken == 0 or shardNumber('ready') + promoted < 2 or isQuick(quick, lane) then
    return most
  end
  return shareOf(g, session, left, taken, readyIn(lane), shareMs)
end

-- Serves one group; true when no other is to be looked at.
local function serve(gid, lane)
  local g = consider(gid, lane)
  if not g then
    return false
  end
  if left <= 0 or isCut then
    isMore = true
    return true
  end
  shares[lane] = shares[lane] or shareIn(g, lane)
  if shares[lane] == 0 then
    isLeftToOthers, closed[lane] = true, true
    return false
  end
  if #grants > 0 and not g.isShared then
    -- the first group of a call gets one branch, however large; a further one only what still fits
    local first = g.next
    if g.requeuedCount > 0 then
      first = tonumber(call('LINDEX', g.b .. ':r', 0)) or first
    end
    local start, last = inputRange(g, min(first, g.size - 1))
    if last - start > bytesLeft then
      isCut, isMore = true, true
      return true
    end
  end
  local asked = min(left, shares[lane])
  local grant, isHeldBack = grantTo(g, session, nonce, asked, bytesLeft, graceMs, startable - (most - left))
  if isHeldBack then
    isMore = true
    return true
  end
  if not grant then
    return false
  end
  grants[#grants + 1] = grant
  taken, left, bytesLeft = taken + grant.count, left - grant.count, bytesLeft - grant.size
  shares[lane] = shares[lane] - grant.count
  if left > 0 and bytesLeft > 0 and shares[lane] == 0 and isGrantable(g) then
    isLeftToOthers, closed[lane] = true, true
    return false
  end
  if isGrantable(g) then
    isCut = true
  end
  if bytesLeft <= 0 then
    isCut = true
  end
  if isGrantable(g) then
    isMore = true
    return true
  end
  return false
end

for look = 1, looks do
  local gid, lane = nextGroup()
  if not gid then
    break
  end
  local isFine, isLast = pcall(serve, gid, lane)
  if not isFine then
    cleared = cleared + 1
    quarantine(gid, isLast)
    forget(gid)
    strays[#strays + 1] = { lane, gid }
    owned[session] = owned[session] or {}
    for field in pairs(owned[session]) do
      if sub(field, 1, #gid + 1) == gid .. '#' then
        owned[session][field] = nil
      end
    end
  elseif isLast then
    break
  end
  if look == looks and cleared > 0 then
    -- what is behind was not looked at, and these are out of the way next time
    isMore = true
    if #grants == 0 then
      notify(session, 'work')
    end
  end
end

if isRepeat then
  local fields = call('HGETALL', T .. ':o:' .. session)
  for i = 1, #fields, 2 do
    local gid, grantNumber = match(fields[i], '^(.*)#(%d+)$')
    local g = gid and load(gid, grantNumber)
    local token = g and recordOf(g, grantNumber)
    if token and match(token, '^%d+%.(.*)%-%d+$') == nonce then
      grants[#grants + 1] = heldOf(g, grantNumber)
    end
  end
  table.sort(grants, function(a, b) return tonumber(a.fence) < tonumber(b.fence) end)
end

local nextDue = nextDelayed and max(0, floor(nextDelayed - now())) or -1
if isLeftToOthers then
  -- others were notified for what is left; it is looked after when they should have come
  nextDue = nextDue < 0 and shareMs or min(nextDue, shareMs)
end

local waits = not isRepeat and not isMore and left > 0
if not isRepeat and (isMore or isLeftToOthers or not wasWaiting) and shardNumber('ready') - taken > 0 or #notifications > 0 then
  for _, waiter in ipairs(waitingSessions()) do
    if waiter.session == session then
      waiter.isNotified = true
    end
  end
  notifyAll(true)
end
if taken > 0 or promoted > 0 or #strays > 0 or #brokenOrder > 0 or #groupOrder > 0 or #notified > 0 then
  commit()
  for _, stray in ipairs(strays) do
    call('ZREM', T .. ':q:' .. stray[1], stray[2])
  end
end
local fields = {}
if taken > 0 then
  fields[1], fields[2] = 'nonces', ' ' .. nonce .. (nonces == '' and ' ' or sub(nonces, 1, 400))
end
if waits then
  fields[#fields + 1], fields[#fields + 2] = 'wait', concat({ left, '\t', deeper, '\t', ARGV[8], '\t', ARGV[9], '\t', quick, '\t', ARGV[13] })
end
many('HSET', T .. ':wi:' .. session, fields)
if waits then
  call('ZADD', T .. ':wait', now() * 1000 + wallMicros % 1000, session)
elseif me[2] and not isRepeat then
  call('HDEL', T .. ':wi:' .. session, 'wait')
  call('ZREM', T .. ':wait', session)
end
local reply = { 'OK', isMore and 1 or 0, nextDue }
for _, grant in ipairs(grants) do
  addGrant(reply, grant)
end
return reply
