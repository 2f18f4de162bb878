/** The times of work that no live worker can take: one set for groups and for submitted runs, since docs/errors.md promises one behaviour. */

/** How often a process looks. */
export const LOOK_MS = 1_000
/** After so long it is logged, and emitted as `queue:unserved`. */
export const LOG_AFTER_MS = 5_000
/** After so long the work fails, if workers live and none knows its tasks. */
export const FAIL_AFTER_MS = 10_000
