-- Flags:
-- Needs:
--   documents: writeDocuments
-- Changes a collection of documents, if it is as the caller has seen it. The last change, repeated, answers the same.
-- KEYS: T:m
-- Derives: T:doc:<collection>
-- ARGV: collection, nonce, revision that it must have or '', how many are put, name and bytes of each of them, names of those that are removed
-- Answers: OK revision | CONFLICT revision
return writeDocuments(KEYS, ARGV)
