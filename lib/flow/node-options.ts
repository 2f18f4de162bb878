/** What users may set on tasks, groups and workflows. Plain data, part of the graph; options.ts checks it. */

/** How often and how a task is started again after an error. Durations are integer milliseconds. */
export interface RetryOptions {
  /** Starts in all, the first included: 1 to 255. Default: 1. */
  readonly attempts?: number
  /** Milliseconds to wait before the second start: 0 to a year. Default: 0. */
  readonly delayMs?: number
  /** Each delay is the one before times this: 1 or more. Default: 1. */
  readonly factor?: number
  /** No delay is longer than this many milliseconds: 0 to a year. Default: none. */
  readonly maxDelayMs?: number
  /** From 0 (none) to 1: the delay is drawn between (1 - jitter) and 1 times its value. Default: 0. */
  readonly jitter?: number
}

/** What a task asks of the workers. All of it is data and part of the graph. */
export interface TaskOptions {
  /** How often and how the task is started again after an error. Default: one attempt. */
  readonly retry?: RetryOptions
  /**
   * Milliseconds that one start may take: 1 to a year. Then it fails with TIMEOUT, its signal fires, and what it returns later is dropped.
   * Time spent waiting for `ctx.run` does not count. Default: none.
   */
  readonly timeoutMs?: number
  /** Grants that may be lost (a worker died) before the branch is dead, with BRANCH_DEAD: 0 to 254. Default: 3. */
  readonly maxLosses?: number
  /** Passes that `ctx.again` may make of the task, the first included: 1 or more. Then it fails with CYCLE_LIMIT. Default: 100. */
  readonly maxCycles?: number
  /** The queue that the task waits in; workers name the queues that they serve. Default: default. */
  readonly queue?: string
  /** Capabilities that a worker must have, such as `gpu`. Default: none. */
  readonly requires?: readonly string[]
  /** The id of the worker that is preferred. Other workers may take the branch after two seconds, or at once when that worker is gone. Default: none. */
  readonly affinity?: string
  /** From -100 to 100; among groups that wait, the higher is taken first. Default: 0. */
  readonly priority?: number
  /**
   * Where the handler runs: in the event loop of its worker, or in a thread, for work that keeps the processor busy. A thread loads modules, so
   * the task must be exported by one: else NOT_AVAILABLE. Default: inline.
   */
  readonly isolation?: 'inline' | 'thread'
}

/** What `.configure()` sets on a group. */
export interface GroupOptions {
  /** Milliseconds that the group may take: 1 to a year. Then it fails with GROUP_TIMEOUT, and its branches are withdrawn. Default: none. */
  readonly timeoutMs?: number
  /** The queue that the branches wait in. Default: the queue of its tasks. */
  readonly queue?: string
  /** Branches in flight at once: 1 or more. Default: no limit. */
  readonly concurrency?: number
  /** How errors and events call the group. Default: its path. */
  readonly name?: string
  /** Of a strict group: when a branch has failed and will not be retried, `cancel` withdraws the others, `wait` lets them finish. Default: cancel. */
  readonly onFailure?: 'cancel' | 'wait'
}

/** What `.configure()` sets on an `each`. */
export interface EachOptions extends GroupOptions {
  /**
   * The key of an item that people know its branch by, or a path of keys with dots between, such as `customer.name`. What stands there (text, a number, a boolean or
   * a date) is shown with the branch, at most 64 characters of it. Default: none.
   */
  readonly label?: string
}

/** What a person is asked who is to answer a wait. */
export interface Prompt {
  /** One line, up to 256 characters. */
  readonly title: string
  /** More about it, up to 4096 characters. Default: none. */
  readonly text?: string
  /** Answers to choose from, each up to 256 characters. Default: none. */
  readonly choices?: readonly string[]
}

/** What a wait carries as data. */
export interface WaitData {
  /** Milliseconds after which nobody needs to answer any more: 1 to a year. Default: none. */
  readonly timeoutMs?: number
  /** What the wait gives once its time is over: plain data. Default: it fails with TIMEOUT. */
  readonly onTimeout?: unknown
  /** What a person is asked who is to answer it. Default: none. */
  readonly prompt?: Prompt
}

/** What `workflow(name, node, options)` sets. */
export interface WorkflowOptions {
  /** Milliseconds that it may take: 1 to a year. A run then fails with RUN_TIMEOUT; inside another flow it fails with TIMEOUT. Default: none. */
  readonly timeoutMs?: number
  /** A text for people, up to 4096 characters. Default: none. */
  readonly description?: string
  /** Whether runs of it are pinned to the build that starts them, as by the option `pin` of a run. Inside another flow it says nothing. Default: false. */
  readonly pin?: boolean
}
