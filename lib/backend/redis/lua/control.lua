-- Flags: allow-oom
-- Needs:
--   control: control
-- Commands of people and of holders: cancel, fail, end, pause, resume, delete, withdraw, widen.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:k T:b:<gid> T:b:<gid>:d T:b:<gid>:k T:o:<session> T:q:<lane> T:l T:w T:wi:<session> T:wait T:due T:todo
-- ARGV: kind, then: run, reason, value | holder gid, index, token, run, state, value, reason | run | holder gid, index, token, gid | gid, whether
--   sessions that know none of the tasks may have it (0 or 1) | queue
-- Answers: OK | DUP | OVER | GONE | FENCED
return control(ARGV)
