/** How much and how long every store keeps, whatever it is built on. The scripts of Redis have the same numbers; a test compares them. */

/** How long a graph is kept that no run uses. */
export const GRAPH_RETENTION_MS = 24 * 3_600_000
/** Dead letters kept; on Redis roughly so many. */
export const MOST_DEAD_LETTERS = 1_000
