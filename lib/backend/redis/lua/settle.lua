-- Flags: allow-oom
-- Needs:
--   settle: settle
-- Counts what became of branches: of many grants, a range each. Whether a result counts is decided by its token alone, branch by branch.
-- KEYS: T:m
-- Derives: T:b:<gid> T:b:<gid>:d T:b:<gid>:o T:b:<gid>:o<n> T:up:<name> T:b:<gid>:k T:b:<gid>:r T:r:<run> T:r:<run>:v T:o:<session> T:d T:due T:q:<lane> T:wait T:dead
-- ARGV: for each range: gid, token, mode (s: all succeeded, f: all final, m: others, too), outcomes (as stored in :o; kinds
--   6 to be retried, 7 released), delays (u32 each, or ''), name of the upload that has their values or '', number of saves, path and value of each
-- Answers: a word for each range: OK | DUP | FENCED | WITHDRAWN | GONE | MISSING (the upload; nothing was done)
return settle(ARGV)
