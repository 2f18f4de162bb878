-- Housekeeping that only the leader does: what it asks names its term, and is refused when that is over.
-- Gives: tending
-- Needs:
--   base: commitShard readHint whole
--   branch-table: GRANTED cellOf
--   commit: commit
--   group: loadReadable
--   leader: leading
--   nodes: nodes
--   run: loadRun
--   runs: endRun
(function()
-- How long a graph is kept that no run uses; runs in a page; keys in a page.
local GRAPH_RETENTION_MS, RUNS_A_PAGE, KEYS_A_PAGE = 24 * 3600000, 200, 500
-- By the first part of a key's name: such keys belong to a run.
local OF_RUNS = { b = true, r = true, p = true, u = true }
-- What follows the id of a run in names of keys, behind a colon; no id has such a part.
local ENDS = { v = true, k = true, e = true, ch = true, cx = true, cn = true, cl = true }

-- Keeps the graphs of a page of runs that have not ended: how many, and where the next page begins.
local function keepGraphs(cursor)
  local from = tonumber(cursor) or 0
  local runs = readHint('ZRANGE', T .. ':runs', from, from + RUNS_A_PAGE - 1) or {}
  local kept, count = {}, 0
  for _, id in ipairs(runs) do
    local facts = tryCall('HMGET', T .. ':r:' .. id, 'graph', 'end')
    if facts[1] and not facts[2] and not kept[facts[1]] then
      kept[facts[1]] = true
      -- a graph that is kept for good stays so
      if call('EXPIRE', T .. ':g:' .. facts[1], GRAPH_RETENTION_MS / 1000, 'GT') == 1 then
        count = count + 1
      end
    end
  end
  return count, #runs == RUNS_A_PAGE and whole(from + RUNS_A_PAGE) or ''
end

-- The run that a key belongs to.
local function runOfKey(kind, name)
  if kind == 'b' then
    return match(name, '^([^/]*)/') or match(name, '^(.*):[drk]$') or match(name, '^(.*):[io]%d*$') or name
  end
  local at = 1
  while true do
    local from = find(name, ':', at, true)
    if not from then
      return name
    elseif ENDS[match(name, '^[^:]*', from + 1)] then
      return sub(name, 1, from - 1)
    end
    at = from + 1
  end
end

-- Forgets runs in an index that are gone, which an older release leaves there: how many. Of many runs the oldest are looked at.
local function forgetIn(key)
  local gone = {}
  local ids = tryCall('ZRANGE', key, 0, RUNS_A_PAGE - 1)
  for _, id in ipairs(ids.err and {} or ids) do
    if call('EXISTS', T .. ':r:' .. id) == 0 then
      gone[#gone + 1] = id
    end
  end
  if gone[1] then
    call('ZREM', key, unpack(gone))
  end
  return #gone
end

-- Deletes what belongs to runs whose record is gone, in a page of keys: how many, and where the next page begins.
local function deleteOrphans(cursor)
  local pattern = (string.gsub(T, '[%*%?%[%]\\]', '\\%0')) .. ':*'
  local page = call('SCAN', cursor == '' and '0' or cursor, 'MATCH', pattern, 'COUNT', KEYS_A_PAGE)
  local isThere, gone, unlisted = {}, {}, 0
  for _, key in ipairs(page[2]) do
    local kind, name = match(sub(key, #T + 2), '^(%w+):(.*)$')
    unlisted = unlisted + (kind == 'by' and forgetIn(key) or 0)
    local run = kind and OF_RUNS[kind] and runOfKey(kind, name) or (kind == 'k' and readHint('GET', key))
    if run then
      if isThere[run] == nil then
        isThere[run] = call('EXISTS', T .. ':r:' .. run) == 1
      end
      if not isThere[run] then
        gone[#gone + 1] = key
      end
    end
  end
  if #gone > 0 then
    call('UNLINK', unpack(gone))
  end
  return #gone + unlisted, page[1] ~= '0' and page[1] or ''
end

-- Ends a run that stands still. Whether it has: not one that is over, paused, or without a driver.
local function failRun(id, reason, value)
  local run = loadRun(id)
  local root = run and not run.isEnded and not run.isPaused and loadReadable(id)
  if not root or root.state ~= 'o' or byte((cellOf(root, 0))) ~= GRANTED then
    return 0
  end
  endRun(run, 'failed', value, reason)
  commit()
  return 1
end

-- Does what a leader asks.
local function tend(session, term, kind, ARGV)
  if not leading.isTerm(session, term) then
    return { 'DEPOSED' }
  end
  local count, cursor = 0, ''
  if kind == 'nodes' then
    count = nodes.markNodes(tonumber(ARGV[5]), tonumber(ARGV[6]))
  elseif kind == 'graphs' then
    count, cursor = keepGraphs(ARGV[5])
  elseif kind == 'orphans' then
    count, cursor = deleteOrphans(ARGV[5])
  elseif kind == 'fail-run' then
    count = failRun(ARGV[5], ARGV[6], ARGV[7])
  end
  commitShard()
  return { 'DONE', whole(count), cursor }
end

tending = { tend = tend }
end)()
