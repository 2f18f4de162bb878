-- Channels of a run: `ch` has kind and bytes by key, `cx` when a key expires, a list of its own the items of a list, `cn` what the last
-- calls that would count twice have answered, `cl` its locks (part-locks).
-- Gives: channelsOf readEntry mayWrite clear dropEnded setExpiry answered remember
-- Needs:
--   base: now whole
--   grants: heldGroup
--   run: loadRun
local REMEMBERED = 1024
-- So many keys with a time to live are looked at with each that is written: more than one, so that those past it do not pile up.
local LOOKED_AT = 4

-- The keys of a run's channels.
function channelsOf(run)
  local key = T .. ':r:' .. run
  return { ch = key .. ':ch', cx = key .. ':cx', cn = key .. ':cn', cl = key .. ':cl', items = key .. ':cl:' }
end

-- Kind (v, n, l) and bytes under a key; nil when there is nothing, or its time is over. Also whether something is to be cleared away.
function readEntry(c, key)
  local entry = call('HGET', c.ch, key)
  if not entry then
    return nil, nil, false
  end
  local expiry = tonumber(call('HGET', c.cx, key))
  if expiry and expiry <= now() then
    return nil, nil, true
  end
  return sub(entry, 1, 1), sub(entry, 2), false
end

-- Whether this branch may write channels of this run.
function mayWrite(run, gid, index, token)
  local facts = loadRun(run)
  if not facts or facts.isEnded then
    return false
  end
  local g = heldGroup(gid, tonumber(index), token)
  return g and g.run == run
end

function clear(c, key)
  call('HDEL', c.ch, key)
  call('HDEL', c.cx, key)
  call('DEL', c.items .. key)
end

-- Before a write with a time to live: clears away some of what is past its own, wherever it is.
function dropEnded(c, ttl)
  local some = ttl ~= '' and call('HRANDFIELD', c.cx, LOOKED_AT, 'WITHVALUES') or {}
  for i = 1, #some, 2 do
    if tonumber(some[i + 1]) <= now() then
      clear(c, some[i])
    end
  end
end

function setExpiry(c, key, ttl)
  if ttl ~= '' then
    call('HSET', c.cx, key, whole(now() + tonumber(ttl)))
  end
end

-- What a call with this nonce answered, if that is known; else where its answer will be kept, in place of the oldest.
function answered(c, nonce)
  local known = call('HMGET', c.cn, 'n' .. nonce, '#')
  if known[1] then
    return cmsgpack.unpack(known[1])
  end
  local count = tonumber(known[2]) or 0
  local field = '#' .. count % REMEMBERED
  return nil, { count = count, field = field, oldest = call('HGET', c.cn, field), nonce = nonce }
end

function remember(c, place, answer)
  if place.oldest then
    call('HDEL', c.cn, 'n' .. place.oldest)
  end
  call('HSET', c.cn, 'n' .. place.nonce, cmsgpack.pack(answer), place.field, place.nonce, '#', place.count + 1)
  return answer
end
