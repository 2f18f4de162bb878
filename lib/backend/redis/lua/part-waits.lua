-- Waits of a run: what its branches wait for, and how they get it. The first answer to a wait is saved as an output, and counts; a signal that
-- nobody waits for yet is kept for the first that does. T:u:<run> has `@<place>`: an open wait; `=<address>`: `w` and the places that wait there, a
-- line each, `k` and a signal that is kept, or `d`: nobody waits there any more; `#`: how many signals are kept.
-- Gives: runWaits
-- Needs:
--   base: notify now quarantine setShard shardNumber wall whole
--   branch-table: DELAYED GRANTED cellOf
--   due-queue: wakes
--   grants: recordOf
--   group: forget load specOf
--   parking: parking
--   run: loadRun setRun
-- A function of its own: Lua has room for 200 names in one, and the parts before have taken nearly all.
(function()
-- As the client packs a park: deadline or -1; of its wait: due in so many ms, or -1; flags; the group until whose end it waits, place, address, what
-- is saved when it is due, and what people are told.
local REQUEST = '<ddBI4c0I4c0I4c0I4c0I4c0'
local HAS_WAIT, IS_REPEATED, IS_BY_CLOCK = 1, 2, 4
-- As a wait is stored: due or -1, since, flags, index; gid ('' of a root), address, what is saved when it is due, and what people are told.
local STORED = '<ddBI4I4c0I4c0I4c0I4c0'
local MOST_SIGNALS_KEPT = 1000
-- For so long a graph is kept that a parked branch needs, beyond its time; and where it has none.
local GRAPH_RETENTION_S, LONG_RETENTION_S = 86400, 34560000
-- What this call has changed, by run and field; false: it goes.
local changed, extended = {}, {}

local function reset()
  changed, extended = {}, {}
end

-- What this call has changed of a run's waits.
local function changesOf(key)
  if next(changed) == nil then begins[#begins + 1] = reset end
  changed[key] = changed[key] or {}
  return changed[key]
end

local function addWrite(run, command)
  run.writes = run.writes or {}
  run.writes[#run.writes + 1] = command
end

-- A field of the run's waits, or (`:v`) one of its outputs.
local function read(run, field, part)
  local key = part and run.key .. part or T .. ':u:' .. run.id
  local known = changed[key] and changed[key][field]
  if known ~= nil then
    return known
  end
  return call('HGET', key, field)
end

local function write(run, field, value)
  local key = T .. ':u:' .. run.id
  changesOf(key)[field] = value
  addWrite(run, value and { 'HSET', key, field, value } or { 'HDEL', key, field })
  if not run.hasWaits then
    run.hasWaits = true
    setRun(run, 'waits', '1')
  end
end

local function saveAnswer(run, place, value)
  local key, mark = run.key .. ':v', place .. '/!'
  changesOf(key)[mark] = value
  addWrite(run, { 'HSETNX', key, mark, value })
  return value
end

-- The park, or only the wait, that begins at `at`; and where the next begins.
local function requestIn(text, at)
  local parkMs, dueMs, flags, gid, place, address, onDue, about, behind = unpackBytes(REQUEST, text, at)
  return { parkMs = parkMs, dueMs = dueMs, flags = flags, gid = gid, place = place, address = address, onDue = onDue, about = about }, behind
end

local function waitIn(run, place, record)
  local due, since, flags, index, gid, address, onDue, about = unpackBytes(STORED, record)
  return { place = place, due = due, since = since, flags = flags, index = index, gid = gid == '' and run.id or gid, address = address,
    onDue = onDue, about = about }
end

local function store(run, wait)
  local gid = wait.gid == run.id and '' or wait.gid
  write(run, '@' .. wait.place, pack(STORED, wait.due, wait.since, wait.flags, wait.index, #gid, gid, #wait.address, wait.address, #wait.onDue,
    wait.onDue, #wait.about, wait.about))
end

local function hasFlag(flags, flag)
  return flags % (flag * 2) >= flag
end

local function count(run, change)
  write(run, '#', whole((tonumber(read(run, '#')) or 0) + change))
end

-- Nobody waits at the place any more.
local function drop(run, wait)
  write(run, '@' .. wait.place, false)
  if wait.due >= 0 then
    wakes.unplan(run.id .. '\t' .. wait.place)
  end
  local field = '=' .. wait.address
  local found = wait.address ~= '' and read(run, field)
  if not found or byte(found) ~= 119 then
    return
  end
  local others = {}
  for place in gmatch(sub(found, 2), '[^\n]+') do
    if place ~= wait.place then
      others[#others + 1] = place
    end
  end
  write(run, field, others[1] and 'w' .. concat(others, '\n') or not hasFlag(wait.flags, IS_REPEATED) and 'd')
end

-- Whether the branch may still get what it waits for: its group and its cell, or nil.
local function isAlive(wait)
  local isFine, g = pcall(load, wait.gid)
  if not isFine then
    quarantine(wait.gid, g)
    forget(wait.gid)
    return nil
  end
  local cell = g and g.state == 'o' and cellOf(g, wait.index)
  if cell and byte(cell) <= DELAYED then
    return g, cell
  end
end

-- The wait has its answer; the branch is ready, or its holder is notified.
local function answer(run, wait, g, cell, value)
  drop(run, wait)
  saveAnswer(run, wait.place, value)
  if byte(cell) ~= GRANTED then
    parking.wake(g, wait.index)
    return
  end
  local _, _, session = recordOf(g, whole((unpackBytes('<I4', cell, 5))))
  if session then
    notify(session, 'released', run.id .. '/' .. wait.place)
  end
end

-- A branch waits from now on. What it gets if that is there, else nil and when it is due, or -1. One that waits there already goes on as it was.
local function register(g, index, request)
  local run, place, address = loadRun(g.run), request.place, request.address
  local value = read(run, place .. '/!', ':v')
  if value then
    return value
  end
  local known = read(run, '@' .. place)
  if known then
    local wait = waitIn(run, place, known)
    if wait.gid ~= g.gid or wait.index ~= index then
      wait.gid, wait.index = g.gid, index
      store(run, wait)
    end
    return nil, wait.due
  end
  local isRepeated = hasFlag(request.flags, IS_REPEATED)
  local found = address ~= '' and read(run, '=' .. address)
  if found and byte(found) == 107 then
    count(run, -1)
    write(run, '=' .. address, not isRepeated and 'd')
    return saveAnswer(run, place, 's' .. sub(found, 2))
  end
  local due = -1
  if request.dueMs >= 0 then
    due = now() + (hasFlag(request.flags, IS_BY_CLOCK) and max(0, request.dueMs - wall()) or request.dueMs)
  end
  store(run, { place = place, due = due, since = wall(), flags = isRepeated and IS_REPEATED or 0, index = index, gid = g.gid, address = address,
    onDue = request.onDue, about = request.about })
  if address ~= '' then
    write(run, '=' .. address, found and byte(found) == 119 and found .. '\n' .. place or 'w' .. place)
  end
  if due >= 0 then
    wakes.plan(due, run.id .. '\t' .. place)
  end
  return nil, due
end

-- A wait that a handler holds, as ARGV has it: its state (1: answered) and what it got, or 0 and in how many ms it is due, or -1.
local function registerHeld(g, index, text)
  local value, due = register(g, index, (requestIn(text, 1)))
  if value then
    return 1, value
  end
  return 0, due < 0 and -1 or max(0, floor(due - now()))
end

-- The graph of a parked branch must be there when it goes on, however long that takes.
local function keepGraph(g, request)
  local graph = match(specOf(g), '"graph":"([^"]*)"')
  if not graph or extended[graph] then
    return
  end
  if next(extended) == nil then begins[#begins + 1] = reset end
  extended[graph] = true
  local ms = request.dueMs >= 0 and (hasFlag(request.flags, IS_BY_CLOCK) and request.dueMs - wall() or request.dueMs)
  local seconds = ms and max(0, floor(ms / 1000)) + GRAPH_RETENTION_S or LONG_RETENTION_S
  addWrite(loadRun(g.run), { 'EXPIRE', T .. ':g:' .. graph, whole(min(seconds, LONG_RETENTION_S * 10)), 'GT' })
end

-- Parks a branch of which nothing is held any more, as `text` says from `at` on. Where what it waits for is there, it is ready at once. Where the
-- next begins.
local function parkBranch(g, index, cell, text, at)
  local request, behind = requestIn(text, at)
  local hasWait = hasFlag(request.flags, HAS_WAIT)
  parking.park(g, index, cell, request.parkMs, request.gid)
  local isThere = hasWait and register(g, index, request)
  if request.gid ~= '' then
    local child = load(request.gid)
    isThere = isThere or not child or child.state ~= 'o'
  end
  keepGraph(g, request)
  if isThere or not hasWait and request.gid == '' and request.parkMs < 0 then
    parking.wake(g, index)
  else
    parking.noteIdle(g)
  end
  return behind
end

-- Where the park behind that at `at` begins.
local function skip(text, at)
  local _, behind = requestIn(text, at)
  return behind
end

-- Brings a payload to the wait at an address of a run that has not ended, or keeps it: OK, LATE, or FULL where too many are kept.
local function signal(run, address, payload)
  local field = '=' .. address
  local found = read(run, field)
  while found and byte(found) == 119 do
    local place = match(found, '^w([^\n]*)')
    local record = read(run, '@' .. place)
    local wait = record and waitIn(run, place, record)
    if not wait then
      -- its record is lost: whoever waits is woken by a repair, and gets what is kept
      setShard('fix', 'new')
      found = false
      break
    end
    local g, cell = isAlive(wait)
    if g then
      answer(run, wait, g, cell, 's' .. payload)
      return 'OK'
    end
    drop(run, wait)
    found = read(run, field)
  end
  if found then
    return 'LATE'
  end
  if (tonumber(read(run, '#')) or 0) >= MOST_SIGNALS_KEPT then
    return 'FULL'
  end
  if run.hasWaits and call('EXISTS', T .. ':u:' .. run.id) == 0 then
    setShard('fix', 'new')
  end
  count(run, 1)
  write(run, field, 'k' .. payload)
  return 'OK'
end

-- The wait at a place, if somebody may still get something there.
local function openAt(run, place)
  local record = read(run, '@' .. place)
  local isFine, wait = pcall(waitIn, run, place, record)
  return record and isFine and isAlive(wait) and wait
end

-- What is planned under an entry that is due.
local function doEntry(run, what)
  local index, gid = match(what, '^~(%d+)\t(.*)$')
  if gid then
    parking.wakeByTime(gid, tonumber(index))
    return
  end
  local record = read(run, '@' .. what)
  if not record then
    if call('EXISTS', T .. ':u:' .. run.id) == 0 then
      setShard('fix', 'new')
    end
    return
  end
  local wait = waitIn(run, what, record)
  if wait.due > now() then
    wakes.plan(wait.due, run.id .. '\t' .. what)
    return
  end
  local g, cell = isAlive(wait)
  if g then
    answer(run, wait, g, cell, 'd' .. wait.onDue)
  else
    drop(run, wait)
  end
end

-- Answers waits whose time has come, and wakes parked branches whose deadline has, `most` at most: how many, and when the next is due.
local function wakeDue(most)
  if shardNumber('wakes') == 0 then
    return 0, nil
  end
  local first = call('ZRANGE', T .. ':wake', 0, 0, 'WITHSCORES')
  if not first[1] or tonumber(first[2]) > now() then
    return 0, tonumber(first[2])
  end
  local entries = call('ZRANGEBYSCORE', T .. ':wake', '-inf', whole(now()), 'LIMIT', 0, most)
  for _, entry in ipairs(entries) do
    wakes.unplan(entry)
    local id, what = match(entry, '^([^\t]*)\t(.*)$')
    local isFine, run = pcall(loadRun, id or '')
    if isFine and run and not run.isEnded then
      local why
      isFine, why = pcall(doEntry, run, what)
      if not isFine then
        quarantine(id, why)
        forget(match(what, '^~%d+\t(.*)$') or id)
      end
    end
  end
  first = call('ZRANGE', T .. ':wake', #entries, #entries, 'WITHSCORES')
  return #entries, tonumber(first[2])
end

runWaits = { register = registerHeld, parkBranch = parkBranch, skip = skip, signal = signal, open = openAt, wakeDue = wakeDue }
end)()
