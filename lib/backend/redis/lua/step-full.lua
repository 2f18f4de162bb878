-- Flags: allow-oom
-- Needs:
--   step: step
-- As step, also when memory is full: everything but a new group or new inputs.
-- KEYS: T:m
-- Derives: as step
-- ARGV: as step
-- Answers: as step
return step(true, ARGV)
