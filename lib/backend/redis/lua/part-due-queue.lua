-- What falls due, in T:due: deadlines of grants (d) and of tasks in hand (e), pushed grants to be confirmed (s), ends of affinities (a) and run
-- timeouts (t). Purges (p) stand apart, in T:purge: no process waits for them, and whatever else is due must not wait behind them. T:m has how
-- many each holds, so that a loss is noticed. So do wakes, in T:wake: of waits that have a time, and of parked branches that have a deadline.
-- Gives: plan unplan wakes commitPlans
-- Needs:
--   base: setShard shardNumber whole
local planned, unplanned, purges, purged = {}, {}, {}, {}
-- By entry of T:wake: when it is due, or false: it goes.
local wakePlans = {}

function begin_due_queue()
  if planned[1] then planned = { nil, nil } end
  if unplanned[1] then unplanned = {} end
  if purges[1] then purges = { nil, nil } end
  if purged[1] then purged = {} end
  if next(wakePlans) then wakePlans = {} end
end

-- A time as Redis takes it soonest; one that is not whole, or endless, as it is.
local function textOf(at)
  return at % 1 == 0 and at < 9007199254740992 and whole(at) or at
end

function plan(at, entry)
  local list = byte(entry) == 112 and purges or planned
  local count = #list
  list[count + 1], list[count + 2] = textOf(at), entry
end

function unplan(entry)
  local list = byte(entry) == 112 and purged or unplanned
  list[#list + 1] = entry
end

wakes = {}

function wakes.plan(at, entry)
  wakePlans[entry] = at
end

function wakes.unplan(entry)
  wakePlans[entry] = false
end

-- `added`: times, each with its entry behind it.
local function write(key, name, added, removed)
  local change, count = 0, #added
  for i = 1, count, 4000 do
    change = change + call('ZADD', key, unpack(added, i, min(i + 3999, count)))
  end
  if removed[1] then
    for i = 1, #removed, 4000 do
      change = change - call('ZREM', key, unpack(removed, i, min(i + 3999, #removed)))
    end
  end
  if change ~= 0 then
    setShard(name, whole(max(0, shardNumber(name) + change)))
  end
end

function commitPlans()
  if planned[1] or unplanned[1] then write(T .. ':due', 'dues', planned, unplanned) end
  if purges[1] or purged[1] then write(T .. ':purge', 'purges', purges, purged) end
  if next(wakePlans) then
    local added, removed = {}, {}
    for entry, at in pairs(wakePlans) do
      if at then
        local count = #added
        added[count + 1], added[count + 2] = textOf(at), entry
      else
        removed[#removed + 1] = entry
      end
    end
    write(T .. ':wake', 'wakes', added, removed)
  end
end
