-- The lead: one session at most has it at a time, for a term that grows from leader to leader. Its lease says when another may take it, and so
-- does the end of its session. Nothing that a run needs waits for a leader.
-- Gives: leading
-- Needs:
--   base: commitNotices commitShard isOfOtherType notify now readShard setShard shardNumber whole
--   nodes: nodes
(function()
-- So many sessions are notified that nobody leads: one of them is enough; and so many are looked at for that where a leader gives the lead back.
local MOST_ASKED, MOST_LOOKED_AT = 4, 64

-- The last term, and the session that leads or led ('': the lead was given back), its base id, and the end of its lease.
local function readLead()
  local found = tryCall('HMGET', T .. ':lead', 'term', 'session', 'base', 'until')
  if found.err and not isOfOtherType(found) then
    error(found, 0)
  elseif found.err then
    call('UNLINK', T .. ':lead')
    found = {}
  end
  -- T:lead may be lost: T:m has the term, too, so that it grows all the same
  return max(tonumber(found[1]) or 0, shardNumber('term')), found[2] or '', found[3] or '', tonumber(found[4]) or 0
end

-- `gone`: sessions that go in this call.
local function isLed(session, untilMs, gone)
  return session ~= '' and untilMs > now() and not (gone and gone[session]) and call('ZSCORE', T .. ':w', session) and true
end

-- Where nobody leads: notifies those that may, first the ones that renewed last. `facts`: the sessions, as a sweep has read them.
local function offerLead(facts)
  local asked, gone = {}, {}
  for i = #facts, 1, -1 do
    local fact = facts[i]
    if fact.expiry <= now() then
      gone[fact.session] = true
    elseif fact.leads == '1' and #asked < MOST_ASKED then
      asked[#asked + 1] = fact.session
    end
  end
  if #asked == 0 then
    return
  end
  local _, session, _, untilMs = readLead()
  if not isLed(session, untilMs, gone) then
    for _, candidate in ipairs(asked) do
      notify(candidate, 'lead')
    end
  end
end

-- The same where the one that led gives the lead back.
local function offerAfter(resigned)
  local asked = 0
  for _, session in ipairs(call('ZREVRANGE', T .. ':w', 0, MOST_LOOKED_AT - 1)) do
    if asked < MOST_ASKED and session ~= resigned and tryCall('HGET', T .. ':wi:' .. session, 'leads') == '1' then
      notify(session, 'lead')
      asked = asked + 1
    end
  end
end

local function leadOf(term, session, base, untilMs)
  if isLed(session, untilMs) then
    return { 'OK', whole(term), session, base }
  end
  return { 'OK' }
end

-- Gives the lead to a session, renews its lease, or takes it back; or says who has it.
local function lead(kind, id, ttl)
  readShard({ 'ahead', 'seen', 'term' })
  local known = kind == 'stand' and tryCall('HGET', T .. ':wi:' .. id, 'base')
  local term, session, base, untilMs = readLead()
  if kind == 'stand' and type(known) ~= 'string' then
    return { 'NOSESSION' }
  elseif kind == 'resign' and session == id then
    call('HSET', T .. ':lead', 'session', '')
    offerAfter(id)
    commitShard()
    commitNotices()
    return { 'OK' }
  elseif kind == 'stand' and (session == id or not isLed(session, untilMs)) then
    -- its own lease goes on also when it is over: time makes the lead free, and nobody has taken it
    if session ~= id then
      term = term + 1
      setShard('term', whole(term))
      nodes.clusterEvent('leader:changed', id, known, whole(term))
    end
    session, base = id, known
    untilMs = ttl < HUGE and now() + ttl or HUGE
    call('HSET', T .. ':lead', 'term', whole(term), 'session', session, 'base', base, 'until', ttl < HUGE and whole(untilMs) or 'inf')
    commitShard()
  end
  return leadOf(term, session, base, untilMs)
end

-- Whether the session leads, in this term.
local function isTerm(id, itsTerm)
  readShard({ 'ahead', 'seen', 'term' })
  local term, session, _, untilMs = readLead()
  return session == id and whole(term) == itsTerm and isLed(session, untilMs)
end

leading = { lead = lead, offerLead = offerLead, isTerm = isTerm }
end)()
