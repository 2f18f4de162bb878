/** What users may set on tasks, groups and workflows. Plain data, part of the graph; options.ts checks it. */

/** How often and how a task is started again after an error. Durations are integer milliseconds. */
export interface RetryOptions {
  /** Starts in all, the first included; 1 by default. */
  readonly attempts?: number
  readonly delayMs?: number
  /** Each delay is the one before times this; 1 by default. */
  readonly factor?: number
  readonly maxDelayMs?: number
  /** From 0 (none) to 1: the delay is drawn between (1 - jitter) and 1 times its value. */
  readonly jitter?: number
}

/** What a task asks of the workers. All of it is data and part of the graph. */
export interface TaskOptions {
  readonly retry?: RetryOptions
  readonly timeoutMs?: number
  /** Grants that may be lost (a worker died) before the branch is dead; 3 by default. */
  readonly maxLosses?: number
  /** How often `ctx.again` may start it once more; 100 by default. */
  readonly maxCycles?: number
  readonly queue?: string
  readonly requires?: readonly string[]
  readonly affinity?: string
  readonly priority?: number
  readonly isolation?: 'inline' | 'thread'
}

/** What `.configure()` sets on a group. */
export interface GroupOptions {
  readonly timeoutMs?: number
  readonly queue?: string
  /** Branches in flight at once. */
  readonly concurrency?: number
  readonly name?: string
  /** Of a strict group: `cancel` (default) withdraws the others at the first final failure, `wait` lets them finish. */
  readonly onFailure?: 'cancel' | 'wait'
}

export interface WorkflowOptions {
  readonly timeoutMs?: number
  readonly description?: string
}
