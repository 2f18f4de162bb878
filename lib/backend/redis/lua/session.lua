-- Flags: allow-oom
-- Uses: base groups barrier waking commit grants sweep
-- Opens, renews (and sweeps, when asked), reconciles or closes a session, or confirms that it has what it was sent.
-- KEYS: T:m
-- Derives: T:w T:wi:<session> T:wb T:in:<session> T:o:<session> T:lost T:wait T:due T:b:<gid> T:b:<gid>:d, and what a sweep derives
-- ARGV: open, session, ttl (inf: endless), base id, info, tasks (,a,b, or *) | renew, session, ttl, sweeps (0 or 1), whether it is subscribed to T:alive now (0 or 1; by who knows)
--   | reconcile, session, bytes, then gid and token of what it knows | confirm, session, then gid and token of what it was sent
--   | close, session
-- Answers: OK (renew: then the sweep's answer) | NOSESSION | RECONCILED number-unknown (grants, 12 parts each, then lost tokens)
local kind, session = ARGV[1], ARGV[2]
local key, inbox = T .. ':wi:' .. session, T .. ':in:' .. session
readShard({ 'ahead', 'sweepDue', 'fence', 'seq', 'ready', 'lanes', 'keep' })
local known = call('HMGET', key, 'base', 'wait', 'seq')
local ttl = kind == 'open' or kind == 'renew'
ttl = ttl and tonumber(ARGV[3]) or HUGE

local function expiry()
  return ttl < HUGE and whole(now() + ttl) or '+inf'
end

if kind == 'open' then
  local base = ARGV[4]
  local bases = {}
  if known[1] ~= base then
    if known[1] then
      bases[1] = { known[1], -1 }
    end
    bases[#bases + 1] = { base, 1 }
  end
  call('ZCARD', T .. ':w')
  call('HLEN', T .. ':wb')
  call('LLEN', T .. ':lost')
  local isNew = call('EXISTS', inbox) == 0
  local sequence = known[3]
  if not sequence then
    sequence = shardNumber('seq')
    setShard('seq', sequence + 1)
  end
  if ttl < HUGE then
    announceSweep(ttl)
  end
  now()
  if known[2] then
    notify(session, 'work')
  end
  for _, change in ipairs(bases) do
    if call('HINCRBY', T .. ':wb', change[1], change[2]) <= 0 then
      call('HDEL', T .. ':wb', change[1])
    end
  end
  if not known[1] then
    -- thought dead, and back: what nobody has taken yet stays its own, and nothing that it acquires from now on is taken
    call('LREM', T .. ':lost', 0, session)
  end
  call('ZADD', T .. ':w', expiry(), session)
  call('HSET', key, 'base', base, 'info', ARGV[5], 'tasks', ARGV[6], 'ttl', ttl < HUGE and ARGV[3] or 'inf', 'seq', sequence)
  if known[2] then
    call('HSET', key, 'wait', '!' .. match(known[2], '^!?(.*)$'))
    call('ZADD', T .. ':wait', -now(), session)
  end
  call('PERSIST', inbox)
  if isNew then
    call('XDEL', inbox, call('XADD', inbox, '*', 'k', 'hello'))
  end
  commitShard()
  commitNotices()
  return { 'OK' }
end

if not known[1] then
  return { 'NOSESSION' }
end

if kind == 'renew' then
  local wrong = call('ZSCORE', T .. ':w', session)
  if ttl < HUGE then
    announceSweep(ttl)
  end
  local renewed = expiry()
  if ARGV[5] then
    -- 1: so that its end is noticed however soon it comes; 0: who says that it is cut off is not dead
    call('HSET', key, 'alive', ARGV[5])
  end
  if ARGV[4] == '1' then
    sessionWrites[1] = { 'ZADD', T .. ':w', renewed, session }
    sessionWrites[2] = { 'HSET', key, 'ttl', ARGV[3] }
    -- the sweep sees the renewed session
    call('ZADD', T .. ':w', renewed, session)
    local isFine, answer = pcall(sweep)
    if not isFine then
      -- what no sweep can read must not look like the loss of every session; who sweeps without renewing tells
      return { 'OK' }
    end
    if answer[1] == 'SKIP' then
      commitShard()
    end
    return { 'OK', unpack(answer) }
  end
  call('ZADD', T .. ':w', renewed, session)
  call('HSET', key, 'ttl', ttl < HUGE and ARGV[3] or 'inf')
  commitShard()
  return { 'OK' }
end

if kind == 'confirm' then
  local sent = {}
  for i = 3, #ARGV, 2 do
    sent[#sent + 1] = 's ' .. ARGV[i] .. '#' .. (grantNumberOf(ARGV[i + 1]) or '')
  end
  many('ZREM', T .. ':due', sent)
  return { 'OK' }
end

local fields = call('HGETALL', T .. ':o:' .. session)

-- The token of a grant whose group is open, and the grant itself when its token is not among those `named` and there is room for it.
local function whatIsHeld(gid, grantNumber, named, bytesLeft)
  local g = load(gid, grantNumber)
  local token = g and g.state == 'o' and recordOf(g, grantNumber)
  if not token then
    return nil
  end
  return token, not named[token] and bytesLeft > 0 and heldOf(g, grantNumber) or nil
end

if kind == 'reconcile' then
  local bytesLeft = tonumber(ARGV[3])
  local named, ownedTokens, grants, lost = {}, {}, {}, {}
  for i = 5, #ARGV, 2 do
    named[ARGV[i]] = true
  end
  for i = 1, #fields, 2 do
    local gid, grantNumber = match(fields[i], '^(.*)#(%d+)$')
    -- what cannot be read is not held by anybody
    local isFine, token, grant = pcall(whatIsHeld, gid or '', grantNumber, named, bytesLeft)
    if isFine and token then
      ownedTokens[token] = true
      grants[#grants + 1] = grant
      bytesLeft = bytesLeft - (grant and grant.size or 0)
    end
  end
  local reply = { 'RECONCILED', #grants }
  for _, grant in ipairs(grants) do
    addGrant(reply, grant)
  end
  for i = 5, #ARGV, 2 do
    if not ownedTokens[ARGV[i]] then
      reply[#reply + 1] = ARGV[i]
    end
  end
  return reply
end

-- close
removeSession(session, known[1])
for i = 1, #fields, 2 do
  local gid, grantNumber = match(fields[i], '^(.*)#(%d+)$')
  if gid then
    local isFine, why = pcall(function()
      local g = load(gid, grantNumber)
      if g then
        reclaim(g, grantNumber, 'closed', ANYWHERE)
      end
    end)
    if not isFine then
      quarantine(gid, why)
      forget(gid)
    end
  end
end
owned[session] = nil
afterwards[#afterwards + 1] = { 'UNLINK', T .. ':o:' .. session }
for _, waiter in ipairs(waitingSessions()) do
  if waiter.session == session then
    waiter.isNotified = true
  end
end
-- who was kept away by a preferred worker may come now
settleClosing()
notifyAll(false)
commit()
commitRemovals()
return { 'OK' }
