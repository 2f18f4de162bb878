-- Flags: allow-oom
-- Needs:
--   leader: leading
--   nodes: nodes
--   session: handleSession
--   sweep: sweep
--   tend: tending
-- Opens, renews (and sweeps, when asked), reconciles or closes a session, or confirms what it holds. Or a worker says what it does, or a lost one is
-- forgotten; or a session stands for leader or gives the lead back, or somebody looks who leads; or the leader does its housekeeping.
-- KEYS: T:m
-- Derives: T:w T:lead T:node T:about T:runs T:g:<sha256> T:k:<key> T:wi:<session> T:wb T:in:<session> T:o:<session> T:lost T:wait T:due
--   T:b:<gid> T:b:<gid>:d T:r:<run>, and what a sweep derives
-- ARGV: open, session, ttl (inf: endless), base id, info, tasks (,a,b, or *), queues that it serves (the same, or '' for none),
--   whether it is notified when nobody leads (0 or 1), whether it is a worker (0 or 1)
--   | renew, session, ttl, sweeps (0 or 1), whether it is subscribed to T:alive now (0 or 1; where that is known)
--   | reconcile, session, bytes, then gid and token of what it knows | confirm, session, then gid and token of what it holds
--   | close, session, reason | beat, session, what it does | forget, base id of a worker
--   | stand, session, ttl (inf: endless) | resign, session | look
--   | tend, session, term, then nodes, stale after ms, dead after ms | graphs, cursor | orphans, cursor | fail-run, run, reason, value
-- Answers: OK (renew: then the sweep's answer; stand, resign and look: then term, session and base id, where somebody leads) | NOSESSION
--   | RECONCILED number-unknown (grants, 12 parts each, then lost tokens)
--   | DONE count cursor | DEPOSED | MORE (close: some of what it holds is released, and the rest by another call)
local kind = ARGV[1]
if kind == 'stand' or kind == 'resign' or kind == 'look' then
  return leading.lead(kind, ARGV[2], tonumber(ARGV[3]))
elseif kind == 'tend' then
  return tending.tend(ARGV[2], ARGV[3], ARGV[4], ARGV)
elseif kind == 'beat' then
  return nodes.beat(ARGV[2], ARGV[3])
elseif kind == 'forget' then
  return nodes.forgetWorker(ARGV[2])
end
return handleSession(ARGV, sweep)
