-- Flags: no-writes
-- Needs:
--   base: now
-- The groups of a queue that wait to be granted, by what they ask of a worker: of each lane the first 256. What is paused waits for a person.
-- KEYS: T:m
-- Derives: T:l T:q:<lane> T:b:<gid> T:r:<run>
-- ARGV: queue
-- Answers: now, then a list for each lane in which something waits: its demand, then group and since when in turn
local queue = ARGV[1]
local answers = { now() }
if call('HGET', M, 'p:' .. queue) == '1' then
  return answers
end
local lanes = call('HGETALL', T .. ':l')
for i = 1, #lanes, 2 do
  -- a lane's name leads to when it was registered and to what it asks; the other fields lead from that time to the name
  local lane, demand = lanes[i], match(lanes[i + 1], '^%d+\t(.*)$')
  if demand and sub(demand, 1, #queue + 1) == queue .. '|' then
    local waiting = { demand }
    for _, gid in ipairs(call('ZRANGE', T .. ':q:' .. lane, 0, 255)) do
      local state = tryCall('HGET', T .. ':b:' .. gid, 's')
      local paused = tryCall('HGET', T .. ':r:' .. match(gid, '^[^/]*'), 'paused')
      -- a state begins with the time since which it has ready branches (part-group)
      if type(state) == 'string' and #state > 8 and paused ~= '1' then
        waiting[#waiting + 1], waiting[#waiting + 2] = gid, (unpackBytes('<d', state))
      end
    end
    if waiting[2] then
      answers[#answers + 1] = waiting
    end
  end
end
return answers
