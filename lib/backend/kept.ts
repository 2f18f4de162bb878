/** How much and how long every store keeps, whatever it is built on. The scripts of Redis have the same numbers; a test compares them. */

/** How long a graph is kept that no run uses. */
export const GRAPH_RETENTION_MS = 24 * 3_600_000
/** How long a worker is known that was lost. */
export const NODE_RETENTION_MS = 24 * 3_600_000
/** Dead letters kept; on Redis roughly so many. */
export const MOST_DEAD_LETTERS = 1_000
/** Signals of a run that are kept until somebody waits for them. */
export const MOST_SIGNALS_KEPT = 1_000
/** Where the answer of the wait at a place of a run is saved. */
export const waitMark = (place: string): string => `${place}/!`
/** An error record of a start that is repeated is kept up to so many bytes: people read it. */
export const MOST_RETRIED_BYTES = 4_096
/** Tasks of a group that wait where their branches are held: so many are told, of so many fields that are looked at. */
export const MOST_IN_PLACE = 100
/** Paths of a run whose progress is kept: those that were noted last. */
export const MOST_PROGRESS_NOTES = 100
/** Where a note of progress is saved, of so many. */
export const progressMark = (slot: number | ''): string => `/!p${slot}`
/**
 * A run ends with the barrier of its last group only where that has so few branches, of so few bytes together, and its outcomes are kept for so
 * long afterwards: a driver that missed the notice reads from the store what it has missed.
 */
export const MOST_ENDING = 15
export const MOST_ENDING_BYTES = 2048
export const LEAST_KEPT_MS = 60_000
/** Paths of what dispatched groups of a run that were deleted: the first half of them, and the last. */
export const MOST_DISPATCHERS = 200
/** Counters of runs that have ended: one for each state and workflow, at most so many. */
export const MOST_COUNTED_ENDS = 600
/** What counts the ends of the workflows that have no counter of their own: no workflow is called so. */
export const OTHER_WORKFLOWS = '~other'
