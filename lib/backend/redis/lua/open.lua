-- Flags:
-- Needs:
--   open: open
-- Opens a run: its record, and its root group of one branch, granted to a session (and then maybe a first group below it) or put on the queue `runs`.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:k T:b:<gid> T:b:<gid>:d T:b:<gid>:i<k> T:up:<name> T:k:<key> T:l T:wi:<session> T:o:<session> T:runs T:due T:g:<sha256> T:wait T:q:<lane>
-- ARGV: run, session or '', nonce, workflow, idempotency key or '', timeoutMs, retentionMs, payload retention, grace of a deadline, whether it is left behind (0 or 1), what a driver that takes it over must know (|a b, or ''), its root group as in a step, and for a
--   group that its branch opens at once: the same
-- Answers: OK token or '' (fill of the new group) | EXISTS run | CONFLICT run | NOSESSION | NOGRAPH | MISSING (an upload; nothing was done) | BACKPRESSURE (open-full only)
return open(false, ARGV)
