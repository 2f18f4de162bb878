/** What operators see: dead letters, and pages of lists. */
import type { GraflowError } from '../errors.js'
import type { RunStateName } from '../events.js'
import type { Graph } from '../graph/graph.js'
import type { ReportData } from '../report/report.js'
import type { WaitReason } from './wait-reasons.js'

/** A page of a list; `cursor` is absent on the last one, else it is what the next call is given. */
export interface Page<out T> {
  /** In the list's order. */
  readonly items: readonly T[]
  /** Where the next page begins. */
  readonly cursor?: string
}

/** Which page of a list. */
export interface PageOptions {
  /** Items at most: 1 to 1000. Default: 50. */
  readonly limit?: number
  /** What the page before said. Default: from the beginning. */
  readonly cursor?: string
}

/** A branch whose attempts are spent, or whose workers were lost too often. */
export interface DeadLetter {
  /** The id of the letter. */
  readonly id: string
  /** The run that the branch was of; it may be gone. */
  readonly runId: string
  /** The path of the branch in the run, such as `1/0/3`. */
  readonly path: string
  /** The number of the branch in its group, from 0. */
  readonly index: number
  /** Its task or workflow; of any other branch its kind as events have it, such as `(sequence)`. Undefined when the graph is not kept any more. */
  readonly task: string | undefined
  /** What people call its item by, of an each with the option `label`; absent where there is nothing to call it by. */
  readonly label?: string
  /** How the branch ended. */
  readonly status: 'failed' | 'dead'
  /** Starts before the last one that ended in an error. */
  readonly errors: number
  /** Starts that were lost with their worker. */
  readonly losses: number
  /** When it ended. */
  readonly at: Date
  /** What it ended with; undefined when its workers were lost. */
  readonly error: GraflowError | undefined
}

/** A dead letter with its input. */
export interface DeadLetterWithInput extends DeadLetter {
  /** What the branch got; undefined when that was more than 64 KiB (then `hasInput` is false). */
  readonly input: unknown
  /** Whether the input was kept. */
  readonly hasInput: boolean
}

/** From where a run is retried. */
export interface RetryRunOptions {
  /** The path of a step or branch from which on all is done again. Default: what failed. */
  readonly from?: string
  /** Names the call, 1 to 256 characters: until another retry of the run, calls with the same key retry it once, and answer the same. Default: none. */
  readonly idempotencyKey?: string
}

/** How a person decides. */
export interface SettleOptions {
  /** Names the call, 1 to 256 characters: calls with the same key decide once, and answer the same. Default: none. */
  readonly idempotencyKey?: string
}

/** What a person decides: what a step or branch gives, why it fails, or that it is left out. */
export type Decision = { readonly succeed: unknown } | { readonly fail: unknown } | { readonly skip: true }

/** What a person has decided in a run. */
export interface DecisionByHand {
  /** The path of the step or branch. */
  readonly path: string
  /** What people call the item by that it stands in: of the innermost each with the option `label` around it. */
  readonly label?: string
  /** What it was decided to be. */
  readonly as: 'succeeded' | 'failed' | 'skipped'
  /** When that was. */
  readonly at: Date
}

/** Which dead letters. */
export interface DeadLetterOptions extends PageOptions {
  /** Only those of this task or workflow. Default: all. */
  readonly task?: string
}

/** A build that is at work, or that runs wait for. */
export interface Build {
  /** What its workers and clients are given as `buildId`. */
  readonly buildId: string
  /** Its live workers; the embedded engine is one. */
  readonly workers: number
  /** Runs that have not ended and are pinned to it. When there are none, its workers may go. */
  readonly runs: number
}

/** The builds of a deployment. */
export interface Builds {
  /**
   * A page of the builds that have live workers or unfinished pinned runs, by their ids. Runs that end meanwhile may be counted or not.
   * @throws GraflowError INVALID_OPTION
   */
  list(options?: PageOptions): Promise<Page<Build>>
}

/** Which runs: what is given must all hold. A time is a Date, or milliseconds since the epoch. */
export interface RunFilter {
  /** The state, or one of several. Default: any. */
  readonly state?: RunStateName | readonly RunStateName[]
  /** The name of the workflow. Default: any, and runs of none. */
  readonly workflow?: string
  /** One of the tags that the run was started with. Default: any. */
  readonly tag?: string
  /** The build that the run is pinned to. Default: any, and runs that are not pinned. */
  readonly build?: string
  /** Created then or later. Default: at any time. */
  readonly since?: Date | number
  /** Created before. Default: at any time. */
  readonly until?: Date | number
  /** Ended with an error that has this code or name, or with one that it caused, such as TIMEOUT or TypeError. Default: any, and without one. */
  readonly error?: string
  /** Ended with an error whose message, or that of one of its causes, has these words, in any case. Default: any, and without one. */
  readonly message?: string
  /** Waits for this now, or for one of these. Default: anything, and nothing. */
  readonly why?: WaitReason | readonly WaitReason[]
}

/** Which page of which runs. */
export interface RunListOptions extends RunFilter, PageOptions {}

/** Which page of which waits. */
export interface WaitListOptions extends PageOptions {
  /** Only those for this reason, or for one of these. Default: any. */
  readonly why?: WaitReason | readonly WaitReason[]
}

/** A run in a list. `runs.get` has more. */
export interface RunSummary {
  /** The id of the run. */
  readonly id: string
  /** The name of the workflow; undefined where the flow is none. */
  readonly workflow: string | undefined
  /** What the run does now, or how it ended. */
  readonly state: RunStateName
  /** What it was started with, in that order. */
  readonly tags: readonly string[]
  /** When the store took the run. */
  readonly createdAt: Date
  /** When a driver began; undefined before. */
  readonly startedAt: Date | undefined
  /** When it ended; undefined before. */
  readonly endedAt: Date | undefined
  /** The worker or client that drives it, by what it calls itself; undefined where nobody does. */
  readonly driver: string | undefined
  /** How often it was retried. */
  readonly retries: number
  /** The build that it is pinned to. */
  readonly build: string | undefined
  /** The priority that its start asked for. */
  readonly priority: number | undefined
  /** The queue that its start asked for. */
  readonly queue: string | undefined
  /** Why it failed or was cancelled. */
  readonly error: GraflowError | undefined
}

/** The flow of a run, as it is stored with it. */
export interface RunGraph {
  /** The sha-256 of its canonical bytes, as `workflow.hash`. */
  readonly hash: string
  /** Plain data: its nodes and the options of its tasks. Paths in the run name these nodes. */
  readonly graph: Graph
  /** Draws it as a Mermaid flowchart. */
  toMermaid(): string
  /** Draws it as an SVG image. */
  toSvg(): string
}

/** One run for people: where its time went, what failed, and what it got and gave. */
export interface RunReport {
  /** Plain data, bounded whatever the run's size: of a group of many thousand branches it has those that people look for, and bins of the rest. */
  readonly data: ReportData
  /** One HTML file that needs no network and no other file. */
  toHtml(): string
}

/** How far a command on many runs has come. */
export interface BulkProgress {
  /** Runs for which it has done something: what the call answers at the end. */
  readonly done: number
  /** Runs that matched the filter so far. */
  readonly matched: number
  /** Those of them that met an error, such as NOT_KEPT; they are left as they were. */
  readonly failed: number
  /** Where a later call with this `cursor` goes on. */
  readonly cursor: string | undefined
}

/** How a command on many runs goes. */
export interface BulkOptions {
  /** Called after each page of runs. Default: none. */
  readonly onProgress?: (progress: BulkProgress) => void
  /** Ends it after the page in hand; the call then answers how many it has done. Default: none. */
  readonly signal?: AbortSignal
  /** Where an earlier call ended, from its progress. Default: from the newest run. */
  readonly cursor?: string
}

/** A queue of branches, as it is now. */
export interface QueueSummary {
  /** Its name; submitted runs wait for a driver on `runs`. */
  readonly name: string
  /** Branches that wait to be taken, those included that a limit or a pause holds up. */
  readonly ready: number
  /** Branches that wait for their next attempt, or for time or a signal. */
  readonly delayed: number
  /** Branches that workers hold. */
  readonly running: number
  /** Milliseconds that the oldest ready group has waited; undefined where none waits. */
  readonly oldestMs: number | undefined
  /** Whether nothing of it is taken. */
  readonly isPaused: boolean
  /** Live workers that serve it. */
  readonly workers: number
}

/** How a queue is paused. */
export interface PauseQueueOptions {
  /** Also where nobody knows the queue yet: before its first work and its first worker. Default: false. */
  readonly ahead?: boolean
}

/** The queues of the store. */
export interface Queues {
  /** A page of the queues that are or were used, by name. @throws GraflowError INVALID_OPTION */
  list(options?: PageOptions): Promise<Page<QueueSummary>>
  /** One of them; undefined where nothing was ever put there. */
  get(name: string): Promise<QueueSummary | undefined>
  /**
   * From now on nothing of the queue is taken; what runs goes on. False when it was paused already.
   * @throws GraflowError INVALID_NAME; QUEUE_NOT_FOUND where nothing was ever put there and no worker serves it, unless it is to be paused ahead
   */
  pause(name: string, options?: PauseQueueOptions): Promise<boolean>
  /** Ends a pause. False when there was none. @throws GraflowError INVALID_NAME; QUEUE_NOT_FOUND where there is no such queue */
  resume(name: string): Promise<boolean>
}
