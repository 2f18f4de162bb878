-- One group as a picture in memory: read once, changed there, written by `commit`. Hides how its facts and counters are stored, and where the
-- inputs of its branches are.
-- Gives: groups groupOrder RULES load loadReadable packing addGroup forget forgotten headOf stateOf isClosedBy specOf isOneTask filled readyOf touch
--   asCounted segmentOf sharedInput inputRange inputBytes inputPlace inputOf
-- Needs:
--   base: firstRead notify quarantine shard whole
--   branch-table: BLOCK_BYTES stored storedNear
-- By gid: the group, or false when there is none. Those that turned out to be unreadable are `forgotten`.
groups, groupOrder, forgotten = {}, {}, {}

function begin_group()
  groups, groupOrder = {}, { nil, nil, nil, nil }
  if forgotten[1] then forgotten = {} end
end

-- Rules of release, by number: all branches, the first failure, the first success.
RULES = { 'all', 'ff', 'fs' }

-- What never changes of a group: size, shared, rule, depth, limit, attempts, losses, timeout, as the client packs them; then index of the branch
-- that opened it, opened, score; lane, digest, affinity, gid of the group that this branch is of.
local HEAD, FACT_BYTES = '<I4BBI4dI4I4dI4ddssss', 34
-- What does: since; state, flags, left, fill, bytes, next, inFlight, settles, grantCount, requeuedCount, delayed, failed, dead, epoch of hints
-- (part-ready-queue); closed, end of the affinity. Behind it: the session that is notified of the release.
local STATE, STATE_BYTES = '<dBBI4I4I4I4I4I4I4I4I4I4I4I4dd', 74
local STATES = { [111] = 'o', [114] = 'r', [119] = 'w' }
local STATE_BYTE = { o = 111, r = 114, w = 119 }
local IS_QUEUED, IS_RETIRED, HAS_GROUPS, IS_OPENERS, IS_REOPENED, ENDS_RUN = 1, 2, 4, 8, 16, 32
-- By all flags: what each says.
local FLAGS = {}
for flags = 0, ENDS_RUN * 2 - 1 do
  FLAGS[flags] = { isQueued = flags % 2 == 1, isRetired = flags % 4 >= IS_RETIRED, hasChildren = flags % 8 >= HAS_GROUPS,
    isOpeners = flags % 16 >= IS_OPENERS, isReopened = flags % 32 >= IS_REOPENED, endsRun = flags >= ENDS_RUN }
end

-- Of a new group, or of one that stands in another lane.
function headOf(g)
  return sub(g.facts, 1, FACT_BYTES) .. pack('<I4ddssss', g.parentIndex, g.opened, g.score, g.lane, g.digest, g.affinity, g.parent)
end

function stateOf(g)
  local flags = 0
  if g.isQueued then flags = IS_QUEUED end
  if g.isRetired then flags = flags + IS_RETIRED end
  if g.hasChildren then flags = flags + HAS_GROUPS end
  if g.isOpeners then flags = flags + IS_OPENERS end
  if g.isReopened then flags = flags + IS_REOPENED end
  if g.endsRun then flags = flags + ENDS_RUN end
  return pack(STATE, g.since, STATE_BYTE[g.state], flags, g.left, g.fill, g.bytes, g.next, g.inFlight, g.settles, g.grantCount, g.requeuedCount,
    g.delayed, g.failed, g.dead, g.epoch, g.closed, g.affinityUntil) .. g.inbox
end

-- Fields of a group's hash: state, head, table, segments, how many branches are parked, and the record of a grant or the spec where they are wanted.
local function readFields(b, grantNumber, isToGrant)
  if grantNumber then
    return call('HMGET', b, 's', 'h', 'd', 'segs', 'w', 't' .. grantNumber)
  elseif isToGrant then
    return call('HMGET', b, 's', 'h', 'd', 'segs', 'w', 'g')
  end
  return call('HMGET', b, 's', 'h', 'd', 'segs', 'w')
end

-- The picture that these fields give. Garbage is an error.
local function decode(gid, b, fields)
  local s, h = fields[1], fields[2]
  if not h then
    error('no head')
  end
  if #s < STATE_BYTES then
    error('an unreadable state')
  end
  local since, state, flags, left, fill, bytes, nextIndex, inFlight, settles, grantCount, requeuedCount, delayed, failed, dead, epoch, closed,
    affinityUntil = unpackBytes(STATE, s)
  local size, shared, rule, depth, limit, attempts, losses, timeout, parentIndex, opened, score, lane, digest, affinity, parent = unpackBytes(HEAD, h)
  if not STATES[state] or not RULES[rule] or score ~= score or not find(lane, '^%x+$') then
    error('an unreadable head or state')
  end
  local parked = tonumber(fields[5] or 0)
  if size == 0 or not parked or max(left, fill, nextIndex, inFlight, delayed, parked) > size then
    error('a state with more branches than the group has')
  end
  if fields[3] and #fields[3] < size * 8 then
    error('a branch table that is cut off')
  end
  local is = FLAGS[flags % (ENDS_RUN * 2)]
  return { gid = gid, b = b, run = parent == '' and gid or sub(gid, 1, (find(gid, '/', 1, true) or 0) - 1),
    size = size, isShared = shared == 1, rule = RULES[rule], lane = lane,
    score = score, depth = depth, limit = limit, attempts = attempts, losses = losses, timeout = timeout, parentIndex = parentIndex, opened = opened,
    digest = digest, affinity = affinity, parent = parent, isRoot = parent == '', facts = h, spec = nil, state = STATES[state],
    left = left, fill = fill, bytes = bytes, next = nextIndex, inFlight = inFlight, settles = settles, grantCount = grantCount,
    requeuedCount = requeuedCount, delayed = delayed, parked = parked, failed = failed, dead = dead, epoch = epoch, since = since, closed = closed,
    affinityUntil = affinityUntil, isQueued = is.isQueued, isRetired = is.isRetired, hasChildren = is.hasChildren, isOpeners = is.isOpeners,
    isReopened = is.isReopened, endsRun = is.endsRun, inbox = #s > STATE_BYTES and sub(s, STATE_BYTES + 1) or '',
    inline = fields[3], segments = fields[4] or '',
    nextBefore = state == 111 and parent ~= '' and nextIndex, wasQueued = is.isQueued,
    inFlightBefore = is.isOpeners and 0 or inFlight, delayedBefore = delayed, readyBefore = 0,
    isTouched = false, records = {} }
end

-- A root that is parked, has opened no group, and whose input is small, is one string, T:p:<run>, in place of its hash: whether the list of the run's
-- groups has gone with it; state, first facts of the head, table with its input, what another driver needs (behind a `|`, if a driver said so), spec;
-- opened, score, lane. What the run's record has, too, is a byte in the spec, and left out of the head.
local PACKED = '<BI4c0I4c0I4c0I4c0I4c0ddI4c0'
local IS_GID, IS_GRAPH, IS_DIGEST = '\1', '\2', '\3'

local function replace(text, what, by)
  return (string.gsub(text, (string.gsub(what, '%p', '%%%0')), (string.gsub(by, '%%', '%%%%'))))
end

packing = {}

-- The root of a run may be packed, if it is still parked when it is written.
function packing.allow(g)
  local facts = call('HMGET', T .. ':r:' .. g.run, 'graph', 'dig')
  local need = g.need or call('HGET', g.b, 'need')
  if not facts[1] or facts[2] ~= g.digest or facts[1] == '' or facts[2] == '' then
    return
  end
  local spec = replace(replace(replace(specOf(g), g.gid, IS_GID), facts[1], IS_GRAPH), g.digest, IS_DIGEST)
  g.packed = { spec = spec, need = need and '|' .. need or '', isAlone = call('LLEN', T .. ':r:' .. g.run .. ':k') == 1 }
end

-- As the root is stored.
function packing.textOf(g)
  local s, facts, d = stateOf(g), sub(g.facts, 1, FACT_BYTES), g.all and g.all .. sub(g.inline, g.size * 8 + 1) or g.inline
  local need, spec = g.packed.need, g.packed.spec
  return pack(PACKED, g.packed.isAlone and 1 or 0, #s, s, #facts, facts, #d, d, #need, need, #spec, spec, g.opened, g.score, #g.lane, g.lane)
end

-- A packed root as fields of its hash, and what is known of it beside these.
local function unpacked(gid)
  local text = call('GET', T .. ':p:' .. gid)
  local run = text and call('HMGET', T .. ':r:' .. gid, 'graph', 'dig') or {}
  if not run[1] or not run[2] then
    return nil
  end
  local isAlone, s, facts, d, need, spec, opened, score, lane = unpackBytes(PACKED, text)
  local h = facts .. pack('<I4ddssss', 0, opened, score, lane, run[2], '', '')
  return { s, h, d, false, '1' }, { spec = spec, need = need, isAlone = isAlone == 1 },
    replace(replace(replace(spec, IS_GID, gid), IS_GRAPH, run[1]), IS_DIGEST, run[2])
end

-- A group that is known from now on: by `load`, or because it is new.
function addGroup(g)
  groups[g.gid] = g
  groupOrder[#groupOrder + 1] = g
end

-- The group, with the record of grant `grantNumber` where one is named, or ready to be granted (with its spec) where `isToGrant`. False when there is
-- none. Garbage is an error.
function load(gid, grantNumber, isToGrant)
  local g = groups[gid]
  if g ~= nil then
    if g and grantNumber and g.records[grantNumber] == nil then
      g.records[grantNumber] = call('HGET', g.b, 't' .. grantNumber)
    end
    return g
  end
  local b = T .. ':b:' .. gid
  local fields = readFields(b, grantNumber, isToGrant)
  local packed, spec
  if not fields[1] and not find(gid, '/', 1, true) then
    fields, packed, spec = unpacked(gid)
  end
  if not fields or not fields[1] then
    groups[gid] = false
    return false
  end
  g = decode(gid, b, fields)
  if packed then
    g.packed, g.wasPacked, g.spec, g.need = packed, true, spec, packed.need ~= '' and sub(packed.need, 2) or nil
  elseif grantNumber then
    g.records[grantNumber] = fields[6]
  elseif isToGrant then
    g.spec = fields[6] or nil
  end
  if g.state == 'o' and not g.isOpeners then
    g.readyBefore = readyOf(g)
  end
  if shard.ahead == nil then
    firstRead[#firstRead + 1] = 'f:' .. g.lane
  end
  addGroup(g)
  return g
end

-- Whether a state, as it is stored, is that of a closed group. False for garbage.
function isClosedBy(s)
  local state = type(s) == 'string' and #s >= STATE_BYTES and STATES[byte(s, 9)]
  return state == 'r' or state == 'w'
end

-- Forgets what was to be changed of a group that turned out to be unreadable. The session that waits for it is notified, so that it looks.
function forget(gid)
  local g = groups[gid]
  groups[gid] = false
  if not g then
    return
  end
  forgotten[#forgotten + 1] = g
  if g.inbox ~= '' then
    notify(g.inbox, 'released', gid)
  end
  for i = #groupOrder, 1, -1 do
    if groupOrder[i] == g then
      table.remove(groupOrder, i)
    end
  end
end

-- The group; false where there is none or it cannot be read, which must not stop what is done with others.
function loadReadable(gid)
  local isFine, g = pcall(load, gid)
  if isFine then
    return g
  end
  quarantine(gid, g)
  forget(gid)
  return false
end

-- As the client packed it.
function specOf(g)
  if not g.spec then
    g.spec = call('HGET', g.b, 'g') or error('no spec')
  end
  return g.spec
end

-- Whether each of its branches is one task. No text inside of the spec can look like this.
function isOneTask(g)
  return find(specOf(g), '"isOneTask":true', 1, true) ~= nil
end

-- Branches whose input is there.
function filled(g)
  if g.isShared then
    return g.fill > 0 and g.size or 0
  end
  return g.fill
end

function readyOf(g)
  return g.state == 'o' and (g.isShared and filled(g) or g.fill) - g.next + g.requeuedCount or 0
end

-- So many branches of the group as counters of lanes have them: none of a root that no worker may take, since the session which opened the run
-- drives it, or it was left behind.
function asCounted(g, count)
  return g.isOpeners and 0 or count
end

-- Something of the group will be changed.
function touch(g)
  g.isTouched = true
end

-- Where the input of a branch is: key, what is before the inputs in it, and the first index behind it.
function segmentOf(g, index)
  local segments = g.segments
  if segments == '' then
    return g.b .. ':d', -g.size * 12, g.size
  end
  local low, high = 0, #segments / 8
  while high - low > 1 do
    local middle = floor((low + high) / 2)
    if unpackBytes('<I4', segments, middle * 8 + 1) <= index then
      low = middle
    else
      high = middle
    end
  end
  local behind = g.size
  if low * 8 + 8 < #segments then
    behind = unpackBytes('<I4', segments, low * 8 + 9)
  end
  local before = unpackBytes('<I4', segments, low * 8 + 5)
  return g.b .. ':i' .. low, before, behind
end

function sharedInput(g)
  if g.segments ~= '' then
    return call('GET', g.b .. ':i0') or ''
  end
  return g.bytes > 0 and stored(g, g.size * 8, g.size * 8 + g.bytes - 1) or ''
end

-- Start and end of a branch's input, counted from the group's first byte.
function inputRange(g, index)
  local ends = g.size * 8
  local start = index > 0 and (unpackBytes('<I4', storedNear(g, ends + index * 4 - 4, 4))) or 0
  local last = unpackBytes('<I4', storedNear(g, ends + index * 4, 4))
  if last < start or last > g.bytes then
    error('inputs that end before they begin')
  end
  return start, last
end

-- The inputs between two bytes, which start in the segment of branch `index`.
function inputBytes(g, index, start, last)
  if last == start then
    return ''
  end
  local key, before = segmentOf(g, index)
  if g.segments == '' then
    return stored(g, start - before, last - 1 - before)
  end
  return call('GETRANGE', key, start - before, last - 1 - before)
end

-- Where the inputs between two bytes stand, which start in the segment of branch `index`: first and last byte there, and key. Nil where they are
-- few, or stand with the branch table.
local FEW_BYTES = 16384
function inputPlace(g, index, start, last)
  if g.segments == '' or last - start < FEW_BYTES then
    return nil
  end
  local key, before = segmentOf(g, index)
  if call('STRLEN', key) < last - before then
    error('inputs that are not all there')
  end
  return concat({ whole(start - before), ' ', whole(last - 1 - before), ' ', key })
end

-- The input of a branch; nil where it has more than `most` bytes, which then are not read.
function inputOf(g, index, most)
  if g.isShared then
    return g.bytes <= most and sharedInput(g) or nil
  end
  local start, last = inputRange(g, index)
  if last - start > most then
    return nil
  end
  local at = start + g.size * 12
  if g.segments == '' and at % BLOCK_BYTES + last - start <= BLOCK_BYTES then
    return storedNear(g, at, last - start) -- those of a thousand branches are some blocks
  end
  return inputBytes(g, index, start, last)
end
