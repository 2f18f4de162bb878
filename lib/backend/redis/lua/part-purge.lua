-- Deletes what an ended run keeps: its payloads first, its record later.
-- Gives: purge
-- Needs:
--   base: now setShard shardNumber whole
--   closing: close
--   commit: later
--   due-queue: unplan
--   group: groups loadReadable
--   retries: retries
--   run: forgetRun loadRun setRun unpinRun

-- A function of its own: Lua has room for 200 names in one, and the parts before have taken nearly all.
(function()
-- Paths of what dispatched groups of a run, at most.
local MOST_DISPATCHERS = 200
-- What a head begins with: size, shared, rule, depth.
local HEAD_BEGIN, HEAD_BEGIN_BYTES = '<I4BBI4', 10
-- What a state begins with: since, state, flags, how many branches have no outcome.
local STATE_BEGIN, STATE_BEGIN_BYTES = '<dBBI4', 14

-- What a status counts of the first `count` groups stays with the record: the number of branches, and a line behind a slash for each path of what
-- dispatched them. Groups that only forward a branch count nothing.
local function countPurged(run, gids, count)
  local branches, withdrawn, lines, known = 0, 0, {}, {}
  for line in gmatch(call('HGET', run.key, 'gone') or '', '[^\n]+') do
    if byte(line) == 47 then
      lines[#lines + 1], known[line] = line, true
    else
      local before, left = match(line, '^(%d+) (%d+)$')
      branches, withdrawn = tonumber(before or 0), tonumber(left or 0)
    end
  end
  for i = 1, count do
    local gid = gids[i]
    local facts = gid ~= run.id and tryCall('HMGET', T .. ':b:' .. gid, 'h', 'g', 's') or {}
    local head, spec, state = facts[1], facts[2], facts[3]
    local isWhole = head and state and #head >= HEAD_BEGIN_BYTES and #state >= STATE_BEGIN_BYTES
    if isWhole and spec and not find(spec, '"isForwarded":true', 1, true) then
      local size, _, _, depth = unpackBytes(HEAD_BEGIN, head)
      local _, _, _, left = unpackBytes(STATE_BEGIN, state)
      local path = sub(gid, #run.id + 2)
      local line = '/' .. sub(path, 1, (find(path, '/~', 1, true) or 1) - 1)
      branches, withdrawn = branches + size, withdrawn + left
      if depth == 1 and not known[line] then
        lines[#lines + 1], known[line] = line, true
        if #lines > MOST_DISPATCHERS then
          known[table.remove(lines, MOST_DISPATCHERS / 2 + 1)] = nil
        end
      end
    end
  end
  setRun(run, 'gone', whole(branches) .. ' ' .. whole(withdrawn) .. (lines[1] and '\n' .. concat(lines, '\n') or ''))
end

-- Deletes what an ended run's groups hold, `most` groups at most. How many, and whether nothing is left of them.
local function purgePayloads(run, most)
  local id = run.id
  local list = T .. ':r:' .. id .. ':k'
  local gids = call('LRANGE', list, 0, most)
  local count = min(#gids, most)
  if run.isEnded then
    countPurged(run, gids, count)
  end
  for i = 1, count do
    local gid = gids[i]
    for _, command in ipairs(retries.deletionOf(gid)) do
      later(command)
    end
    groups[gid] = nil
  end
  if #gids > count then
    later({ 'LTRIM', list, count, -1 })
    return count, false
  end
  later({ 'UNLINK', list })
  return count, true
end

-- The run is found no more.
local function unlistRun(run, tags, build)
  later({ 'ZREM', T .. ':runs', run.id })
  for tag in gmatch(tags or '', '[^\n]+') do
    later({ 'ZREM', T .. ':by:t:' .. tag, run.id })
  end
  if run.workflow ~= '' then
    later({ 'ZREM', T .. ':by:w:' .. run.workflow, run.id })
  end
  if build then
    later({ 'ZREM', T .. ':by:b:' .. build, run.id })
  end
end

-- Deletes a run that has ended, or that was lost by its driver and taken by nobody, with all that it has; `idempotencyKey` or false.
local function purgeRun(run, idempotencyKey, tags, build)
  local keys = { 'UNLINK', run.key, run.key .. ':v', run.key .. ':ch', run.key .. ':cx', run.key .. ':cn', run.key .. ':cl', run.key .. ':e',
    T .. ':u:' .. run.id, T .. ':p:' .. run.id }
  for _, key in ipairs(call('HKEYS', run.key .. ':ch')) do
    keys[#keys + 1] = run.key .. ':cl:' .. key
    if #keys > 4000 then
      later(keys)
      keys = { 'UNLINK', run.key }
    end
  end
  later(keys)
  if idempotencyKey then
    later({ 'UNLINK', T .. ':k:' .. idempotencyKey })
  end
  unlistRun(run, tags, build)
  setShard('runs', whole(max(0, shardNumber('runs') - 1)))
  unplan('p ' .. run.id)
  unplan('t ' .. run.id)
  unpinRun(run)
  forgetRun(run.id)
end

-- A purge of a run is due: does what there is to do of it by now, for `most` groups at most. How many that were, and whether some are left.
function purge(id, most)
  local run = loadRun(id)
  local entry = 'p ' .. id
  if not run or not (run.isEnded or run.isAbandoned or run.lostAt) then
    unplan(entry)
    return 0, false
  end
  local root = loadReadable(id)
  if root and root.state == 'o' then
    -- a run that nobody took over or resumed: what is below it is closed first, and purged by the next sweep
    close(root, 'w', 'the run is past its retention')
    return 0, false
  end
  if call('LLEN', T .. ':todo') > 0 then
    -- groups below may still be open, and stand in lanes and counts: they are closed first
    return 0, false
  end
  local count, isAll = purgePayloads(run, most)
  if not isAll then
    return count, true
  end
  local facts = call('HMGET', run.key, 'kept', 'ikey', 'tags', 'build')
  local kept = run.kept or tonumber(facts[1]) or 0 -- it may have ended in this call
  if kept > now() then
    later({ 'ZADD', T .. ':purge', 'XX', kept, entry })
  else
    purgeRun(run, unpack(facts, 2, 4))
  end
  return count, false
end
end)()
