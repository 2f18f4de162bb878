-- Flags: no-writes
-- Needs:
--   base: now
-- What all lanes have, and since when the oldest group of each has waited. Where more than 256 groups wait in a lane, the first 256 are asked.
-- KEYS: T:m
-- Derives: T:l T:q:<lane> T:b:<gid>
-- ARGV: none
-- Answers: now, the fields of T:m, the fields of T:l, then a list of lane and time in turn
local oldest = {}
local lanes = call('HGETALL', T .. ':l')
for i = 1, #lanes, 2 do
  local lane = lanes[i]
  local ready = sub(lane, 1, 1) ~= '#' and call('ZRANGE', T .. ':q:' .. lane, 0, 255) or {}
  local since
  for _, gid in ipairs(ready) do
    local state = tryCall('HGET', T .. ':b:' .. gid, 's')
    -- a state begins with when its branches became ready (part-group)
    local mine = type(state) == 'string' and #state > 8 and (unpackBytes('<d', state))
    if mine and (not since or mine < since) then
      since = mine
    end
  end
  if since then
    oldest[#oldest + 1], oldest[#oldest + 2] = lane, since
  end
end
return { now(), call('HGETALL', M), lanes, oldest }
