-- Flags: allow-oom
-- Needs:
--   reopen: reopen
-- Opens a run again that has ended, or forgets some of what it would go on from.
-- KEYS: T:m
-- Derives: T:r:<run> T:r:<run>:v T:r:<run>:e T:r:<run>:k T:b:<gid> T:b:<gid>:k T:b:<gid>:o T:b:<gid>:r T:todo
-- ARGV: run, nonce, need (as in step), 1 where more follows (d: a decision comes last, as in decide), how many outputs to forget, their paths,
--   how many groups to delete, their gids, then of each group to be opened again: gid, indexes (u32 each) of branches that start anew
-- Answers: OK | RUNNING | CLOSING | NOTKEPT | GONE
return reopen(ARGV)
