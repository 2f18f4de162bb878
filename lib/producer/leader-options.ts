/** How a process leads once it is elected: the same of clients and workers. docs/options.md has them with all others. */
export interface LeaderOptions {
  /** Milliseconds that a leader leads without a sign of life: 1000 to a year. It gives three in this time. Default: 10000. */
  readonly leaderTtlMs?: number
  /** Milliseconds between the looks of a leader at the workers, and between the signs of life of a worker: 100 to a year. Default: 5000. */
  readonly heartbeatIntervalMs?: number
  /** Milliseconds without a sign of life after which a leader marks a worker as stale: 100 to a year. Default: 15000. */
  readonly staleAfterMs?: number
  /** Milliseconds without a sign of life after which a leader marks a worker as dead: 100 to a year. Default: 120000. */
  readonly deadAfterMs?: number
  /** Milliseconds between the looks of a leader for what was left behind by runs whose record is gone: 100 to a year. Default: 300000. */
  readonly cleanupIntervalMs?: number
  /**
   * Milliseconds after which a leader fails a run in which nothing was opened, granted or settled (RUN_STUCK): 1000 to a year, and more than the longest
   * task. Default: none, it fails no run.
   */
  readonly stuckAfterMs?: number
}
