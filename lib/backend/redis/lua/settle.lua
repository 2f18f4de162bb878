-- Flags: allow-oom
-- Uses: base groups barrier waking commit
-- Counts what became of branches: of many grants, a range each. Whether a result counts is decided by its token alone, branch by branch.
-- KEYS: T:m
-- Derives: T:b:<gid> T:b:<gid>:d T:b:<gid>:o T:b:<gid>:k T:b:<gid>:r T:r:<run> T:r:<run>:v T:o:<session> T:d T:due T:q:<lane> T:wait T:dead
-- ARGV: for each range: gid, token, mode (s: all succeeded, f: all final, m: others, too), outcomes (as stored in :o; kinds
--   6 to be retried, 7 released), delays (u32 each, or ''), number of saves, path and value of each
-- Answers: a word for each range: OK | DUP | FENCED | WITHDRAWN | GONE
local RETRY, RELEASED = 6, 7
local answers = {}

-- Nothing of the range is held under the token: why.
local function refusal(g, grantNumber, indexes, from, count)
  local number, isFenced = tonumber(grantNumber), false
  for i = 1, count do
    local index = indexes and indexes[i] or from + i - 1
    local cell = cellOf(g, index)
    if not cell or (unpackBytes('<I4', cell, 5)) ~= number then
      isFenced = true
    elseif byte(cell) == GRANTED then
      return g.state == 'o' and 'FENCED' or 'WITHDRAWN'
    end
  end
  return isFenced and 'FENCED' or 'DUP'
end

local function settleRange(gid, token, mode, outcomes, delays, save)
  local grantNumber = grantNumberOf(token)
  if grantNumber and #grantNumber > 10 then
    grantNumber = nil
  end
  local g = load(gid, grantNumber)
  if not g or g.isRetired then
    return 'GONE'
  end
  if not grantNumber then
    return 'FENCED'
  end
  local count, from = unpackBytes('<I4I4', outcomes)
  local at, indexes = 9, nil
  if from == ANYWHERE then
    indexes = {}
    for i = 1, count do
      indexes[i] = unpackBytes('<I4', outcomes, 5 + i * 4)
    end
    at = 9 + count * 4
  end
  if save then
    save[1] = T .. ':r:' .. g.run .. ':v'
    call('HLEN', save[1])
  end
  local known, branches, session = recordOf(g, grantNumber)
  if g.state ~= 'o' then
    if known and known ~= token then
      return 'FENCED'
    end
    return refusal(g, grantNumber, indexes, from, count)
  end
  if known ~= token then
    if known then
      return 'FENCED'
    end
    local answer = refusal(g, grantNumber, indexes, from, count)
    return answer
  end
  local number = tonumber(grantNumber)
  local kinds = sub(outcomes, at, at + count - 1)
  local numberBytes = pack('<I4', number)
  local run = g.isRoot and loadRun(g.run)
  if run and shard.ahead == nil then
    firstRead[#firstRead + 1] = 'keep'
  end
  if mode ~= 'm' and not indexes and not g.isRoot and from + count <= g.size and count > 0
    and cellsOf(g, from, count) == rep(char(GRANTED, 0, 0, 0) .. numberBytes, count) then
    touch(g)
    local failed = 0
    if mode == 's' then
      setCells(g, from, rep(char(SUCCEEDED, 0, 0, 0) .. numberBytes, count))
    else
      local cells = {}
      for i = 1, count do
        local kind = byte(kinds, i)
        cells[i] = char(kind, 0, 0, 0) .. numberBytes
        if kind == FAILED then
          failed = failed + 1
          local start = i > 1 and (unpackBytes('<I4', outcomes, at + count + i * 4 - 8)) or 0
          local last = unpackBytes('<I4', outcomes, at + count + i * 4 - 4)
          addDeadLetter(g, from + i - 1, FAILED, 0, 0, sub(outcomes, at + count * 5 + start, at + count * 5 + last - 1))
        end
      end
      setCells(g, from, concat(cells))
    end
    endHolding(g, grantNumber, session, branches, count)
    g.inFlight = g.inFlight - count
    if save then
      saves[#saves + 1] = save
    end
    activity(g.run, 'settled', gid)
    arrive(g, outcomes, count, failed)
    return 'OK'
  end

  local ended, endedKinds, values = {}, {}, {}
  local ready, delayed, isFenced, failed = 0, 0, false, 0
  for i = 1, count do
    local index = indexes and indexes[i] or from + i - 1
    local cell = cellOf(g, index)
    if not cell or (unpackBytes('<I4', cell, 5)) ~= number then
      isFenced = true
    elseif byte(cell) > DEAD then
      error('a branch in no state')
    elseif byte(cell) == GRANTED then
      touch(g)
      local _, errors, losses, flags = byte(cell, 1, 4)
      local kind = byte(kinds, i)
      if kind == RETRY then
        errors = min(errors + 1, 255)
        if g.attempts > 0 and errors >= g.attempts then
          kind = FAILED
        end
      end
      if kind == SUCCEEDED or kind == FAILED then
        local start = i > 1 and (unpackBytes('<I4', outcomes, at + count + i * 4 - 8)) or 0
        local last = unpackBytes('<I4', outcomes, at + count + i * 4 - 4)
        local value = sub(outcomes, at + count * 5 + start, at + count * 5 + last - 1)
        setCells(g, index, char(kind, errors, losses, 0) .. numberBytes)
        ended[#ended + 1], endedKinds[#endedKinds + 1], values[#values + 1] = index, char(kind), value
        if kind == FAILED then
          failed = failed + 1
          if not g.isRoot then
            addDeadLetter(g, index, FAILED, errors, losses, value)
          end
        end
        forgetWork(g, index, cell)
      else
        local delay = kind == RETRY and #delays >= i * 4 and (unpackBytes('<I4', delays, i * 4 - 3)) or 0
        if delay > 0 then
          setCells(g, index, char(DELAYED, errors, losses, childrenFlag(flags)) .. numberBytes)
          delayedDue[#delayedDue + 1] = { now() + delay, gid .. '#' .. whole(index) }
          delayed = delayed + 1
          g.delayed = g.delayed + 1
        else
          requeue(g, index, char(READY, errors, losses, childrenFlag(flags)) .. numberBytes)
          ready = ready + 1
        end
      end
    end
  end
  local accepted = #ended + ready + delayed
  if accepted == 0 then
    return isFenced and 'FENCED' or 'DUP'
  end
  endHolding(g, grantNumber, session, branches, accepted)
  g.inFlight = g.inFlight - accepted
  if run and #ended == 0 then
    setRun(run, 'driver', '')
    if run.isStarted then
      g.isParked = true
      abandon(run)
    end
  end
  if save then
    saves[#saves + 1] = save
  end
  activity(g.run, 'settled', gid)
  addReady(g, ready)
  if #ended > 0 then
    arrive(g, chunkOf(ended, concat(endedKinds), values), #ended, failed, values[1])
  else
    reopenLimit(g)
  end
  return 'OK'
end

local at, gids = 1, {}
while at <= #ARGV do
  local gid, token, mode, outcomes, delays = unpack(ARGV, at, at + 4)
  local save
  local saveCount = tonumber(ARGV[at + 5])
  at = at + 6
  if saveCount > 0 then
    save = { '' }
    for i = at, at + saveCount * 2 - 1 do
      save[#save + 1] = ARGV[i]
    end
    at = at + saveCount * 2
  end
  local isFine, answer = pcall(settleRange, gid, token, mode, outcomes, delays, save)
  if not isFine then
    quarantine(gid, answer)
    forget(gid)
    answer = 'GONE'
    for i, other in ipairs(gids) do
      if other == gid then
        answers[i] = 'GONE'
      end
    end
  end
  gids[#gids + 1] = gid
  answers[#answers + 1] = answer
end
commit()
return answers
