-- How runs end, and what they save.
-- Gives: save endRun commitSaves
-- Needs:
--   base: activity now setShard shardNumber shardValue wall whole
--   closing: close
--   due-queue: plan unplan wakes
--   group: loadReadable
--   run: standings setRun unpinRun
-- Counters of runs that have ended, at most; and what counts those that have none of their own.
local MOST_COUNTED_ENDS = 600
local OTHER_WORKFLOWS = '~other'
local saves = {}

local function reset()
  saves = {}
end

-- Outputs to be saved: the key (which must be read before), then path and value of each. A path that has one keeps it; behind a `!` it is replaced.
function save(values)
  if not saves[1] then begins[#begins + 1] = reset end
  saves[#saves + 1] = values
end

-- One more run has ended so: a field of T:m for each state and workflow; names beyond the first are counted together.
local function countEnd(run, as)
  local name = 'e:' .. as .. ':' .. run.workflow
  if not shardValue(name) then
    local kinds = shardNumber('ends')
    if kinds >= MOST_COUNTED_ENDS then
      name = 'e:' .. as .. ':' .. OTHER_WORKFLOWS
    else
      setShard('ends', whole(kinds + 1))
    end
  end
  setShard(name, whole(shardNumber(name) + 1))
end

-- The waits of a run as this call leaves them: fields, and the first byte of what an address has; nil where they are very many.
local MOST_DROPPED = 1024
local function waitsOf(run, key)
  if call('HLEN', key) > MOST_DROPPED then
    return nil
  end
  local fields = {}
  for _, field in ipairs(call('HKEYS', key)) do
    fields[field] = byte(field) == 61 and byte(call('HGET', key, field)) or 0
  end
  for _, write in ipairs(run.writes) do
    if write[2] == key then
      fields[write[3]] = write[4] and byte(write[4]) or nil
    end
  end
  return fields
end

-- Nothing of a run that is over waits. Signals that nobody has waited for (`k`) stay, for a retry; of very many waits nothing does, and what is
-- planned for them is dropped when it is due.
local function dropWaits(run)
  local key = T .. ':u:' .. run.id
  run.writes = run.writes or {}
  local gone, hasKept = {}, false
  for field, first in pairs(waitsOf(run, key) or {}) do
    if byte(field) == 64 then
      wakes.unplan(run.id .. '\t' .. sub(field, 2))
    end
    if byte(field) == 61 and first == 107 then
      hasKept = true
    elseif field ~= '#' then
      gone[#gone + 1] = field
    end
  end
  if not hasKept then
    run.writes[#run.writes + 1] = { 'UNLINK', key }
  elseif gone[1] then
    run.writes[#run.writes + 1] = { 'HDEL', key, unpack(gone) }
  end
end

-- Ends a run that has not ended: withdraws what is open of it, and plans its purge. `upload`: its value, if not `value`.
function endRun(run, as, value, reason, upload)
  if not run or run.isEnded then
    return
  end
  local at = now()
  run.isEnded, run.ended, run.kept = true, as, at + run.retention
  local changes = run.changes or {}
  run.changes = changes
  local count = #changes
  changes[count + 1], changes[count + 2], changes[count + 3], changes[count + 4], changes[count + 5], changes[count + 6] =
    'end', as, 'endedAt', whole(wall()), 'kept', run.kept < 9007199254740992 and whole(run.kept) or run.kept
  standings.relist(run, standings.ofEnd(as))
  unpinRun(run)
  countEnd(run, as)
  if upload then
    run.valueUpload = upload
  else
    setRun(run, 'value', value)
  end
  local root = loadReadable(run.id)
  if root then
    close(root, 'w', reason)
  end
  -- one that is retried goes on from its inputs and outcomes
  plan(as == 'completed' and min(at + tonumber(shardValue('keep') or 600000), run.kept) or run.kept, 'p ' .. run.id)
  if run.timeout then
    unplan('t ' .. run.id)
  end
  if run.hasWaits then
    dropWaits(run)
  end
  activity(run.id, 'state', run.id)
end

function commitSaves()
  for i = 1, #saves do
    local values = saves[i]
    for at = 2, #values, 2 do
      local path = values[at]
      if byte(path) == 33 then -- an exclamation mark
        call('HSET', values[1], sub(path, 2), values[at + 1])
      else
        call('HSETNX', values[1], path, values[at + 1])
      end
    end
  end
end
