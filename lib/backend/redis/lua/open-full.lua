-- Flags: allow-oom
-- Needs:
--   open: open
-- As open, when memory is full: answers for a run that is there, and adds nothing.
-- KEYS: T:m
-- Derives: T:r:<run> T:b:<gid> T:b:<gid>:d T:k:<key> T:l T:wi:<session>
-- ARGV: as open
-- Answers: OK token or '' | EXISTS run | CONFLICT run | NOSESSION | NOGRAPH | MISSING | BACKPRESSURE
return open(true, ARGV)
