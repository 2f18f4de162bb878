-- Sessions: which of them wait for work, what each could take, and how many branches each holds.
-- Gives: waitingSessions comingSessions passOver waitOf hasAll takesOnlyTasks isQuick heldBy leaveBase isBaseThere callWatchers IDLE_LOOK_MS
-- Needs:
--   base: notify now readHint setShard whole
--   ready-queue: laneOf
local MOST_WAITING = '256' -- a text, as Redis takes it
-- While somebody holds something, a process that only renews does so as often, for few sessions. So many of those that wait are notified when that
-- begins: one may be in the same process as the one that it is to watch.
IDLE_LOOK_MS = 300
local WATCHERS = 2
-- `leaving`: how many sessions go in this call, by base id.
local waiting, leaving = nil, {}

function begin_sessions()
  waiting = nil
  if next(leaving) then leaving = {} end
end

-- Whether a text of names with commas around each has all these (with spaces between); `*` has all.
function hasAll(have, wanted)
  if have == '*' or wanted == '' then
    return true
  elseif not find(wanted, '%s') then
    return find(have, ',' .. wanted .. ',', 1, true) ~= nil
  end
  for name in gmatch(wanted, '%S+') do
    if not find(have, ',' .. name .. ',', 1, true) then
      return false
    end
  end
  return true
end

-- Sessions that wait, longest first, with what they would take.
function waitingSessions()
  if waiting then
    return waiting
  end
  waiting = {}
  for _, session in ipairs(readHint('ZRANGEBYSCORE', T .. ':wait', '0', '+inf', 'LIMIT', '0', MOST_WAITING) or {}) do
    waiting[#waiting + 1] = { session = session }
  end
  return waiting
end

-- This session is not notified in this call.
function passOver(session)
  for _, waiter in ipairs(waitingSessions()) do
    if waiter.session == session then
      waiter.isNotified = true
    end
  end
end

-- Nobody held anything until this session does now. Those that only renew would find out up to a second later, and miss it as late if it ended
-- before: two that wait renew at once, and learn with that how often.
function callWatchers(session)
  setShard('idle', whole(IDLE_LOOK_MS))
  local called = 0
  -- those that are on their way to work come last, and may find none
  for _, waiter in ipairs(readHint('ZREVRANGE', T .. ':wait', 0, WATCHERS) or {}) do
    if waiter ~= session and called < WATCHERS then
      called = called + 1
      notify(waiter, 'watch')
    end
  end
end

-- Sessions that were notified a moment ago and have not asked since.
function comingSessions(shareMs)
  local found = {}
  for _, session in ipairs(readHint('ZRANGEBYSCORE', T .. ':wait', -now(), -(now() - shareMs), 'LIMIT', 0, MOST_WAITING) or {}) do
    found[#found + 1] = { session = session }
  end
  return found
end

-- What a session would take, by what it said of that behind how much. Kept from call to call, since it rarely says something else.
local known, knownCount = {}, 0
local function termsIn(rest)
  local terms = known[rest]
  if not terms then
    local deeper, queues, capabilities, quick, acceptsPush = match(rest, '^\t(%d+)\t([^\t]*)\t([^\t]*)\t?([^\t]*)\t?([^\t]*)$')
    terms = { isReadable = deeper ~= nil, deeper = tonumber(deeper) or 0, queues = queues or '', capabilities = capabilities or '',
      quick = quick or '', acceptsPush = acceptsPush == '1', isForTasks = takesOnlyTasks(capabilities or '') }
    if knownCount >= 1000 then
      known, knownCount = {}, 0
    end
    known[rest], knownCount = terms, knownCount + 1
  end
  return terms
end

-- Fills in what a session would take, and of what kind it is, where that is not known yet.
function waitOf(waiter)
  if waiter.free == nil then
    local values = tryCall('HMGET', T .. ':wi:' .. waiter.session, 'wait', 'tasks', 'base')
    local wait = values[1] or ''
    local behind = find(wait, '\t', 1, true) or 1
    local terms = termsIn(sub(wait, behind))
    waiter.wait, waiter.rest = values[1], sub(wait, behind)
    waiter.free = terms.isReadable and tonumber(sub(wait, byte(wait) == 33 and 2 or 1, behind - 1)) or 0 -- an exclamation mark
    waiter.quick, waiter.acceptsPush, waiter.deeper, waiter.queues = terms.quick, terms.acceptsPush, terms.deeper, terms.queues
    waiter.capabilities, waiter.isForTasks = terms.capabilities, terms.isForTasks
    waiter.tasks, waiter.base = values[2] or '', values[3] or ''
  end
  return waiter
end

-- Whether a session with these capabilities takes only branches that are one task, and forwards nothing.
function takesOnlyTasks(capabilities)
  return find(capabilities, ',only:tasks,', 1, true) ~= nil
end

-- Whether branches of this lane are not worth sharing: all their tasks are among these (,a,b,).
function isQuick(quick, lane)
  return #quick > 2 and hasAll(quick, laneOf(lane).tasks)
end

function heldBy(session)
  local held = 0
  for _, count in ipairs(tryCall('HVALS', T .. ':o:' .. session)) do
    held = held + (tonumber(count) or 0)
  end
  return held
end

function leaveBase(base)
  leaving[base] = (leaving[base] or 0) + 1
end

-- Whether a session with this base id is there and stays.
function isBaseThere(base)
  return (tonumber((tryCall('HGET', T .. ':wb', base))) or 0) - (leaving[base] or 0) > 0
end
