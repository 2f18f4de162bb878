-- Branches that end as their inputs come: whoever dispatches them has found what they would get to be wrong. Hides that no worker is offered such a
-- branch, and that those around it stand among the requeued ones from then on.
-- Gives: refuse
-- Needs:
--   barrier: barrier
--   base: activity
--   branch-table: FAILED NO_GRANT READY cellOf setCells
--   group: filled touch
--   retries: retries

-- The branches that ARGV names from `at` on, each with its error, have failed, unless they have an outcome or are held.
function refuse(g, ARGV, at)
  local indexes, values = {}, {}
  for i = at, #ARGV, 2 do
    local index = tonumber(ARGV[i])
    local cell = cellOf(g, index)
    if cell and byte(cell) == READY then
      indexes[#indexes + 1], values[#values + 1] = index, ARGV[i + 1]
    end
  end
  local count = #indexes
  if count == 0 then
    return
  end
  touch(g)
  retries.requeueFresh(g)
  for _, index in ipairs(indexes) do
    setCells(g, index, char(FAILED, 0, 0, 0) .. NO_GRANT)
    if index < filled(g) then
      g.requeuedCount = g.requeuedCount - 1
    end
  end
  activity(g.run, 'settled', g.gid)
  barrier.arrive(g, barrier.chunkOf(indexes, rep(char(FAILED), count), values), count, count, values[count])
end
