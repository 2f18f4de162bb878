-- Flags: no-writes
-- Needs:
--   base: shardNumber
--   waits: runWaits
--   run: loadRun
-- The waits of a run that are not answered, in order of their places: the first 1 000, of very many some. Or those at one address, in the order in
-- which signals answer them.
-- KEYS: T:m
-- Derives: T:r:<run> T:u:<run> T:b:<gid> T:b:<gid>:d
-- ARGV: run, address or ''
-- Answers: a list for each wait: place, address, since, when it is due or '' (by the clock of this server), what people are told
local MOST_TOLD, MOST_READ = 1000, 4000
local answers = {}
local run = loadRun(ARGV[1])
if not run or run.isEnded then
  return answers
end
local key = T .. ':u:' .. run.id
local fields = {}
if ARGV[2] == '' then
  fields = call('HLEN', key) <= MOST_READ and call('HKEYS', key) or call('HRANDFIELD', key, MOST_READ)
  table.sort(fields)
else
  local found = call('HGET', key, '=' .. ARGV[2])
  for place in gmatch(found and byte(found) == 119 and sub(found, 2) or '', '[^\n]+') do
    fields[#fields + 1] = '@' .. place
  end
end
for _, field in ipairs(fields) do
  if #answers == MOST_TOLD then
    break
  end
  local wait = byte(field) == 64 and runWaits.open(run, sub(field, 2))
  if wait then
    local due = wait.due >= 0 and wait.due - shardNumber('ahead') or ''
    answers[#answers + 1] = { wait.place, wait.address, wait.since, due, wait.about }
  end
end
return answers
