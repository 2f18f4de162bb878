-- Flags: allow-oom
-- Needs:
--   by-hand: decide
-- A person decides what a branch ends with, or a step inside one.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:v T:u:<run> T:b:<gid> T:b:<gid>:d T:b:<gid>:k T:b:<gid>:r T:b:<gid>:o T:o:<session> T:q:<lane> T:due T:wait
-- ARGV: run, nonce, path, as (succeeded, failed, skipped), gid, index, path to save the value for ('': the branch ends with it), value, then paths of
--   outputs to forget where the branch had failed
-- Answers: OK | LATE | OVER | GONE
return decide(ARGV)
