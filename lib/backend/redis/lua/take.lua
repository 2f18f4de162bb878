-- Flags: allow-oom
-- Needs:
--   take: take
-- Takes a run that nobody drives: grants its root branch to a session.
-- KEYS: T:m
-- Derives: T:wi:<session> T:r:<run> T:b:<gid> T:b:<gid>:d T:b:<gid>:i<k> T:b:<gid>:r T:o:<session> T:l T:q:<lane> T:purge T:due T:wait
-- ARGV: session, nonce, run, grace of a deadline
-- Answers: OK (then a grant, 12 parts) | HELD session | PAUSED | WAITING | OVER | GONE | NOSESSION
return take(ARGV)
