-- What happens in the store, kept for those who look at it from outside: T:ev. Only while somebody has asked for it, until when T:m says in `ev`;
-- so a store that nobody looks at pays nothing.
-- Gives: eventLog
-- Needs:
--   base: makeAnew now shardValue
(function()
local MOST_EVENTS = 10000
-- What is to be kept with the other writes of this call.
local planned = {}

local function reset()
  planned = {}
end

-- Whether somebody wants to know what happens.
local function isKept()
  local untilWhen = shardValue('ev')
  return untilWhen and (tonumber(untilWhen) or 0) > now()
end

-- Keeps an event: its kind, and its facts, a line each.
local function noteEvent(kind, ...)
  if isKept() then
    makeAnew('XADD', T .. ':ev', 'MAXLEN', '~', MOST_EVENTS, '*', 'k', kind, 'f', concat({ ... }, '\n'))
  end
end

-- The same, behind the states of runs that this call changes.
local function planEvent(...)
  if isKept() then
    if not planned[1] then begins[#begins + 1] = reset end
    planned[#planned + 1] = { ... }
  end
end

-- A run has another state than before; `from` is nil of a new one.
local function noteRun(id, workflow, from, to)
  if from ~= to then
    noteEvent('run', id, from or '', to, workflow)
  end
end

local function commitEvents()
  for i = 1, #planned do
    noteEvent(unpack(planned[i]))
  end
end

eventLog = { isKept = isKept, noteEvent = noteEvent, planEvent = planEvent, noteRun = noteRun, commitEvents = commitEvents }
end)()
