-- Locks of a run: `cl` has by key who has the lock, and who is the next to get it. A lock whose lease is over, or whose branch is not held any
-- more, is free; but it stays its holder's until somebody else takes it.
-- Gives: takeLock renewLock unlock lostLock
-- Needs:
--   base: nextFence now quarantine whole
--   grants: heldGroup
-- How long a free lock waits for the one who is the next to get it, from when that one last asked.
local RESERVED_MS = 500

-- `<fence> <nonce> <expiry> <index> <token> <next nonce> <reserved until> <gid>`; who has it has the nonce `-` where nobody does, and so has
-- who is the next. Anything else is no lock: whoever has it gets `lost`.
local function readLock(c, key)
  local record = call('HGET', c.cl, key)
  local lock = { nonce = '-', nextNonce = '-', nextUntil = 0 }
  if record then
    local fence, nonce, expiry, index, token, nextNonce, nextUntil, gid = match(record, '^(%d+) (%S+) (%d+) (%d+) (%S+) (%S+) (%d+) (.*)$')
    if fence then
      lock = { fence = fence, nonce = nonce, expiry = tonumber(expiry), index = index, token = token, nextNonce = nextNonce,
        nextUntil = tonumber(nextUntil), gid = gid }
    end
  end
  return lock
end

local function writeLock(c, key, lock)
  if lock.nonce == '-' and lock.nextNonce == '-' then
    call('HDEL', c.cl, key)
    return
  end
  local holder = lock.nonce == '-' and { '0 - 0 0 -' } or { lock.fence, lock.nonce, whole(lock.expiry), lock.index, lock.token }
  call('HSET', c.cl, key, concat({ concat(holder, ' '), lock.nextNonce, whole(lock.nextUntil), lock.gid or '' }, ' '))
end

-- An unreadable group holds nothing.
local function isHeld(lock)
  if lock.nonce == '-' or lock.expiry <= now() then
    return false
  end
  local isFine, g = pcall(heldGroup, lock.gid, tonumber(lock.index), lock.token)
  if not isFine then
    quarantine(lock.gid, g)
  end
  return isFine and g
end

local function extend(c, key, lock, lease)
  lock.expiry = now() + lease
  writeLock(c, key, lock)
  return lock.fence
end

-- Begins the lease of the lock that was taken with this nonce anew: its fence, or nil.
function renewLock(c, key, nonce, lease)
  local lock = readLock(c, key)
  return lock.nonce == nonce and extend(c, key, lock, lease) or nil
end

-- Gives the lock to the caller: its fence. Else nil and who has it, and the caller is the next if nobody is.
function takeLock(c, key, holder, nonce, lease)
  local lock = readLock(c, key)
  if lock.nonce == nonce then
    return extend(c, key, lock, lease)
  end
  local mayBeNext = lock.nextNonce == '-' or lock.nextUntil <= now() or lock.nextNonce == nonce
  if isHeld(lock) then
    if mayBeNext then
      lock.nextNonce, lock.nextUntil = nonce, now() + RESERVED_MS
      writeLock(c, key, lock)
    end
    return nil, lock.gid .. '#' .. lock.index
  elseif not mayBeNext then
    return nil, ''
  end
  local fence = nextFence()
  writeLock(c, key, { fence = fence, nonce = nonce, expiry = now() + lease, index = holder.index, token = holder.token, nextNonce = '-',
    nextUntil = 0, gid = holder.gid })
  return fence
end

-- Gives the lock back: its fence; nil where it was not the caller's. Who was the next to get it is so no more.
function unlock(c, key, nonce)
  local lock = readLock(c, key)
  local fence = lock.nonce == nonce and lock.fence or nil
  if fence then
    lock.nonce, lock.gid = '-', ''
  end
  if lock.nextNonce == nonce or lock.nextUntil <= now() then
    lock.nextNonce, lock.nextUntil = '-', 0
  end
  writeLock(c, key, lock)
  return fence
end

-- The key of the first lock that was given to somebody else since, or is gone. `under`: `<nonce> <bytes of the key>:<key>`, one after another.
function lostLock(c, under)
  local at = 1
  while at <= #under do
    local _, last, nonce, size = find(under, '^(%S+) (%d+):', at)
    local key = sub(under, last + 1, last + size)
    if readLock(c, key).nonce ~= nonce then
      return key
    end
    at = last + size + 1
  end
end
