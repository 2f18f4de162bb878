-- The body of acquire: branches in order over queues and lanes, ranges wherever there are such, one token for each call and group. Hides how
-- lanes are walked and shared. The part is long because its steps share what one call has looked at and granted so far, which no other part
-- may see.
-- Gives: acquire
-- Needs:
--   base: isAnyBroken many notify now nowMicros quarantine readShard shardNumber shardValue whole
--   waits: runWaits
--   commit: commit
--   granting: addGrant grantOf grantTo
--   grants: holdings nonceOf recordOf
--   group: forget groupOrder inputRange isOneTask load touch
--   ready-queue: isGrantable laneOf readyIn
--   retries: retries
--   run: loadRun
--   sessions: isQuick takesOnlyTasks
--   sharing: shareOf
--   waking: isAnyNotified isAnyToNotify isHeldForOther notifyNext
--   wide-lanes: wideLanes
-- A function of its own: Lua has room for 200 names in one, and the parts before have taken nearly all.
(function()
-- A worker that lacks at most so many lanes gets only these; otherwise it gets all lanes.
local MOST_NEW_LANES = 512
-- Waits and parked branches that are due: the rest is left to the next call, or to a sweep.
local MOST_WOKEN_BESIDE = 64
-- Scores of one priority, among which deeper groups come first, down to a depth (part-opening).
local PRIORITY_SCORES, DEEPEST_SORTED = 64 * 549755813888, 63
-- A branch of a quick task may wait under such a timeout: a process that stands still for so long has more to answer for.
local AMPLE_TIMEOUT_MS = 5000
-- What one call asks for, and how far it has come.
local ask

-- Lists of names are texts with commas around each.
local function decode(ARGV)
  local most = tonumber(ARGV[3])
  ask = {
    session = ARGV[1], nonce = ARGV[2], most = most, deeper = tonumber(ARGV[5]), graceMs = tonumber(ARGV[6]),
    isForTasks = takesOnlyTasks(ARGV[9]), startable = tonumber(ARGV[10]), shareMs = tonumber(ARGV[11]), quick = ARGV[12], base = false,
    -- what may still be granted, and what was
    left = most, bytesLeft = tonumber(ARGV[4]), taken = 0, promoted = 0, grants = {},
    -- something was left because of the bytes of this call; there may be more; others wait for what is left, or come
    isCut = false, isMore = false, isLeftToOthers = false,
    -- where it stands in each lane; what it may still take of a lane, at 0 the rest is left to others; lanes that are
    cursors = {}, shares = {}, closed = {},
    -- entries of lanes that are to go; groups that stand in a lane since this call; how many were found out of place
    strays = {}, came = {}, cleared = 0,
  }
end

local function readCounters(ARGV)
  local names = { 'ahead', 'seen', 'epoch', 'fix', 'dues', 'fence', 'ready', 'lanes', 'act', 'wakes', 'wide', 'idle', 'ev' }
  for i = 14, #ARGV, 2 do
    names[#names + 1] = 'p:' .. ARGV[i]
    if #ARGV[i + 1] < 40 then
      -- few lanes: their counters are asked for with the rest, in case that something is granted
      for lane in gmatch(ARGV[i + 1], '%x+') do
        local at = #names
        names[at + 1], names[at + 2], names[at + 3] = 'n:' .. lane, 'f:' .. lane, 'c:' .. lane
      end
    end
  end
  readShard(names)
end

-- Begins in all lanes of queues that are not paused in which groups stand, or come to stand in this call.
local function openCursors(ARGV)
  local active = shardValue('act') or ','
  for _, g in ipairs(groupOrder) do
    if g.isTouched and not find(active, ',' .. g.lane .. ',', 1, true) then
      active = active .. g.lane .. ','
    end
  end
  for i = 14, #ARGV, 2 do
    if shardValue('p:' .. ARGV[i]) ~= '1' then
      for lane in gmatch(active, '%x+') do
        if find(ARGV[i + 1], lane, 1, true) then
          ask.cursors[#ask.cursors + 1] = { lane = lane, at = 0, entries = {}, position = 1 }
        end
      end
    end
  end
  -- promoted branches may have made a group stand in a lane, which the lane itself says only after this call
  for _, g in ipairs(groupOrder) do
    if g.isTouched and not g.wasQueued and isGrantable(g) then
      ask.came[#ask.came + 1] = g
    end
  end
end

-- The next group of a lane, with its score.
local function peek(cursor)
  if ask.closed[cursor.lane] then
    return nil
  end
  if cursor.position > #cursor.entries then
    if cursor.isDone then
      return nil
    end
    local key = T .. ':q:' .. cursor.lane
    cursor.entries = cursor.from and call('ZRANGEBYSCORE', key, whole(cursor.from), '+inf', 'WITHSCORES', 'LIMIT', cursor.at, 8)
      or call('ZRANGE', key, cursor.at, cursor.at + 7, 'WITHSCORES')
    cursor.at, cursor.position, cursor.isDone = cursor.at + 8, 1, #cursor.entries < 16
  end
  return cursor.entries[cursor.position], tonumber(cursor.entries[cursor.position + 1])
end

-- A group is not deep enough: nor is any behind it in its lane that has its priority. Goes on with the next priority.
local function passPriority(g)
  if ask.deeper >= DEEPEST_SORTED then
    return
  end
  local from = (floor(tonumber(g.score) / PRIORITY_SCORES) + 1) * PRIORITY_SCORES
  for _, cursor in ipairs(ask.cursors) do
    if cursor.lane == g.lane then
      local last = tonumber(cursor.entries[#cursor.entries])
      while cursor.position < #cursor.entries and tonumber(cursor.entries[cursor.position + 1]) < from do
        cursor.position = cursor.position + 2
      end
      if not cursor.isDone and last and last < from then
        cursor.from, cursor.at = from, 0
      end
    end
  end
end

-- The lane whose next group comes first, with its score.
local function firstCursor()
  local best, bestScore
  for _, cursor in ipairs(ask.cursors) do
    local gid, score = peek(cursor)
    if gid and (not bestScore or score < bestScore) then
      best, bestScore = cursor, score
    end
  end
  return best, bestScore
end

-- The group that comes first, and its lane.
local function nextGroup()
  local best, bestScore = firstCursor()
  local bestCame
  for i, g in ipairs(ask.came) do
    local score = tonumber(g.score)
    for _, cursor in ipairs(ask.cursors) do
      if cursor.lane == g.lane and not ask.closed[g.lane] and (not bestScore or score < bestScore) then
        bestCame, bestScore = i, score
      end
    end
  end
  if bestCame then
    local g = table.remove(ask.came, bestCame)
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
  ask.cleared = ask.cleared + 1
  if not g or g.lane ~= lane then
    ask.strays[#ask.strays + 1] = { lane, gid }
    return nil
  end
  if not isGrantable(g) then
    touch(g)
    if not g.isQueued then
      ask.strays[#ask.strays + 1] = { lane, gid }
    end
    return nil
  end
  local run = loadRun(g.run)
  if not run or run.isPaused or run.isEnded or (g.isRoot and run.isAbandoned) then
    touch(g)
    g.isBarred = true
    if not g.isQueued then
      ask.strays[#ask.strays + 1] = { lane, gid }
    end
    return nil
  end
  ask.cleared = ask.cleared - 1
  if ask.deeper > 0 and g.depth <= ask.deeper then
    passPriority(g)
    return nil
  end
  if ask.isForTasks and not isOneTask(g) then
    return nil
  end
  return not isHeldForOther(g, ask.base) and g or nil
end

-- Asked once a lane and call, and only where there is something to share.
local function shareIn(g, lane)
  if ask.left < 2 and ask.taken == 0 or shardNumber('ready') + ask.promoted < 2 or isQuick(ask.quick, lane) then
    return ask.most
  end
  return shareOf(g, ask.session, ask.left, ask.taken, readyIn(lane), ask.shareMs)
end

-- Whether its branches are granted only to be started at once.
local function isToStart(g)
  if g.isRoot or g.losses == 0 then
    return true
  end
  return g.timeout > 0 and (g.timeout < AMPLE_TIMEOUT_MS or not isQuick(ask.quick, g.lane))
end

-- How many more of the branches of this call can be started at once.
local function startableIn()
  return ask.startable - ask.taken
end

-- What is left of the lane could not be started at once: it is for others, or for the next call.
local function holdBack(lane)
  ask.isMore, ask.closed[lane] = true, true
end

-- Whether the next branch fits: the first group of a call gets one branch, however large; a further one only what still fits.
local function isFirstTooLarge(g)
  if #ask.grants == 0 then
    return false
  end
  if g.isShared then
    return g.bytes > ask.bytesLeft
  end
  local first = g.next
  if g.requeuedCount > 0 then
    first = tonumber(call('LINDEX', g.b .. ':r', 0)) or first
  end
  local start, last = inputRange(g, min(first, g.size - 1))
  return last - start > ask.bytesLeft
end

-- These branches were granted. True when no other group is to be looked at.
local function count(grant, g, lane)
  ask.grants[#ask.grants + 1] = grant
  ask.taken, ask.left, ask.bytesLeft = ask.taken + grant.count, ask.left - grant.count, ask.bytesLeft - grant.size
  ask.shares[lane] = ask.shares[lane] - grant.count
  local isRest = isGrantable(g)
  if isRest and ask.left > 0 and ask.bytesLeft > 0 and isToStart(g) and startableIn() <= 0 then
    holdBack(lane)
    return false
  end
  if ask.left > 0 and ask.bytesLeft > 0 and ask.shares[lane] == 0 and isRest then
    ask.isLeftToOthers, ask.closed[lane] = true, true
    return false
  end
  ask.isCut, ask.isMore = ask.isCut or isRest or ask.bytesLeft <= 0, ask.isMore or isRest
  return isRest
end

-- Serves one group; true when no other is to be looked at.
local function serve(gid, lane)
  local g = consider(gid, lane)
  if not g then
    return false
  end
  if ask.left <= 0 or ask.isCut then
    ask.isMore = true
    return true
  end
  ask.shares[lane] = ask.shares[lane] or shareIn(g, lane)
  if ask.shares[lane] == 0 then
    ask.isLeftToOthers, ask.closed[lane] = true, true
    return false
  end
  if isToStart(g) and startableIn() <= 0 then
    holdBack(lane)
    return false
  end
  if isFirstTooLarge(g) then
    ask.isCut, ask.isMore = true, true
    return true
  end
  local most = min(ask.left, ask.shares[lane], isToStart(g) and startableIn() or ask.left)
  local grant, isHeldBack = grantTo(g, ask.session, ask.nonce, most, ask.bytesLeft, ask.graceMs, startableIn())
  if isHeldBack then
    ask.isMore = true
    return true
  end
  return grant ~= nil and count(grant, g, lane)
end

-- The group could not be read: nothing of it was granted.
local function passUnreadable(gid, lane, why)
  ask.cleared = ask.cleared + 1
  quarantine(gid, why)
  forget(gid)
  ask.strays[#ask.strays + 1] = { lane, gid }
  holdings.forgetGroup(ask.session, gid)
end

-- Looks at groups in order until nothing more may be granted.
local function serveLanes()
  local looks = (ask.deeper > 0 or ask.isForTasks) and 512 or 64
  for look = 1, looks do
    local gid, lane = nextGroup()
    if not gid then
      return
    end
    local isFine, isLast = pcall(serve, gid, lane)
    if not isFine then
      passUnreadable(gid, lane, isLast)
    elseif isLast then
      return
    end
    if look == looks and ask.cleared > 0 then
      -- what is behind was not looked at, and these are out of the way next time
      ask.isMore = true
      if #ask.grants == 0 then
        notify(ask.session, 'work')
      end
    end
  end
end

-- A grant of an earlier call with this nonce, as far as it is still held; nil for that of another call.
local function grantAgain(gid, grantNumber)
  local g = load(gid, grantNumber)
  local token = g and recordOf(g, grantNumber)
  return token and nonceOf(token) == ask.nonce and grantOf(g, grantNumber) or nil
end

-- The grants of an earlier call with this nonce. What cannot be read is held by no session.
local function repeatGrants()
  local fields = call('HGETALL', T .. ':o:' .. ask.session)
  for i = 1, #fields, 2 do
    local gid, grantNumber = match(fields[i], '^(.*)#(%d+)$')
    local isFine, grant = pcall(grantAgain, gid or '', grantNumber)
    if isFine then
      ask.grants[#ask.grants + 1] = grant
    end
  end
  table.sort(ask.grants, function(a, b) return tonumber(a.fence) < tonumber(b.fence) end)
end

-- In how many milliseconds to ask again, or -1. What is left to others is looked at when they should have come.
local function nextDueIn(nextDelayed)
  local nextDue = nextDelayed and max(0, floor(nextDelayed - now())) or -1
  if ask.isLeftToOthers then
    return nextDue < 0 and ask.shareMs or min(nextDue, ask.shareMs)
  end
  return nextDue
end

local function commitGranted()
  if ask.taken > 0 or ask.promoted > 0 or #ask.strays > 0 or isAnyBroken() or #groupOrder > 0 or isAnyNotified() then
    commit()
    for _, stray in ipairs(ask.strays) do
      call('ZREM', T .. ':q:' .. stray[1], stray[2])
    end
  end
end

-- Writes which call this was, and what the session waits for from now on, if it does. `before`: what it waited for; `nonces` of calls before.
local function commitWait(ARGV, waits, before, nonces)
  local fields = {}
  if ask.taken > 0 then
    fields[1], fields[2] = 'nonces', ' ' .. ask.nonce .. (nonces == '' and ' ' or sub(nonces, 1, 400))
  end
  if waits then
    fields[#fields + 1], fields[#fields + 2] = 'wait',
      concat({ ask.left, '\t', ask.deeper, '\t', ARGV[8], '\t', ARGV[9], '\t', ask.quick, '\t', ARGV[13] })
  end
  many('HSET', T .. ':wi:' .. ask.session, fields)
  if waits then
    call('ZADD', T .. ':wait', nowMicros(), ask.session)
  elseif before then
    call('HDEL', T .. ':wi:' .. ask.session, 'wait')
    call('ZREM', T .. ':wait', ask.session)
  end
end

local function answer(nextDue)
  local reply = { 'OK', ask.isMore and 1 or 0, nextDue }
  for _, grant in ipairs(ask.grants) do
    addGrant(reply, grant)
  end
  -- their bytes are not kept until the next call
  ask = nil
  return reply
end

-- What a lane asks, as a worker learns it: with what must be known of its tasks, where that is not all.
local function toldOf(lane, demand)
  local asks = wideLanes.asksOf(lane)
  return asks == 'all' and demand or demand .. '|' .. asks
end

-- What a worker that knows the lanes up to `known` is to learn: number of the last, how many there are, whether these are all; name and demand of
-- each.
local function lanesSince(known)
  local last = tonumber(shardValue('lanes')) or 0
  local answer = { 'LANES', whole(last), shardNumber('kinds'), 0 }
  if known > 0 and known < last and last - known <= MOST_NEW_LANES then
    local numbers = {}
    for number = known + 1, last do
      numbers[#numbers + 1] = '#' .. whole(number)
    end
    for _, lane in ipairs(call('HMGET', T .. ':l', unpack(numbers))) do
      if lane then
        answer[#answer + 1], answer[#answer + 2] = lane, toldOf(lane, laneOf(lane).demand)
      end
    end
    return answer
  end
  answer[4] = 1
  local fields = call('HGETALL', T .. ':l')
  for i = 1, #fields, 2 do
    if sub(fields[i], 1, 1) ~= '#' then
      answer[#answer + 1], answer[#answer + 2] = fields[i], toldOf(fields[i], match(fields[i + 1], '^%d+\t(.*)$') or '||')
    end
  end
  return answer
end

-- Whether something that was woken stands in a lane that no worker knows yet: who asks again learns of it.
local function isAnyLaneNew()
  for _, g in ipairs(groupOrder) do
    if g.isTouched and isGrantable(g) and not shardValue('n:' .. g.lane) then
      return true
    end
  end
  return false
end

function acquire(ARGV)
  decode(ARGV)
  readCounters(ARGV)
  local me = call('HMGET', T .. ':wi:' .. ask.session, 'base', 'wait', 'nonces')
  if not me[1] then
    return { 'NOSESSION' }
  end
  local known = tonumber(ARGV[7])
  if shardNumber('lanes') ~= known then
    return lanesSince(known)
  end
  ask.base = me[1]
  local before, nonces, nextDelayed = me[2], me[3] or '', nil
  local isRepeat = find(nonces, ' ' .. ask.nonce .. ' ', 1, true) ~= nil
  if isRepeat then
    ask.left = 0
  else
    ask.promoted, nextDelayed = retries.promoteDue(64)
    local woken, nextWake = runWaits.wakeDue(MOST_WOKEN_BESIDE)
    ask.promoted = ask.promoted + woken
    ask.isMore = woken > 0 and isAnyLaneNew()
    nextDelayed = nextWake and min(nextDelayed or HUGE, nextWake) or nextDelayed
  end
  openCursors(ARGV)
  serveLanes()
  if isRepeat then
    repeatGrants()
  end
  local nextDue = nextDueIn(nextDelayed)
  local waits = not isRepeat and not ask.isMore and ask.left > 0
  local wasWaiting = before and sub(before, 1, 1) ~= '!'
  if not isRepeat and (ask.isMore or ask.isLeftToOthers or not wasWaiting) and shardNumber('ready') - ask.taken > 0 or isAnyToNotify() then
    notifyNext(ask.session)
  end
  commitGranted()
  commitWait(ARGV, waits, not isRepeat and before, nonces)
  return answer(nextDue)
end
end)()
