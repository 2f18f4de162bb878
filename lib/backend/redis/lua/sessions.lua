-- Flags: no-writes
-- Needs:
--   base: shardNumber whole
-- What sessions said of themselves, when they expire and how much they hold.
-- KEYS: T:m
-- Derives: T:w T:wi:<session> T:o:<session>
-- ARGV: sessions
-- Answers: a list for each session that is there: session, sequence of its opening, expiry or inf, branches, info, runs that it drives
local answers = {}
for _, session in ipairs(ARGV) do
  local known = call('HMGET', T .. ':wi:' .. session, 'seq', 'info')
  local expiry = call('ZSCORE', T .. ':w', session)
  if known[2] and expiry then
    local branches, runs = 0, 0
    local owned = call('HGETALL', T .. ':o:' .. session)
    for i = 1, #owned, 2 do
      local held = tonumber(owned[i + 1]) or 0
      -- a root group is called as its run is, and no id of a run has a slash
      if find(owned[i], '/', 1, true) then
        branches = branches + held
      else
        runs = runs + held
      end
    end
    expiry = tonumber(expiry)
    answers[#answers + 1] = { session, known[1] or '0', expiry < HUGE and whole(expiry - shardNumber('ahead')) or 'inf', branches, known[2], runs }
  end
end
return answers
