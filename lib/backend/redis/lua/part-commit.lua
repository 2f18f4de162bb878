-- Writing: works out what follows from the changed picture (places in lanes, counters, who is woken), then writes all of it. Hides which keys
-- hold what. From the first write on nothing is read.

local function stateOf(g)
  return concat({ g.state, g.left, g.fill, g.bytes, g.next, g.flight, g.settles, g.leases, g.isQueued and 1 or 0, g.since }, ' ')
end

local function rareOf(g)
  return concat({ g.back, g.delayed, g.failed, g.dead, g.closed, g.isRetired and 1 or 0, g.cursorCount, g.hasKids and 1 or 0, g.affinityUntil }, ' ')
end

local function isRare(g)
  return g.hadRare or g.back > 0 or g.delayed > 0 or g.failed > 0 or g.dead > 0 or g.closed > 0 or g.isRetired or g.cursorCount > 0 or g.hasKids or g.affinityUntil > 0
end

local function commitGroup(g)
  local b = g.b
  if g.isNew then
    call('SET', b .. ':g', g.head)
  end
  for _, write in ipairs(g.writes or {}) do
    call(unpack(write))
  end
  for _, write in ipairs(g.cells) do
    call('SETRANGE', b .. ':d', write[1] * 8, write[2])
  end
  local fields = { 's', stateOf(g) }
  if isRare(g) then
    fields[3], fields[4] = 'x', rareOf(g)
  end
  if g.isInboxChanged then
    fields[#fields + 1], fields[#fields + 2] = 'inbox', g.inbox
  end
  if g.isSegmentsChanged then
    fields[#fields + 1], fields[#fields + 2] = 'segs', g.segments
  end
  local gone = {}
  for _, lease in ipairs(g.recordChanges) do
    local record = g.records[lease]
    if record then
      fields[#fields + 1], fields[#fields + 2] = 't' .. lease, record
    else
      gone[#gone + 1] = 't' .. lease
    end
  end
  many('HSET', b, fields)
  many('HDEL', b, gone)
  if #g.returned > 0 and g.state == 'o' then
    many('RPUSH', b .. ':r', g.returned)
  end
  for _, outcome in ipairs(g.outcomes) do
    call('HSET', b .. ':o', outcome[1], outcome[2])
  end
  for _, cursor in ipairs(g.cursors) do
    if cursor[2] then
      call('HSET', b .. ':c', cursor[1], cursor[2])
    else
      call('HDEL', b .. ':c', cursor[1])
    end
  end
  for index, kids in pairs(g.kids or {}) do
    if kids == '' then
      call('HDEL', b .. ':k', index)
    else
      call('HSET', b .. ':k', index, kids)
    end
  end
  if g.isQueued and not g.wasQueued then
    call('ZADD', T .. ':q:' .. g.lane, g.score, g.gid)
  elseif g.wasQueued and not g.isQueued then
    call('ZREM', T .. ':q:' .. g.lane, g.gid)
  end
end

-- Works out what follows from the changes, then writes all of them.
local function commit()
  settleClosing()
  local ready, n, f, y, laneOrder = 0, {}, {}, {}, {}
  for _, g in ipairs(groupOrder) do
    if g.isTouched then
      g.isQueued = isGrantable(g)
      local lane = g.lane
      if not n[lane] then
        n[lane], f[lane], y[lane] = 0, 0, 0
        laneOrder[#laneOrder + 1] = lane
      end
      local more = readyOf(g) - g.readyBefore
      ready = ready + more
      n[lane], f[lane], y[lane] = n[lane] + more, f[lane] + g.flight - g.flightBefore, y[lane] + g.delayed - g.delayedBefore
    end
  end
  for _, g in ipairs(dropped) do
    if g.isQueued then
      local lane, gone = g.lane, g.readyBefore or readyOf(g)
      if not n[lane] then
        n[lane], f[lane], y[lane] = 0, 0, 0
        laneOrder[#laneOrder + 1] = lane
      end
      ready, n[lane] = ready - gone, n[lane] - gone
    end
  end
  if #rings > 0 and #whoWaits() > 0 then
    for _, offer in ipairs(rings) do
      ringFor(offer[1], offer[2])
    end
  end
  local names = {}
  for _, lane in ipairs(laneOrder) do
    for letter, changes in pairs({ n = n, f = f, y = y }) do
      if changes[lane] ~= 0 and shard[letter .. ':' .. lane] == nil then
        names[#names + 1] = letter .. ':' .. lane
      end
    end
  end
  if ready ~= 0 and shard.ready == nil then
    names[#names + 1] = 'ready'
  end
  if #names > 0 then
    glance(unpack(names))
  end
  for _, lane in ipairs(laneOrder) do
    for letter, changes in pairs({ n = n, f = f, y = y }) do
      if changes[lane] ~= 0 then
        setShard(letter .. ':' .. lane, max(0, shardNumber(letter .. ':' .. lane) + changes[lane]))
      end
    end
  end
  if ready ~= 0 then
    setShard('ready', max(0, shardNumber('ready') + ready))
  end

  -- from here on only writes; first those of keys that were not read, which fail while nothing has changed if the key is of another type
  for _, g in ipairs(groupOrder) do
    if g.isNew then
      call('RPUSH', T .. ':r:' .. g.run .. ':k', g.gid)
    end
  end
  for _, g in ipairs(groupOrder) do
    if g.isTouched then
      commitGroup(g)
    end
  end
  for _, run in ipairs(runOrder) do
    if #run.changes > 0 then
      many('HSET', run.key, run.changes)
    end
  end
  for _, save in ipairs(saves) do
    for at = 2, #save, 2 do
      call('HSETNX', save[1], save[at], save[at + 1])
    end
  end
  for session, fields in pairs(owned) do
    local gone, kept = {}, {}
    for field, count in pairs(fields) do
      if count > 0 then
        kept[#kept + 1], kept[#kept + 2] = field, count
      else
        gone[#gone + 1] = field
      end
    end
    many('HSET', T .. ':o:' .. session, kept)
    many('HDEL', T .. ':o:' .. session, gone)
  end
  for _, entry in ipairs(due) do
    call('ZADD', T .. ':due', whole(entry[1]), entry[2])
  end
  many('ZREM', T .. ':due', dueGone)
  for _, entry in ipairs(delayedDue) do
    call('ZADD', T .. ':d', whole(entry[1]), entry[2])
  end
  many('ZREM', T .. ':d', promotedGone)
  many('RPUSH', T .. ':todo', closeLater)
  many('RPUSH', T .. ':todo', placeLater)
  many('HSET', T .. ':l', newLanes)
  for _, session in ipairs(woken) do
    call('ZREM', T .. ':wait', session)
    call('HDEL', T .. ':wi:' .. session, 'wait')
  end
  for _, letter in ipairs(deadLetters) do
    local g = letter[1]
    redis.pcall('XADD', T .. ':dead', 'MAXLEN', '~', 1000, '*', 'gid', g.gid, 'index', letter[2], 'run', g.run, 'kind', letter[3] == DEAD and 'dead' or 'failed', 'errors', letter[4],
      'losses', letter[5], 'at', wall(), 'isCut', letter[6] and 0 or 1, 'input', letter[6] or '', 'error', letter[7])
  end
  commitShard()
  commitNews()
end
