/** How large things may be. All can be set by `connect({ limits })`; docs/options.md lists them. */

export interface Limits {
  /** One item of an `each`, and the input of `ctx.run`, packed. */
  readonly itemBytes: number
  /** The one input that the branches of a `par` share, and the input of a run, packed. */
  readonly sharedInputBytes: number
  /** What a task returns, packed. */
  readonly resultBytes: number
  /** What a run, a join policy or `ctx.finish` gives, packed: as large as all the results of a group together. */
  readonly runResultBytes: number
  /** A graph, compressed. */
  readonly graphBytes: number
  /** Branches in one group. */
  readonly branches: number
  /** Groups inside groups. */
  readonly nesting: number
  /** Graphs kept in memory by a process; the one that was not used for longest goes first. */
  readonly graphs: number
}

export const DEFAULT_LIMITS: Limits = Object.freeze({
  itemBytes: 256 * 1024,
  sharedInputBytes: 16 * 1024 * 1024,
  resultBytes: 1024 * 1024,
  runResultBytes: 256 * 1024 * 1024,
  graphBytes: 8 * 1024 * 1024,
  branches: 100_000,
  nesting: 64,
  graphs: 100,
})
