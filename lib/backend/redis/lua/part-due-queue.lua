-- What falls due, in T:due: deadlines of grants (d) and of tasks in hand (e), pushed grants to be confirmed (s), ends of affinities (a), run timeouts (t) and purges (p).
-- Gives: plan unplan commitPlans
-- Needs:
--   base: many
local planned, unplanned = {}, {}

function begin_due_queue()
  if planned[1] then planned = {} end
  if unplanned[1] then unplanned = {} end
end

function plan(at, entry)
  planned[#planned + 1] = { at, entry }
end

function unplan(entry)
  unplanned[#unplanned + 1] = entry
end

function commitPlans()
  for i = 1, #planned do
    call('ZADD', T .. ':due', planned[i][1], planned[i][2])
  end
  if unplanned[1] then many('ZREM', T .. ':due', unplanned) end
end
