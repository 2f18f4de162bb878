-- Flags:
-- Needs:
--   refusals: refuse
--   step: step
-- As step, of a group some of whose branches end as their inputs come. They are named in the call that brings the inputs, or before.
-- KEYS: T:m
-- Derives: as step
-- ARGV: as step; behind the group whether it may be opened again (1 or ''), then index and error of each of these branches
-- Answers: as step
return step(false, ARGV, refuse)
