-- Wide lanes: those that no live session serves whole. Sessions that know some of the tasks take from such a lane, and forward what they do not
-- know; where none knows any, every session of the queue does. Hides which lanes are wide, and how workers learn it.
-- Gives: wideLanes
-- Needs:
--   base: many now nowMicros readHint setShard shardValue whole
--   group: isOneTask load
--   ready-queue: laneOf
--   sessions: hasAll takesOnlyTasks
-- So many lanes are wide at most: the one that has been so for longest is narrow again then. So many sessions are looked at.
local MOST_WIDE, MOST_SESSIONS_SEEN = 64, 1000
-- Fields for T:l, and those that go.
local changed, gone = {}, {}

local function reset()
  changed, gone = {}, {}
end

-- What a session must know of a lane's tasks: 'all'; of a wide lane 'some', or 'none'.
local function asksOf(lane)
  local wide = shardValue('wide')
  return wide and match(wide, ',' .. lane .. ':(%a+),') or 'all'
end

-- Whether who has these tasks knows as many of a lane's as it asks; `asks`: what it asks, if that is not what the store has of it. Code that cannot
-- be forwarded, which has a colon in its name, must be known in any case.
local function knows(tasks, lane, asks)
  local wanted = laneOf(lane).tasks
  if hasAll(tasks, wanted) then
    return true
  end
  asks = asks or asksOf(lane)
  local isEnough = asks == 'none'
  if asks ~= 'all' then
    for name in gmatch(wanted, '%S+') do
      if hasAll(tasks, name) then
        isEnough = true
      elseif find(name, ':', 1, true) then
        return false
      end
    end
  end
  return isEnough
end

-- A lane gets a new number, which workers notice when they ask next: then they learn what it asks.
local function renumber(lane)
  local number, demand = match(readHint('HGET', T .. ':l', lane) or '', '^(%d+)\t(.*)$')
  if number then
    local last = whole((tonumber(shardValue('lanes')) or nowMicros()) + 1)
    setShard('lanes', last)
    if not gone[1] then begins[#begins + 1] = reset end
    gone[#gone + 1] = '#' .. number
    local at = #changed
    changed[at + 1], changed[at + 2], changed[at + 3], changed[at + 4] = lane, last .. '\t' .. demand, '#' .. last, lane
  end
end

-- What the lane asks from now on. Wide lanes are one field, each with what it asks and commas around it.
local function setAsked(lane, asks)
  local wide = string.gsub(shardValue('wide') or ',', ',' .. lane .. ':%a+,', ',')
  setShard('wide', asks == 'all' and wide or wide .. lane .. ':' .. asks .. ',')
  renumber(lane)
end

-- Out of what a process says of itself, in JSON: names with commas around each, or `*`. No text inside of it can look like the list.
local function capabilitiesOf(info)
  local list = match(info or '', '"capabilities":(%b[])')
  if not list then
    return find(info or '', '"capabilities":"all"', 1, true) and '*' or ','
  end
  return ',' .. (string.gsub(sub(list, 2, -2), '"', '')) .. ','
end

-- Whether a session takes what the lane has, but for its tasks. `serves`: its queues.
local function isOfLane(serves, info, lane)
  return serves and serves ~= '' and hasAll(serves, lane.queue) and hasAll(capabilitiesOf(info), lane.requires)
end

-- What can be asked of a session so that one can serve the lane: 'some', or 'none'; nil where one serves the group whole, or none could take from
-- it. Who takes only branches of one task forwards nothing.
local function widthFor(g, orNone)
  local name, asks = g.lane, nil
  for _, session in ipairs(call('ZRANGEBYSCORE', T .. ':w', '(' .. whole(now()), '+inf', 'LIMIT', 0, MOST_SESSIONS_SEEN)) do
    local facts = tryCall('HMGET', T .. ':wi:' .. session, 'tasks', 'serves', 'info')
    if isOfLane(facts[2], facts[3], laneOf(name)) then
      local isForTasks = takesOnlyTasks(capabilitiesOf(facts[3]))
      if knows(facts[1] or '', name, 'all') and (not isForTasks or isOneTask(g)) then
        return nil
      end
      if not isForTasks then
        asks = (asks == 'some' or knows(facts[1] or '', name, 'some')) and 'some' or orNone and 'none' or nil
      end
    end
  end
  return asks
end

-- The lane of a group becomes wide, if no live session serves it whole and some could take from it.
local function widenLane(gid, orNone)
  local isFine, g = pcall(load, gid)
  if not isFine or not g or g.state ~= 'o' then
    return 'GONE'
  end
  local asks = widthFor(g, orNone)
  if not asks then
    return 'FENCED'
  end
  if asksOf(g.lane) == asks then
    return 'DUP'
  end
  local lanes = {}
  for lane in gmatch(shardValue('wide') or ',', '(%x+):%a+') do
    lanes[#lanes + 1] = lane
  end
  if #lanes >= MOST_WIDE and asksOf(g.lane) == 'all' then
    setAsked(lanes[1], 'all')
  end
  setAsked(g.lane, asks)
  return 'OK'
end

-- A session opens: lanes that it serves whole are not wide any more.
local function narrowLanes(tasks, serves, info)
  local wide = shardValue('wide') or ','
  if wide == ',' then
    return
  end
  for lane in gmatch(wide, '(%x+):%a+') do
    if isOfLane(serves, info, laneOf(lane)) and knows(tasks, lane, 'all') and not takesOnlyTasks(capabilitiesOf(info)) then
      setAsked(lane, 'all')
    end
  end
end

local function commitWide()
  if changed[1] then
    many('HDEL', T .. ':l', gone)
    many('HSET', T .. ':l', changed)
  end
end

-- One name for all: Lua has room for few.
wideLanes = { asksOf = asksOf, knows = knows, widen = widenLane, narrow = narrowLanes, commit = commitWide }
