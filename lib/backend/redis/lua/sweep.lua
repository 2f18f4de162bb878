-- Flags: allow-oom
-- Needs:
--   sweep: sweep
-- Sweeps once: any process, any time.
-- KEYS: T:m
-- Derives: T:w T:wi:<session> T:wb T:in:<session> T:o:<session> T:lost T:d T:due T:purge T:l T:todo T:wait T:q:<lane> T:b:<gid> T:b:<gid>:d T:b:<gid>:k T:r:<run> T:r:<run>:k T:r:<run>:v T:k:<key> T:runs T:bad
-- ARGV: none | repair
-- Answers: OK reclaimed next-due (-1: nothing planned) next-look | SKIP next-look | GRACE
--   (next-look: milliseconds until a session that is missed is looked at again, or those that hold something; -1: none is)
return sweep(ARGV[1] == 'repair')
