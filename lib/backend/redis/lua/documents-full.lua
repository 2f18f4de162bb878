-- Flags: allow-oom
-- Needs:
--   documents: writeDocuments
-- As documents, also when memory is full: what only removes, and what is to make room.
-- KEYS: T:m
-- Derives: as documents
-- ARGV: as documents
-- Answers: as documents
return writeDocuments(KEYS, ARGV)
