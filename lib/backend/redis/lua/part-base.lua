-- What every script has: names, the clock, the shard's own hash, notices. Nothing here writes before `commit` says so.
-- A script is a function that Redis keeps, so the lines of the parts run once; what belongs to one call is made anew by `begin_<part>`, with
-- which every call begins. What only few calls fill is not asked about in every call: whoever fills it first puts a function that makes it anew
-- into the list `begins`, for the next call.
-- Library: byte char sub rep find match gmatch format floor min max concat pack unpackBytes call tryCall ipairs pairs next tonumber unpack M T HUGE
-- Gives: whole shard firstRead readShard shardValue shardNumber setShard now nowMicros newEpoch wall nextFence notify activity channelOf watchersOf
--   quarantine isAnyBroken many isOfOtherType makeAnew readHint commitShard commitNotices
-- Needs: none
HUGE = 1 / 0

-- A whole number as a text: joined to one as it is, it would lose digits over 1e14, and take three times as long; as an argument of a command
-- twice as long. Texts of small ones are kept, and that of the last other one: most calls write their time several times.
local smallTexts, lastNumber, lastText = {}, false, nil

function whole(number)
  if number == lastNumber then
    return lastText
  end
  local text = smallTexts[number]
  if text then
    return text
  end
  text = format('%d', number)
  if #text <= 3 and number % 1 == 0 then
    smallTexts[number] = text
  else
    lastNumber, lastText = number, text
  end
  return text
end

-- Fields of T:m as they were read, or as they will be written.
shard = {}
-- Those that this call changes, each before its value; and where the value of each stands.
local shardChanges, changedAt = {}, {}
-- What is read with the first look at T:m; scripts and `load` add to it what they will need, so that there is one look.
firstRead = { 'ahead', 'seen', 'epoch', 'dues', 'purges', 'fix', 'wide', 'ev' }
local FIRST_ADDED = 9

-- Reads fields of T:m in one command. What this call has changed stays.
function readShard(names)
  local values = call('HMGET', M, unpack(names))
  if not shardChanges[1] then
    local fields = shard
    for i = 1, #names do
      fields[names[i]] = values[i]
    end
    return
  end
  for i = 1, #names do
    local name = names[i]
    if not changedAt[name] then
      shard[name] = values[i]
    end
  end
end

function shardValue(name)
  local value = shard[name]
  if value == nil then
    value = call('HGET', M, name)
    shard[name] = value
  end
  return value
end

function shardNumber(name)
  local value = shard[name]
  if value == nil then
    value = shardValue(name)
  end
  return tonumber(value) or 0
end

function setShard(name, value)
  shard[name] = value
  local changes, at = shardChanges, changedAt[name]
  if not at then
    at = #changes + 2
    changedAt[name] = at
    changes[at - 1] = name
  end
  changes[at] = value
end

local wallMicros, wallMs, clock

-- Kernel time in milliseconds: TIME, read once, which never goes back. Where the clock is behind what a sweep has seen, whichever call finds
-- that goes on from there: what it plans would be due at once when a later call did so.
function now()
  if not clock then
    if shard.ahead == nil then
      readShard(firstRead)
    end
    local time = call('TIME')
    wallMicros = time[1] * 1000000 + time[2]
    local seen = shardNumber('seen')
    wallMs = floor(wallMicros / 1000)
    local ahead = shardNumber('ahead')
    clock = wallMs + ahead
    if clock < seen then
      setShard('ahead', whole(ahead + seen - clock))
      clock = seen
    end
  end
  return clock
end

-- The same in microseconds.
function nowMicros()
  return now() * 1000 + wallMicros % 1000
end

-- A number for the hints that are counted from now on; another one than before, also when both begin within a millisecond.
function newEpoch()
  local epoch = nowMicros() % 4294967296
  return epoch == shardNumber('epoch') and (epoch + 1) % 4294967296 or epoch
end

-- TIME in milliseconds.
function wall()
  if not clock then now() end
  return wallMs
end

-- A growing number, with its text: never one given out before, even when the clock goes back.
function nextFence()
  now()
  local fence = max(shardNumber('fence') + 1, wallMicros)
  local text = whole(fence)
  setShard('fence', text)
  return text
end

-- Notices for sessions: a failure to write them stops nothing. `value` is one text, or names and values.
local notices, activities = {}, {}

function notify(session, kind, gid, value)
  notices[#notices + 1] = { session, kind, gid, value }
end

-- What happened in a run, by run, a line each: its watchers get all that a call does in one message.
function activity(run, kind, gid)
  local known = activities[run]
  if known then
    known[#known + 1] = kind .. ' ' .. gid
  elseif next(activities) then
    activities[run] = { kind .. ' ' .. gid }
  else
    activities = { [run] = { kind .. ' ' .. gid, nil } }
  end
end

local channels

-- Where watchers of a run listen. Redis has one set of channels for all its databases, so those of all but the first have a name of their own,
-- which a script is given as its second key: it cannot ask for the database.
function channelOf(run)
  return channels and channels .. run or T .. ':act:' .. run
end

-- How many processes watch the run. Sent with a grant, so that a worker need not ask.
function watchersOf(run)
  local counts = tryCall('PUBSUB', 'NUMSUB', channelOf(run))
  return tonumber(counts[2]) or 0
end

-- Unreadable records, with what could not be read of them.
local broken, brokenOrder = {}, {}

-- Errors that say what the user may not call, or the server does not know: they say nothing of a record.
local REFUSALS = { 'The user executing the script', 'ACL failure in script', 'Unknown Redis command' }

function quarantine(what, why)
  local text = type(why) == 'table' and (why.err or 'unreadable') or tostring(why)
  for i = 1, #REFUSALS do
    if find(text, REFUSALS[i], 1, true) then
      error(why, 0)
    end
  end
  if not broken[what] then
    broken[what] = text
    brokenOrder[#brokenOrder + 1] = what
  end
end

function isAnyBroken()
  return brokenOrder[1] ~= nil
end

-- For commands with many arguments: Lua's unpack stops at about 8 000.
function many(command, key, arguments)
  local count = #arguments
  if count > 4000 then
    for i = 1, count, 4000 do
      call(command, key, unpack(arguments, i, min(i + 3999, count)))
    end
  elseif count > 0 then
    call(command, key, unpack(arguments))
  end
end

-- Whether a call failed because a key is of another type than it must be.
function isOfOtherType(why)
  return find(type(why) == 'table' and why.err or tostring(why), '^WRONGTYPE') ~= nil
end

-- Writes to a key that need not be complete: one of another type is made anew, and no failure stops what else is written.
function makeAnew(command, key, ...)
  if isOfOtherType(tryCall(command, key, ...)) then
    call('UNLINK', key)
    tryCall(command, key, ...)
  end
end

-- What a key holds that can be made anew; nil where it is of another type, which the next sweep repairs. No group is to blame for it.
function readHint(command, key, ...)
  local found = tryCall(command, key, ...)
  if type(found) ~= 'table' or not found.err then
    return found
  elseif not isOfOtherType(found) then
    error(found, 0)
  end
  setShard('fix', 'new')
end

function begin_base(keys)
  if M ~= keys[1] then
    -- Redis has no library at hand while it loads a function, only while it runs one
    local string, math, redis = string, math, redis
    byte, char, sub, rep = string.byte, string.char, string.sub, string.rep
    find, match, gmatch, format = string.find, string.match, string.gmatch, string.format
    floor, min, max, concat, pack, unpackBytes = math.floor, math.min, math.max, table.concat, struct.pack, struct.unpack
    call, tryCall = redis.call, redis.pcall
    ipairs, pairs, next, tonumber, unpack = _G.ipairs, _G.pairs, _G.next, _G.tonumber, _G.unpack
    M = keys[1]
    T = sub(M, 1, -3)
  end
  channels = keys[2]
  wallMicros, clock = nil, nil
  -- with room for what most calls read: a table that grows is copied each time
  shard = { ahead = nil, seen = nil, epoch = nil, fix = nil, dues = nil, purges = nil, wide = nil, ev = nil, fence = nil, seq = nil, ready = nil,
    keep = nil, runs = nil, idle = nil, act = nil, grace = nil }
  for i = #firstRead, FIRST_ADDED, -1 do
    firstRead[i] = nil
  end
  -- most calls fill few of these: making all of them anew would cost more than what fills them
  for i = #begins, 1, -1 do
    begins[i]()
    begins[i] = nil
  end
  if shardChanges[1] then
    shardChanges = { nil, nil, nil, nil, nil, nil, nil, nil }
    changedAt = { ahead = nil, fence = nil, seq = nil, runs = nil, dues = nil, purges = nil, ready = nil, idle = nil }
  end
  if notices[1] then notices = { nil, nil } end
  if next(activities) then activities = {} end
  if brokenOrder[1] then broken, brokenOrder = {}, {} end
end

function commitShard()
  if shardChanges[1] then call('HSET', M, unpack(shardChanges)) end
end

local function commitBroken()
  for i = 1, #brokenOrder do
    local what = brokenOrder[i]
    makeAnew('HSET', T .. ':bad', what, broken[what])
    makeAnew('XADD', T .. ':quar', 'MAXLEN', '~', 1000, '*', 'what', what, 'why', broken[what])
  end
end

function commitNotices()
  if brokenOrder[1] then commitBroken() end
  for i = 1, #notices do
    local note = notices[i]
    local inbox = T .. ':in:' .. note[1]
    if type(note[4]) == 'table' then
      tryCall('XADD', inbox, 'NOMKSTREAM', 'MAXLEN', '~', '10000', '*', 'k', note[2], 'g', note[3], unpack(note[4]))
    elseif note[4] then
      tryCall('XADD', inbox, 'NOMKSTREAM', 'MAXLEN', '~', '10000', '*', 'k', note[2], 'g', note[3], 'v', note[4])
    elseif note[3] then
      tryCall('XADD', inbox, 'NOMKSTREAM', 'MAXLEN', '~', '10000', '*', 'k', note[2], 'g', note[3])
    else
      tryCall('XADD', inbox, 'NOMKSTREAM', 'MAXLEN', '~', '10000', '*', 'k', note[2])
    end
  end
  for run, lines in pairs(activities) do
    tryCall('PUBLISH', channelOf(run), concat(lines, '\n'))
  end
end
