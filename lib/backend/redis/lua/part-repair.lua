-- Keys that were lost, cut off, or are of another type: what groups, runs and sessions say is the truth, and all else is made anew from it. Most of
-- what can be lost is counted in T:m, so that a sweep notices; then sweeps walk over all keys of the shard. Also forgets lanes.
-- The part is long because each kind of key has its rule, and a walk goes through all of them.
-- Gives: beginRepair keepHints
-- Needs:
--   base: many newEpoch now nowMicros quarantine setShard shardNumber shardValue whole
--   branch-table: DELAYED GRANTED HAS_PARK cellsOf isParked
--   closing: close
--   commit: later
--   grants: recordOf stillHeld
--   group: groupOrder groups isClosedBy loadReadable readyOf touch
--   index: runIndex
--   parking: parking
--   reclaim: reclaim
--   run: loadRun
--   waking: notifyLater
-- A function of its own: Lua has room for 200 names in one, and the parts before have taken nearly all.
(function()
-- Between two repairs; lanes that are compared in one sweep; keys in a page of the walk, pages and open groups in a sweep; sessions.
local GAP_MS, MOST_COMPARED, PAGE, MOST_PAGES, MOST_WALKED, MOST_SESSIONS = 500, 512, 128, 64, 64, 1000
-- So many lanes are kept whether or not they are used; those that were registered last are not forgotten.
local MOST_IDLE, NEWEST_KEPT, SAMPLE = 128, 64, 256
-- Keys of the shard that a repair deletes where they are of another type.
local TYPES = { l = 'hash', d = 'zset', w = 'zset', wb = 'hash', wait = 'zset', bad = 'hash', lost = 'list', runs = 'zset', due = 'zset',
  purge = 'zset', wake = 'zset', todo = 'list', dead = 'stream', quar = 'stream', lead = 'hash', node = 'hash', about = 'hash',
  pins = 'hash', wf = 'hash' }
-- The field of T:m that counts what a key has, and the command that says so.
local COUNTED = { { 'due', 'dues', 'ZCARD' }, { 'purge', 'purges', 'ZCARD' }, { 'wake', 'wakes', 'ZCARD' },
  { 'runs', 'runs', 'ZCARD' }, { 'todo', 'todos', 'LLEN' },
  { 'lost', 'losts', 'LLEN' }, { 'pins', 'pins', 'HLEN' } }

-- Deletes a key of another type than it must have.
local function dropOfOtherType(key, wanted)
  local kind = call('TYPE', key).ok
  if kind ~= wanted and kind ~= 'none' then
    call('UNLINK', key)
    quarantine(key, 'expected a ' .. wanted .. ', got a ' .. kind)
  end
end

local function sizeBy(command, key)
  local size = tryCall(command, key)
  return type(size) == 'number' and size or -1
end

-- Names of lanes, all of them or some.
local function someLanes()
  local fields = call('HLEN', T .. ':l') <= MOST_COMPARED * 2 and call('HKEYS', T .. ':l') or call('HRANDFIELD', T .. ':l', MOST_COMPARED)
  local found = {}
  for _, field in ipairs(fields) do
    if sub(field, 1, 1) ~= '#' then
      found[#found + 1] = field
    end
  end
  return found
end

-- Whether lanes have fewer groups than are counted, or some where none is counted, or their counters are gone.
local function areLanesCut()
  local found, fields, delayed = someLanes(), {}, 0
  if #found == 0 then
    return (shardValue('act') or ',') ~= ','
  end
  for i, lane in ipairs(found) do
    fields[i * 3 - 2], fields[i * 3 - 1], fields[i * 3] = 'n:' .. lane, 'c:' .. lane, 'y:' .. lane
  end
  local counts = call('HMGET', M, unpack(fields))
  for i, lane in ipairs(found) do
    local groupsIn = tonumber(counts[i * 3 - 1]) or 0
    local isActive = find((shardValue('act') or ','), ',' .. lane .. ',', 1, true) ~= nil
    if not counts[i * 3 - 2] or isActive ~= (groupsIn > 0) then
      return true
    end
    local size = sizeBy('ZCARD', T .. ':q:' .. lane)
    if size < groupsIn or (groupsIn == 0 and size > 0) then
      return true
    end
    delayed = delayed + (tonumber(counts[i * 3]) or 0)
  end
  return sizeBy('ZCARD', T .. ':d') < delayed
end

-- Whether something that is only a hint is gone.
local function isAnyLost()
  if not shardValue('epoch') then
    return call('EXISTS', T .. ':runs', T .. ':l') > 0
  end
  if not (shardValue('act') and shardValue('kinds') and shardValue('ready')) or sizeBy('HLEN', T .. ':l') ~= shardNumber('kinds') * 2 then
    return true
  end
  for _, counted in ipairs(COUNTED) do
    if sizeBy(counted[3], T .. ':' .. counted[1]) < shardNumber(counted[2]) then
      return true
    end
  end
  return areLanesCut()
end

-- Those of the lanes, each once, that have groups.
local function filledOf(lanes)
  local found = ','
  for lane in gmatch(lanes, '%x+') do
    if not find(found, ',' .. lane .. ',', 1, true) and call('EXISTS', T .. ':q:' .. lane) == 1 then
      found = found .. lane .. ','
    end
  end
  return found
end

-- How many sessions each base id has.
local function countBases(sessions)
  call('UNLINK', T .. ':wb')
  for _, session in ipairs(sessions) do
    local base = call('HGET', T .. ':wi:' .. session, 'base')
    if base then
      call('HINCRBY', T .. ':wb', base, 1)
    end
  end
end

-- Begins the walk. Lanes and what is known of them stay, so that what they have is served meanwhile; but they are counted anew. Written at once:
-- nothing of this call has been changed yet.
local function begin()
  for name, wanted in pairs(TYPES) do
    dropOfOtherType(T .. ':' .. name, wanted)
  end
  local gone = {}
  for _, field in ipairs(call('HKEYS', M)) do
    if find(field, '^[nfyc]:') then
      gone[#gone + 1] = field
    end
  end
  for i = 1, #gone, 4000 do
    call('HDEL', M, unpack(gone, i, min(i + 3999, #gone)))
  end
  local active = shardValue('act') or ','
  for _, lane in ipairs(someLanes()) do
    active = active .. lane .. ','
  end
  for lane in gmatch(active, '%x+') do
    dropOfOtherType(T .. ':q:' .. lane, 'zset')
  end
  local sessions = call('ZRANGE', T .. ':w', 0, MOST_SESSIONS - 1)
  for _, session in ipairs(sessions) do
    dropOfOtherType(T .. ':wi:' .. session, 'hash')
    dropOfOtherType(T .. ':o:' .. session, 'hash')
    dropOfOtherType(T .. ':in:' .. session, 'stream')
  end
  if #sessions < MOST_SESSIONS then
    countBases(sessions)
  end
  local numbers = {}
  for _, field in ipairs(call('HKEYS', T .. ':l')) do
    if sub(field, 1, 1) == '#' then
      numbers[#numbers + 1] = field
    end
  end
  many('HDEL', T .. ':l', numbers)
  setShard('epoch', whole(newEpoch()))
  setShard('lanes', whole(nowMicros()))
  setShard('act', filledOf(active))
  setShard('ready', '0')
  setShard('kinds', '0')
  setShard('fix', '0')
end

-- All was walked over and written: counts what is there now, before anything is changed.
local function finish()
  for _, counted in ipairs(COUNTED) do
    setShard(counted[2], whole(max(0, sizeBy(counted[3], T .. ':' .. counted[1]))))
  end
  local fields, gone = call('HGETALL', T .. ':l'), {}
  for i = 1, #fields, 2 do
    local number = match(fields[i + 1], '^(%d+)\t')
    if number and call('HEXISTS', T .. ':l', '#' .. number) == 0 then
      gone[#gone + 1] = fields[i]
    end
  end
  later({ 'HDEL', T .. ':l', '', unpack(gone, 1, min(#gone, 4000)) })
  -- lanes in which the walk has found nothing, but for what lies there without a reason, are served no more
  local active = ','
  for lane in gmatch(shardValue('act') or ',', '%x+') do
    if tonumber(call('HGET', M, 'c:' .. lane) or 0) > 0 then
      active = active .. lane .. ','
    else
      later({ 'UNLINK', T .. ':q:' .. lane })
    end
  end
  setShard('act', active)
  setShard('fix', '')
  setShard('fixedAt', whole(now()))
end

-- Whether a repair is under way, or begins now.
function beginRepair(isForced)
  local fix = isForced and 'new' or shardValue('fix')
  if not fix or fix == '' then
    if now() - shardNumber('fixedAt') < GAP_MS or not isAnyLost() then
      return false
    end
    fix = 'new'
  end
  if fix == 'new' then
    begin()
  elseif fix == 'count' then
    finish()
    return false
  end
  return true
end

-- Plans an entry anew, where it is not planned.
local function restore(key, at, entry)
  later({ 'ZADD', T .. ':' .. key, 'NX', whole(at), entry })
end

-- What is planned for the grants of a group, and what sessions hold of it.
local function restoreGrants(g)
  local fields = call('HGETALL', g.b)
  for i = 1, #fields, 2 do
    local grantNumber = match(fields[i], '^t(%d+)$')
    local _, branches, at, session = match(grantNumber and fields[i + 1] or '', '^(%S+) ([%d,-]+) (%d+) (%S+)$')
    local count = branches and #stillHeld(g, branches, grantNumber) or 0
    if count > 0 then
      local field = g.gid .. '#' .. grantNumber
      dropOfOtherType(T .. ':o:' .. session, 'hash')
      later({ 'HSETNX', T .. ':o:' .. session, field, count })
      if g.timeout > 0 then
        restore('due', at + g.timeout + 1000, 'd ' .. field)
      end
    end
  end
end

-- Branches whose grant has no record any more: nobody can settle them, so they are ready again.
local function restoreUnrecorded(g)
  local cells, seen = cellsOf(g, 0, g.size), {}
  for index = 0, g.size - 1 do
    local number = byte(cells, index * 8 + 1) == GRANTED and whole((unpackBytes('<I4', cells, index * 8 + 5)))
    if number and not seen[number] then
      seen[number] = true
      if not recordOf(g, number) then
        reclaim(g, number, 'closed', HUGE)
      end
    end
  end
end

local function restoreDelayed(g)
  local cells = cellsOf(g, 0, g.size)
  for index = 0, g.size - 1 do
    local cell = sub(cells, index * 8 + 1, index * 8 + 8)
    if byte(cell) == DELAYED and not isParked(cell) then
      later({ 'ZADD', T .. ':d', 'NX', whole(now()), g.gid .. '#' .. whole(index) })
    end
  end
end

-- The branches of a group that its run's waits name: an entry of T:u is a wait that is open.
local function waitingIn(g)
  local isWaiting = {}
  local fields = tryCall('HGETALL', T .. ':u:' .. g.run)
  for i = 1, fields.err and 0 or #fields, 2 do
    if byte(fields[i]) == 64 and #fields[i + 1] > 29 then
      local _, _, _, index, gid = unpackBytes('<ddBI4I4c0', fields[i + 1])
      if gid == g.gid or gid == '' and g.isRoot then
        isWaiting[index] = true
      end
    end
  end
  return isWaiting
end

-- Parked branches are counted anew, and what ends them is planned anew. One for which nothing is known that would wake it is ready at once.
local function restoreParked(g)
  local cells, isWaiting, count = cellsOf(g, 0, g.size), nil, 0
  for index = 0, g.size - 1 do
    local cell = sub(cells, index * 8 + 1, index * 8 + 8)
    if isParked(cell) then
      count = count + 1
      isWaiting = isWaiting or waitingIn(g)
      if byte(cell, 4) >= HAS_PARK and parking.wakeAgain(g, index) or isWaiting[index] then
        isWaiting[index] = true
      else
        parking.wake(g, index)
      end
    end
  end
  parking.recountParked(g, count)
end

-- Groups that this sweep has walked. One that it knows otherwise may be known only as the group above another.
local walked = {}

-- A group is counted and placed anew as any is that is changed.
local function walkGroup(gid)
  if walked[gid] or (groups[gid] == nil and isClosedBy(tryCall('HGET', T .. ':b:' .. gid, 's'))) then
    return
  end
  walked[gid] = true
  local g = loadReadable(gid)
  if not g or g.state ~= 'o' then
    return
  end
  touch(g)
  local run = loadRun(g.run)
  local above = g.isRoot or loadReadable(g.parent)
  if not run or run.isEnded or not above or (above ~= true and above.state ~= 'o') then
    close(g, 'w', run and 'the group above it is over' or 'the store has lost its run')
    return
  end
  g.isBarred = g.isRoot and run.isAbandoned
  local sequence = g.score % 549755813888
  if sequence >= shardNumber('seq') then
    setShard('seq', sequence + 1)
  end
  if g.inFlight > 0 then
    restoreGrants(g)
    restoreUnrecorded(g)
  end
  if g.delayed > 0 then
    restoreDelayed(g)
  end
  if g.parked > 0 then
    restoreParked(g)
  end
  if g.affinity ~= '' and g.affinityUntil > now() then
    restore('due', g.affinityUntil, 'a ' .. gid)
  end
  local list = T .. ':r:' .. g.run .. ':k'
  dropOfOtherType(list, 'list')
  if not call('LPOS', list, gid) then
    later({ 'RPUSH', list, gid })
  end
  notifyLater(g, readyOf(g))
end

local function walkRun(id)
  local facts = call('HMGET', T .. ':r:' .. id, 'created', 'end', 'aband', 'kept', 'timeout', 'ikey', 'ret', 'lostAt', 'build')
  if not facts[1] then
    return
  end
  runIndex.mend(id)
  local isLost = facts[8] and facts[8] ~= ''
  if facts[2] or facts[3] == '1' or isLost then
    restore('purge', tonumber(facts[4]) or now() + (tonumber(facts[7]) or 0), 'p ' .. id)
  end
  if facts[5] and not facts[2] and facts[3] ~= '1' then
    restore('due', facts[1] + facts[5] + shardNumber('ahead'), 't ' .. id)
  end
  if facts[6] then
    later({ 'SET', T .. ':k:' .. facts[6], id, 'NX' })
  end
  if facts[9] and not facts[2] then
    later({ 'HSETNX', T .. ':pins', id, facts[9] })
  end
end

-- Waits of a run that have a time.
local function walkWaits(id)
  local run = loadRun(id)
  if not run then
    later({ 'UNLINK', T .. ':u:' .. id })
  end
  if not run or run.isEnded then
    return
  end
  local fields = call('HGETALL', T .. ':u:' .. id)
  for i = 1, #fields, 2 do
    local due = byte(fields[i]) == 64 and #fields[i + 1] >= 8 and (unpackBytes('<d', fields[i + 1])) or -1
    if due >= 0 and due < HUGE then
      restore('wake', due, id .. '\t' .. sub(fields[i], 2))
    end
  end
end

local function walkSession(id)
  local facts = call('HMGET', T .. ':wi:' .. id, 'base', 'ttl')
  local ttl = tonumber(facts[2])
  if facts[1] and not call('ZSCORE', T .. ':w', id) then
    later({ 'ZADD', T .. ':w', 'NX', ttl and whole(now() + ttl) or '+inf', id })
  end
end

-- What a session held that is there no more.
local function walkHoldings(id)
  if call('EXISTS', T .. ':wi:' .. id) == 0 and not call('ZSCORE', T .. ':w', id) and not call('LPOS', T .. ':lost', id) then
    later({ 'RPUSH', T .. ':lost', id })
  end
end

-- By the first part of a key's name: what is done, and of which type such a key is.
local WALKS = { b = { walkGroup, 'hash' }, r = { walkRun, 'hash' }, wi = { walkSession, 'hash' }, o = { walkHoldings, 'hash' },
  u = { walkWaits, 'hash' }, p = { walkGroup, 'string' } }

-- Looks at one key; parts of groups and runs are looked at with them.
local function walk(key)
  local kind, name = match(key, '^(%w+):(.*)$')
  local known = kind and WALKS[kind]
  if not known then
    return
  elseif find(name, ':[drkove]$') or find(name, ':[io]%d+$') or find(name, ':c[hxnl]$') or find(name, ':cl:') then
    local gid = kind == 'b' and match(name, '^(.*):[^:]*$')
    if gid and call('EXISTS', T .. ':b:' .. gid) == 0 then
      later({ 'UNLINK', T .. ':' .. key }) -- only its group had its name
    end
    return
  end
  dropOfOtherType(T .. ':' .. key, known[2])
  local isFine, why = pcall(known[1], name)
  if not isFine then
    quarantine(name, why)
  end
end

-- True when the walk has not ended.
local function goOn()
  walked = {}
  local cursor, pattern = shardValue('fix'), (string.gsub(T, '[%*%?%[%]\\]', '\\%0')) .. ':*'
  for _ = 1, MOST_PAGES do
    local page = call('SCAN', cursor, 'MATCH', pattern, 'COUNT', PAGE)
    cursor = page[1]
    for _, key in ipairs(page[2]) do
      walk(sub(key, #T + 2))
    end
    if cursor == '0' or #groupOrder >= MOST_WALKED then
      break
    end
  end
  setShard('fix', cursor == '0' and 'count' or cursor)
  return true
end

-- Lanes without anything in them are forgotten, some a sweep, while there are many.
local function forgetLanes()
  local kinds = shardNumber('kinds')
  if kinds <= MOST_IDLE then
    return
  end
  local isInUse, fields, found = {}, {}, {}
  for _, g in ipairs(groupOrder) do
    isInUse[g.lane] = true
  end
  local sample = call('HRANDFIELD', T .. ':l', SAMPLE, 'WITHVALUES')
  local oldest = shardNumber('lanes') - NEWEST_KEPT
  for i = 1, #sample, 2 do
    local lane, number = sample[i], match(sample[i + 1], '^(%d+)\t')
    if number and tonumber(number) <= oldest and not isInUse[lane] then
      found[#found + 1] = { lane, number }
      for _, letter in ipairs({ 'n:', 'f:', 'y:', 'c:' }) do
        fields[#fields + 1] = letter .. lane
      end
    end
  end
  if #found == 0 then
    return
  end
  local counts = call('HMGET', M, unpack(fields))
  for i, lane in ipairs(found) do
    local isUnused = kinds > MOST_IDLE
    for k = i * 4 - 3, i * 4 do
      isUnused = isUnused and (tonumber(counts[k]) or 0) == 0
    end
    if isUnused then
      kinds = kinds - 1
      later({ 'HDEL', T .. ':l', lane[1], '#' .. lane[2] })
      later({ 'HDEL', M, unpack(fields, i * 4 - 3, i * 4) })
    end
  end
  setShard('kinds', whole(kinds))
end

-- The walk of a repair goes on, true when it has not ended; or lanes are forgotten.
function keepHints(isRepairing)
  if isRepairing then
    return goOn()
  end
  forgetLanes()
  return false
end
end)()
