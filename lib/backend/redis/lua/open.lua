-- Flags:
-- Uses: base groups barrier waking commit opening grants open
-- Opens a run: its record, and its root group of one branch, granted to a session or put on the queue `runs`.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:k T:b:<gid> T:b:<gid>:g T:b:<gid>:d T:k:<key> T:l T:wi:<session> T:o:<session> T:runs T:due T:g:<sha256> T:wait T:q:<lane>
-- ARGV: run, session or '', nonce, digest, workflow, graph, idempotency key or '', input, tasks, maxLosses, timeoutMs, retentionMs, spec, payload retention
-- Answers: OK token or '' | EXISTS run | CONFLICT run | NOSESSION
return open(false, ARGV)
