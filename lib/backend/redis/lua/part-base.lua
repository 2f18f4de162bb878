-- What every script has: names, the clock, the shard's own hash, news for others. Nothing here writes before `commit` says so.
-- A script is a function that Redis keeps, so these lines run once; what belongs to one call is made anew by `begin_…`, with which every
-- call begins.
local byte, char, sub, rep, find, match, floor, min, max, concat, pack, unpackBytes, call, M, T

-- Numbers over 1e14 lose digits when they are joined to a text; those below do not.
local function whole(number)
  return string.format('%.0f', number)
end

-- Fields of T:m as they were read, or as they will be written.
local shard, shardChanges

-- Reads fields of T:m in one command.
local function glance(...)
  local values = call('HMGET', M, ...)
  for i, value in ipairs(values) do
    shard[select(i, ...)] = value
  end
end

local function shardValue(name)
  local value = shard[name]
  if value == nil then
    value = call('HGET', M, name)
    shard[name] = value
  end
  return value
end

local function shardNumber(name)
  return tonumber(shardValue(name)) or 0
end

local function setShard(name, value)
  shard[name] = value
  shardChanges[#shardChanges + 1] = name
end

local wallMicros, clock

-- Kernel time in milliseconds: TIME, read once, which never goes back.
local function now()
  if not clock then
    local time = call('TIME')
    wallMicros = time[1] * 1000000 + time[2]
    clock = floor(wallMicros / 1000) + shardNumber('ahead')
  end
  return clock
end

-- TIME in milliseconds.
local function wall()
  now()
  return floor(wallMicros / 1000)
end

-- A growing number: never one given out before, even when the clock goes back.
local function nextFence()
  now()
  local fence = max(shardNumber('fence') + 1, wallMicros)
  setShard('fence', whole(fence))
  return fence
end

-- Hints: a failure to give one stops nothing.
local news, activities

local function tell(session, kind, gid, value)
  news[#news + 1] = { session, kind, gid, value }
end

local function activity(run, kind, gid)
  activities[#activities + 1] = { run, kind, gid }
end

-- Unreadable records, with what could not be read of them.
local broken, brokenOrder

local function quarantine(what, why)
  if not broken[what] then
    broken[what] = type(why) == 'table' and (why.err or 'unreadable') or tostring(why)
    brokenOrder[#brokenOrder + 1] = what
  end
end

-- For commands with many arguments: Lua's unpack stops at about 8 000.
local function many(command, key, arguments)
  local count = #arguments
  if count == 0 then
    return
  end
  for i = 1, count, 4000 do
    call(command, key, unpack(arguments, i, min(i + 3999, count)))
  end
end

local function begin_base(keys)
  -- Redis has no library at hand while it loads a function, only while it runs one
  byte, char, sub, rep, find, match = string.byte, string.char, string.sub, string.rep, string.find, string.match
  floor, min, max, concat, pack, unpackBytes = math.floor, math.min, math.max, table.concat, struct.pack, struct.unpack
  call, M = redis.call, keys[1]
  T = sub(M, 1, -3)
  shard, shardChanges, wallMicros, clock, news, activities, broken, brokenOrder = {}, {}, nil, nil, {}, {}, {}, {}
end

local function commitShard()
  if #shardChanges == 0 then
    return
  end
  local values, seen = {}, {}
  for _, name in ipairs(shardChanges) do
    if not seen[name] then
      seen[name] = true
      values[#values + 1] = name
      values[#values + 1] = shard[name]
    end
  end
  call('HSET', M, unpack(values))
end

local function commitNews()
  for _, what in ipairs(brokenOrder) do
    redis.pcall('HSET', T .. ':bad', what, broken[what])
    redis.pcall('XADD', T .. ':quar', 'MAXLEN', '~', 1000, '*', 'what', what, 'why', broken[what])
  end
  for _, note in ipairs(news) do
    local inbox = T .. ':in:' .. note[1]
    if note[4] then
      redis.pcall('XADD', inbox, 'NOMKSTREAM', 'MAXLEN', '~', 10000, '*', 'k', note[2], 'g', note[3], 'v', note[4])
    elseif note[3] then
      redis.pcall('XADD', inbox, 'NOMKSTREAM', 'MAXLEN', '~', 10000, '*', 'k', note[2], 'g', note[3])
    else
      redis.pcall('XADD', inbox, 'NOMKSTREAM', 'MAXLEN', '~', 10000, '*', 'k', note[2])
    end
  end
  for _, what in ipairs(activities) do
    redis.pcall('PUBLISH', T .. ':act:' .. what[1], what[2] .. ' ' .. what[3])
  end
end
