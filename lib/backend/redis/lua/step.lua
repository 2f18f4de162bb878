-- Flags:
-- Uses: base groups barrier waking commit opening pushing step
-- A holder's step in one write: save, open or fill a group, retire, end the run.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:v T:r:<run>:k T:b:<gid> T:b:<gid>:d T:b:<gid>:i<k> T:b:<gid>:k T:b:<gid>:o T:b:<gid>:r T:l T:g:<sha256> T:q:<lane> T:wait T:due T:o:<session>
-- ARGV: run, holder gid, holder index, holder token, end (completed, failed, cancelled or ''), end value,
--   nonce of grants that are sent, grace of a deadline, number of saves, path and value of each, number of retired, gid of each, and for a group: gid, digest, facts (part-opening), queue,
--   requires, tasks, affinity, graph, ends, bytes, spec
-- Answers: OK fill | DONE | CONFLICT | NOGRAPH | FENCED | BASE bytes fill | BACKPRESSURE | BAD why
return step(false, ARGV)
