/**
 * The client as users see it: what connect gives, what a run can be asked. The file is long because it is one interface: types and their docstrings, no
 * code. What operators see is in operator-types.ts.
 */
import type { GraflowError } from '../errors.js'
import type { Events, OutcomeStatus, RunEvent, RunStateName, WorkerStateName } from '../events.js'
import type { Prompt } from '../flow/node-options.js'
import type { AnyNode, Flow, In, JoinPolicy, NeedsNoInput, Node, OrSay, Out, Outcome } from '../flow/types.js'
import { type Limits } from '../options.js'
import type { Clock, Random } from '../time.js'
import type { Deployments } from './deployment-types.js'
import type { LeaderOptions } from './leader-options.js'
import type { ServerInfo, ServerOptions } from './server-types.js'
import type {
  BulkOptions,
  Builds,
  DeadLetter,
  DeadLetterOptions,
  DeadLetterWithInput,
  Decision,
  DecisionByHand,
  Page,
  PageOptions,
  Queues,
  RetryRunOptions,
  RunFilter,
  RunGraph,
  RunListOptions,
  RunReport,
  RunSummary,
  SettleOptions,
  WaitListOptions,
} from './operator-types.js'
import type { WaitReason } from './wait-reasons.js'

/** Where the store is. Absent, or `memory:`: in this process. */
export type Address = string

export interface ConnectOptions extends LeaderOptions {
  /** Names what belongs together on one Redis: producers and workers with the same prefix see each other. Default: graflow. */
  readonly keyPrefix?: string
  /** What this client calls itself in events and errors: 1 to 128 characters of A-Z a-z 0-9 _ . -. Default: random. */
  readonly instanceId?: string
  /** With `auto` this client may be elected leader of the processes with the same prefix; `client` never is. Default: client. */
  readonly role?: 'client' | 'auto'
  /** What others are told of where this process runs. Default: the machine’s. */
  readonly hostname?: string
  /** Pairs of texts such as { zone: "eu-1" }, for people. Default: none. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Names the release that this process is: 1 to 128 characters of A-Z a-z 0-9 _ . + -. Runs that it starts with `pin` go to workers of the same build. Default: none. */
  readonly buildId?: string
  /**
   * Flows, tasks and join policies that are known by name, beside those of the flows that are run; and paths of modules that export some, from
   * the current folder or as URLs (`import.meta.resolve('./tasks.js')`). Tasks with `isolation: 'thread'` need to stand in one.
   * A module that cannot be used: TASK_MODULE. Default: none.
   */
  readonly tasks?: readonly (string | AnyNode | JoinPolicy<never, unknown>)[]
  /** Embedded: whether the store keeps when each branch was started, and how long it took, for reports. Default: true. */
  readonly timings?: boolean
  /** Branches that the embedded worker runs at once: 1 to 100000. Default: 256. */
  readonly maxConcurrentTasks?: number
  /** Threads at most for tasks with `isolation: 'thread'`: 1 to 1024, and never more than maxConcurrentTasks. Default: one per processor. */
  readonly threads?: number
  /** Megabytes of heap that one of those threads may use: 16 or more. Past them its task fails with THREAD_LOST. Default: what V8 allows. */
  readonly threadHeapMb?: number
  /** Milliseconds that the record and the results of a run are kept after its end: 0 to a year. Default: 86400000 (24 hours). */
  readonly retentionMs?: number
  /** What `ctx.log` writes to standard error, from this level up. Default: info. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** Embedded: above this many bytes the store refuses new work with BACKPRESSURE; what runs can finish. Default: none. */
  readonly maxBytes?: number
  /** How large things may be; past a limit, LIMIT_EXCEEDED. Default: see `Limits`. */
  readonly limits?: Partial<Limits>
  /** Serves the control plane and its dashboard from this process until `close`; `graflow.server` says where. Default: none. */
  readonly serve?: ServerOptions
  /** For tests: where time comes from (`manualClock` of graflow/testing). Default: the system’s. */
  readonly clock?: Clock
  /** For tests: where chance comes from, a number in [0, 1) a call (`seededRandom` of graflow/testing). Default: the system’s. */
  readonly random?: Random
}

export interface RunOptions {
  /**
   * Names the run: 1 to 128 characters of A-Z a-z 0-9 _ - . : @ + =, such as `user:42`. Starting it again with the same flow and input gives the same run; with others,
   * RUN_EXISTS. Flows are the same if they are workflows of one name, or of one shape. Default: random.
   */
  readonly id?: string
  /** A second start with this key (1 to 256 characters), flow and input gives the first one’s run; with others, RUN_EXISTS. Default: none. */
  readonly idempotencyKey?: string
  /** Milliseconds that the run may take: 1 to a year. Then it fails with RUN_TIMEOUT. Default: none. */
  readonly timeoutMs?: number
  /** Cancels the run when it aborts: the result rejects with CANCELLED. Default: none. */
  readonly signal?: AbortSignal
  /**
   * What becomes of the run when the process that drives it is lost. `take-over`: a worker that knows the rest of it goes on, or whoever asks for it
   * with `resume`. `abandon`: it waits for `resume`. Finished work is kept in both. Default: `abandon` for `run`, else `take-over`.
   */
  readonly ifLost?: 'take-over' | 'abandon'
  /**
   * Whether only processes with the `buildId` of this client do work of the run: its branches, its steps, and its driving after a loss. Needs
   * `connect({ buildId })`. Default: as its workflow says, else false.
   */
  readonly pin?: boolean
  /** Words that people find the run by in `runs.list`, such as `customer:42`: at most 32 of 1 to 128 characters. Default: none. */
  readonly tags?: readonly string[]
  /**
   * -100 to 100, higher first: among the runs that wait for a driver, and for all work of the run whose tasks name no priority. Default: what its tasks say, else 0.
   */
  readonly priority?: number
  /**
   * Where the work of the run waits whose tasks and groups name no queue. Runs wait for their driver on the queue `runs` all the same. Default: `default`.
   */
  readonly queue?: string
  /**
   * What every write by which the run goes on waits for: `async` for nothing, `fsync` for the disk of Redis (7.2 or newer, or appendfsync always), `replica` for
   * one replica. Where the store cannot do that, the start is NOT_AVAILABLE. Default: async.
   */
  readonly durability?: 'async' | 'fsync' | 'replica'
}

/** Branches of one group, by what they are now; they sum to `width`. */
export interface GroupProgress {
  /** The path of the group in the run, such as `1/0`. */
  readonly path: string
  /** Whether its barrier still waits, has released, or was withdrawn. */
  readonly state: 'open' | 'released' | 'withdrawn'
  /** Branches in all. */
  readonly width: number
  /** Branches that wait for a worker. */
  readonly ready: number
  /** Branches that wait for their next attempt. */
  readonly delayed: number
  /** Branches that a worker holds. */
  readonly running: number
  /** Branches that succeeded. */
  readonly succeeded: number
  /** Branches whose last allowed start failed. */
  readonly failed: number
  /** Branches whose workers were lost more often than maxLosses allows. */
  readonly dead: number
  /** Branches that were cancelled or skipped. */
  readonly withdrawn: number
}

/** A step that the driver of a run has run itself, or a task that a handler of one went on with. */
export interface RunStep {
  /** The path of the step in the run, such as `0`. */
  readonly path: string
  /** The name of the task. */
  readonly task: string
  /**
   * What it does. `retrying`: it failed, and waits for its next start. `skipped`: a person decided so. `cancelled`: the run ended meanwhile. `interrupted`:
   * its driver is gone, and the next one starts it again.
   */
  readonly state: 'running' | 'retrying' | 'succeeded' | 'failed' | 'skipped' | 'cancelled' | 'interrupted'
  /** Its last start, from 1; 0 where a person decided it before any. */
  readonly attempt: number
  /** When its last start began, by the clock of its driver. */
  readonly startedAt: Date
  /** When it was over; undefined before. */
  readonly endedAt: Date | undefined
  /** Why its last start failed. */
  readonly error?: Error
}

/** What a handler said last of how far it is. */
export interface RunProgress {
  /** The path of its task in the run. */
  readonly path: string
  /** The name of the task. */
  readonly task: string
  /** What people call the item of its branch by, of an each with the option `label`. */
  readonly label?: string
  /** From 0 to 1. */
  readonly fraction: number
  /** For people. */
  readonly message: string | undefined
  /** When it said so. */
  readonly at: Date
}

export interface RunStatus {
  /** The id of the run. */
  readonly id: string
  /** The name of the workflow; undefined where the flow is none. */
  readonly workflow: string | undefined
  /** What the run does now, or how it ended. */
  readonly state: RunStateName
  /** When the store took the run. */
  readonly createdAt: Date
  /** When a driver began; undefined before. */
  readonly startedAt: Date | undefined
  /** When it ended; undefined before. */
  readonly endedAt: Date | undefined
  /** What it was started with, in that order. */
  readonly tags: readonly string[]
  /** The worker or client that drives it, by what it calls itself; undefined where nobody does. */
  readonly driver: string | undefined
  /** How often it was retried. */
  readonly retries: number
  /** What people decided with `runs.settle`, in order. */
  readonly byHand: readonly DecisionByHand[]
  /**
   * Steps and branches that are over, of those begun or dispatched so far; a branch that was forwarded to its task's queue counts once, and a step
   * whose handler dispatched branches counts as these.
   */
  readonly done: number
  /** Of `done`, branches that were withdrawn: never begun, or told to stop. */
  readonly withdrawn: number
  /** Steps begun and branches dispatched so far. */
  readonly total: number
  /**
   * The first hundred and the last hundred steps that its driver has run itself, in order; a step that was dispatched to other workers is one of
   * `groups`. Of a driver in another process a step that takes less than a second may be seen only once it is over.
   */
  readonly steps: readonly RunStep[]
  /** In order of dispatch, without groups that only forward a branch to its task's queue; so the widths add up to the branches of `total`. */
  readonly groups: readonly GroupProgress[]
  /** The last `ctx.progress` at each of the hundred paths where it was called last, the latest first. Another process sees it within a second or so. */
  readonly progress: readonly RunProgress[]
  /** Why it stands still, where it does: as `graflow.waits.of`. */
  readonly waits: readonly RunWait[]
  /** Why it failed or was cancelled. */
  readonly error: GraflowError | undefined
}

/** One branch's final outcome. */
export interface BranchOutcome {
  /** The path of the branch in the run, such as `1/0/3`. */
  readonly path: string
  /** The task or workflow of the branch; of any other, its kind as events have it, such as `(sequence)`. */
  readonly task: string
  /** What people call the item by, of an each with the option `label`; absent where there is nothing to call it by. */
  readonly label?: string
  /** The number of the branch in its group, from 0. */
  readonly index: number
  /** How the branch ended. */
  readonly status: OutcomeStatus
  /** Its value, or its error. */
  readonly outcome: Outcome<unknown>
}

/** What `run.signal` takes. */
export interface SignalOptions {
  /** Names the call, 1 to 256 characters: calls with the same key bring one signal, and answer the same. Default: none. */
  readonly idempotencyKey?: string
  /** Inside an `each`: the number of the item whose wait is meant, from 0; of the innermost, if they are nested. Default: none. */
  readonly index?: number
}

/** What is known of a reason beside its name. */
export interface WaitDetails {
  /** Where it waits for a worker or driver. */
  readonly queue?: string
  /** Live workers of that queue. */
  readonly workers?: number
  /** Tasks, and other code, that no live worker knows; of a run without any worker all that its driver must know. */
  readonly tasks?: readonly string[]
  /** Capabilities that no live worker has. */
  readonly requires?: readonly string[]
  /** The preferred worker. */
  readonly worker?: string
  /** Branches of the group that may run at once. */
  readonly limit?: number
  /** Branches of the group that do. */
  readonly running?: number
  /** The start that failed last, where it is known. */
  readonly attempt?: number
  /** Why the last start failed, where it is known. */
  readonly error?: Error
  /** The name of the signal. */
  readonly signal?: string
  /** The number of the item that the signal is for, where there are many. */
  readonly index?: number
  /** Until when, where that is known. */
  readonly dueAt?: Date
  /** The hash of the graph. */
  readonly graph?: string
  /** JSON Schema of the payload, where it is known and no person is asked: their prompt has it as its form. */
  readonly schema?: object
  /** What the schema of the wait found wrong with the last answer, which therefore did not count. */
  readonly refused?: RefusedAnswer
}

/** Why an answer did not count. */
export interface RefusedAnswer {
  /** All of it in one line. */
  readonly message: string
  /** Where in the payload, such as `items.0.id` ('' is all of it), and what is wrong there: of many the first 5. */
  readonly issues: readonly { readonly path: string; readonly message: string }[]
}

/** What a person is asked, with what an answer must look like. */
export interface AskedPrompt extends Prompt {
  /** JSON Schema of an answer, where the wait has a schema whose library can say it. A form is made of it. */
  readonly form?: object
}

/** Why a run stands still at one place. */
export interface RunWait {
  /** The id of the run. */
  readonly runId: string
  /** The name of its workflow, where it has one. */
  readonly workflow?: string
  /** The path in the run of what waits, such as `1`, or `''` for the run itself; of a handler's wait the path of its task, and `~1` for its first one. */
  readonly path: string
  /** The task that waits, or whose handler does, or that nobody knows; absent where there is no single one. */
  readonly task?: string
  /** What people call the item by that it stands in: of the innermost each with the option `label` around it. */
  readonly label?: string
  /** How many wait so at this path. */
  readonly count: number
  /** When the wait began. */
  readonly since: Date
  /** The reason: of several, the one that would have to go first. */
  readonly why: WaitReason
  /** What is known of the reason. */
  readonly details: WaitDetails
  /** What a person is asked. */
  readonly prompt?: AskedPrompt
}

/** Why runs stand still. */
export interface RunWaits {
  /** What a run waits for now: nothing where it works, or is over. @throws GraflowError RUN_NOT_FOUND, CLOSED */
  of(runId: string): Promise<readonly RunWait[]>
  /** A page of the waits of all runs that are not over, newest runs first. @throws GraflowError INVALID_OPTION, CLOSED */
  list(options?: WaitListOptions): Promise<Page<RunWait>>
}

/** A handle of a run whose result is an `O`. Any process can get one with `attach`; dropping a handle does not affect the run. */
export interface Run<out O> {
  /** The id of the run; `attach` takes it. */
  readonly id: string
  /**
   * Waits for the end. Repeating it gives a new copy.
   * @throws GraflowError why the run failed: TASK_FAILED, GROUP_FAILED, TIMEOUT, …; CANCELLED; CLOSED when the client is closed before
   */
  result(): Promise<O>
  /**
   * What a finished task of the run gave; does not wait.
   * @throws GraflowError RESULT_NOT_READY while it may still come, RESULT_NOT_FOUND with the paths that have a result, RESULT_AMBIGUOUS with
   * the task's paths; why the branch failed
   */
  result<const N extends AnyNode, const G = N>(task: N | OrSay<G>): Promise<Out<N>>
  /**
   * The same by path, such as `1/0`. At the path of a group it is what the join makes of the branches, with
   * GROUP_FAILED when that refused them.
   */
  result(path: string): Promise<unknown>
  /**
   * What the run does now.
   * @throws GraflowError RUN_NOT_FOUND past its retention
   */
  status(): Promise<RunStatus>
  /** Ends the run as cancelled: fires the signals of running handlers and withdraws waiting branches. False when the run was over already. */
  cancel(reason?: string): Promise<boolean>
  /** Pauses the run: nothing more of it starts until `resume`; running handlers finish. False when it was paused or over already. */
  pause(): Promise<boolean>
  /** Ends a pause. False when there was none. */
  resume(): Promise<boolean>
  /**
   * Sends a signal: the run's `waitFor(name)`, or a handler's `ctx.waitFor(name)`, gives the payload. One that comes before the wait is kept for it.
   * The first signal counts: false for a later one, when its time is over, and when the run is. A payload that the schema of the wait refuses is not
   * sent, where the flow is known here, or the run waits already and its schema is one of Zod that changes no value. Else whoever waits checks it: the run then
   * waits on, and its waits say what was refused.
   * @throws GraflowError INVALID_INPUT, NOT_SERIALISABLE, LIMIT_EXCEEDED past `limits.itemBytes`; INVALID_OPTION for an index that is missing or
   * of no use; RUN_NOT_FOUND, BACKPRESSURE
   */
  signal(name: string, payload?: unknown, options?: SignalOptions): Promise<boolean>
  /** What happens from now on, until the run is over. */
  events(): AsyncIterableIterator<RunEvent>
  /**
   * Outcomes of branches of all its groups, those so far and then as they arrive, until the run is over. In a run that was retried, a branch that did
   * not succeed comes once more when it is started anew.
   */
  branches(): AsyncIterableIterator<BranchOutcome>
}

/** A worker of the store. */
export interface WorkerStatus {
  /** What it calls itself. */
  readonly id: string
  /** Its session: one a process and start. Two live workers of one id differ in it. */
  readonly session: string
  /**
   * What it does. `stale`: its session is gone, so it was killed, stands still or is cut off, and others have its work. `dead`: nothing was heard of it for
   * deadAfterMs; after a day it is forgotten.
   */
  readonly state: WorkerStateName
  /** What it may do: `auto`, `worker`, `leader` or `observer`. */
  readonly role: string
  /** Whether it leads. */
  readonly isLeader: boolean
  /** Where it runs. */
  readonly hostname: string
  /** The id of its process there. */
  readonly pid: number
  /** The build that it runs, if it says so. */
  readonly buildId: string | undefined
  /** What its operator says of it. */
  readonly metadata: Readonly<Record<string, string>>
  /** Queues that it serves. */
  readonly queues: readonly string[] | 'all'
  /** What it has that tasks may require. */
  readonly capabilities: readonly string[] | 'all'
  /** Names of the tasks that it has handlers for. */
  readonly tasks: readonly string[] | 'all'
  /** When it joined; undefined for one of an earlier release. */
  readonly registeredAt: Date | undefined
  /** Its last sign of life. */
  readonly seenAt: Date
  /** Branches that it holds; runs that it drives are not among them. */
  readonly inFlight: number
  /** Runs that it drives. */
  readonly drives: number
}

/** The workers of the store. */
export interface Workers {
  /** Those that live, and those that were lost in the last day, by id. Embedded: none. */
  list(options?: PageOptions): Promise<Page<WorkerStatus>>
  /** The worker that calls itself so, of several the last one; undefined where there is none. */
  get(id: string): Promise<WorkerStatus | undefined>
  /**
   * Asks a worker to leave, as SIGTERM does: it takes nothing new, finishes what it has within its graceful shutdown timeout, and ends. Of several
   * with one id all are asked. False when no live worker calls itself so. Repeating it is safe.
   */
  drain(id: string): Promise<boolean>
  /**
   * Takes a worker off the list: one that was lost is forgotten, before its day is over (`forgotten`); one that lives is asked to leave, as by `drain`, and
   * goes off the list when it has (`draining`). `unknown` where there is none of this name. Repeating it is safe.
   */
  delete(id: string): Promise<'forgotten' | 'draining' | 'unknown'>
}

/** Branches that failed for good: the newest 1 000 or so are kept, whatever becomes of their runs. */
export interface DeadLetters {
  /**
   * A page of them, newest first.
   * @throws GraflowError INVALID_OPTION
   */
  list(options?: DeadLetterOptions): Promise<Page<DeadLetter>>
  /** One, with its input; undefined when there is none with this id. */
  get(id: string): Promise<DeadLetterWithInput | undefined>
  /**
   * Submits what the branch was to run, with its input, as a run of its own. The letter stays. Each call starts another run, but calls with the same
   * `idempotencyKey` (1 to 256 characters) give the first one's.
   * @throws GraflowError NOT_KEPT when the letter, its input or its graph is not kept; RUN_EXISTS when a run of something else has the key; INVALID_OPTION,
   * BACKPRESSURE
   */
  replay(id: string, options?: { readonly idempotencyKey?: string }): Promise<Run<unknown>>
  /** Deletes one. False when there is none with this id, or none any more. */
  delete(id: string): Promise<boolean>
  /** Deletes all, or those from before a time. Says how many. Repeating it is safe. */
  purge(options?: { readonly before?: Date }): Promise<number>
}

/** The runs of the store, and commands on them by their id, whichever process drives them. */
export interface Runs {
  /**
   * A page of runs, newest first, all as they are at one moment. It costs the same however many runs there are. A page may be shorter than its limit, and
   * have a cursor, where few of very many runs match. Runs that come while you page are on no page; each that is there all along, and matches all
   * along, is on one.
   * @throws GraflowError INVALID_OPTION
   */
  list(options?: RunListOptions): Promise<Page<RunSummary>>
  /** What a run does now, as `run.status()` says it; undefined where there is none with this id, or none any more. */
  get(id: string): Promise<RunStatus | undefined>
  /** The flow of a run. @throws GraflowError RUN_NOT_FOUND, NO_GRAPH */
  graph(id: string): Promise<RunGraph>
  /**
   * What a step or branch got, or gave; '' is the whole run. An input that is not kept any more is worked out from what gave it.
   * @throws GraflowError RUN_NOT_FOUND; RESULT_NOT_READY, RESULT_NOT_FOUND with the paths that have a result; for an output why the step or branch failed;
   * NOT_KEPT for an input
   */
  value(id: string, path: string, which: 'input' | 'output'): Promise<unknown>
  /**
   * A report of a run, also of one that is not over: when and where its branches were started, which were late, how long barriers waited, what failed, and
   * some inputs and outputs. Outcomes of a completed run, and the times with them, are kept for ten minutes.
   * @throws GraflowError RUN_NOT_FOUND
   */
  report(id: string): Promise<RunReport>
  /** Ends a run as cancelled. False when it was over already. @throws GraflowError RUN_NOT_FOUND */
  cancel(id: string, reason?: string): Promise<boolean>
  /**
   * Cancels all runs that match the filter and are not over: how many. It goes through them page by page, so the store serves others meanwhile. Repeating it
   * is safe: a run that was cancelled is left alone.
   * @throws GraflowError INVALID_OPTION, also for a filter that names nothing
   */
  cancel(filter: RunFilter, options?: BulkOptions & { readonly reason?: string }): Promise<number>
  /** Pauses a run: nothing more of it starts until `resume`. False when it was paused or over already. @throws GraflowError RUN_NOT_FOUND */
  pause(id: string): Promise<boolean>
  /** Ends a pause. False when there was none. @throws GraflowError RUN_NOT_FOUND */
  resume(id: string): Promise<boolean>
  /** Sends a signal to a run, as `run.signal` does. */
  signal(id: string, name: string, payload?: unknown, options?: SignalOptions): Promise<boolean>
  /**
   * A run that failed or was cancelled goes on under its id from what failed: outputs of finished steps are kept, and so are the branches that
   * succeeded of a group that failed; its other branches start anew. With `from`, the path of a step or branch (`1`, `1/0`), it is repeated from
   * there on, also where it was completed. A worker drives it; a run that was started is driven by this process, if it knows the code. False when
   * the run is not over, or is completed and no `from` is given.
   * @throws GraflowError RUN_NOT_FOUND; NOT_KEPT when inputs, outcomes or the graph that it needs are not kept; INVALID_OPTION when the run's graph
   * has no such place
   */
  retry(id: string, options?: RetryRunOptions): Promise<boolean>
  /**
   * Retries all runs that match the filter and failed or were cancelled: how many. Workers drive them. Repeating it is safe; runs that cannot be
   * retried any more are counted as failed in the progress, and left as they are.
   * @throws GraflowError INVALID_OPTION, also for a filter that names nothing
   */
  retry(filter: RunFilter, options?: BulkOptions): Promise<number>
  /**
   * Decides by hand what a branch, or a task that is a step, ends with: `{ succeed: value }`, `{ fail: reason }` or `{ skip: true }` (a step then
   * passes its input on; a branch is `skipped`). What its worker reports later is refused, and its signal fires. A run that failed goes on, as
   * with `retry`; so does a branch that failed, when a step of it is decided while its group is open. False when the step or branch has succeeded, when
   * its group is closed, when it was decided before, when nobody has come to it, or when the run is over and did not
   * fail.
   * @throws GraflowError RUN_NOT_FOUND, NOT_KEPT; INVALID_OPTION when there is no such branch or step; NOT_SERIALISABLE, LIMIT_EXCEEDED
   */
  settle(id: string, path: string, as: Decision, options?: SettleOptions): Promise<boolean>
  /**
   * Deletes a run with all that is kept of it, and frees its id and its idempotency key. A run that is not over is cancelled first. False when
   * there is no such run, or none any more. Repeating it is safe.
   */
  delete(id: string): Promise<boolean>
  /** Deletes all runs that match the filter: how many. Those that are not over are cancelled first. Repeating it is safe. @throws GraflowError INVALID_OPTION, also for a filter that names nothing */
  delete(filter: RunFilter, options?: BulkOptions): Promise<number>
}

/** What connect gives. */
export interface Graflow extends AsyncDisposable {
  /** What this client calls itself in events and errors. */
  readonly instanceId: string
  /** False once `close` was called. */
  readonly isRunning: boolean
  /** Whether this client leads now: false as soon as another process may. Only one with the role `auto` ever leads. */
  readonly isLeader: boolean
  /** Calls `fn` with the term whenever this client becomes the leader, and soon if it is. Returns what ends that. */
  onBecameLeader(fn: (term: number) => unknown): () => void
  /** Calls `fn` with the term when this client leads no more. Returns what ends that. */
  onLostLeadership(fn: (term: number) => unknown): () => void
  /** Calls `fn` with what goes wrong in the background, where no caller gets it, such as a store that is away. Returns what ends that. */
  onError(fn: (error: Error) => unknown): () => void
  /** What happens in the runs that this client started or attached to, and among the processes of the store. */
  readonly events: Events
  /** Why runs stand still. */
  readonly waits: RunWaits
  /** The workers of the store. */
  readonly workers: Workers
  /** The runs of the store. */
  readonly runs: Runs
  /** The queues of the store. */
  readonly queues: Queues
  /** Branches that failed for good. */
  readonly deadLetters: DeadLetters
  /** Builds of workers, and the runs that are pinned to them. */
  readonly builds: Builds
  /** Where the control plane of this client listens; undefined without `serve`. */
  readonly server: ServerInfo | undefined
  /** Groups of pipelines that events are routed through. */
  readonly deployments: Deployments
  /** The same as the next overload, for a flow that takes no input. */
  run<const N>(node: NeedsNoInput<N>): Promise<Out<Flow<N>>>
  /**
   * Starts a run and waits for its result. This process drives it: the run stops when the process ends.
   * @throws GraflowError as `start` and `Run.result`
   */
  run<const N extends AnyNode, const G = N>(node: N | OrSay<G>, input: In<N>, options?: RunOptions): Promise<Out<N>>
  /** Starts a run of a flow that takes no input; else as the next. */
  start<const N>(node: NeedsNoInput<N>): Promise<Run<Out<Flow<N>>>>
  /**
   * Starts a run; this process drives it. Repeating it with the same id or idempotency key is safe.
   * @throws GraflowError RUN_EXISTS, NOT_SERIALISABLE, LIMIT_EXCEEDED, BACKPRESSURE, INVALID_OPTION, CLOSED
   */
  start<const N extends AnyNode, const G = N>(
    node: N | OrSay<G>,
    input: In<N>,
    options?: RunOptions,
  ): Promise<Run<Out<N>>>
  /** Starts a run of a flow that takes no input, or by the name of a workflow; else as the next. */
  submit<const N>(node: N extends string ? N : NeedsNoInput<N>): Promise<Run<N extends string ? unknown : Out<Flow<N>>>>
  /**
   * Starts a run that any worker drives, so it outlives this process. Repeating it with the same id or idempotency key is safe. In place of a flow, the
   * name of a workflow will do: of one that was seen here, or stands in a task module of a worker, the latest that was registered. Input and result
   * have no types then.
   * @throws GraflowError as `start`; WORKFLOW_NOT_FOUND
   */
  submit<const N extends AnyNode | string, const G = N>(
    node: N | (G extends string ? G : OrSay<G>),
    input: N extends AnyNode ? In<N> : unknown,
    options?: RunOptions,
  ): Promise<Run<N extends AnyNode ? Out<N> : unknown>>
  /**
   * A run that was started elsewhere or earlier; the flow says its type. A flow whose options differ from the run's is the same flow.
   * @throws GraflowError RUN_NOT_FOUND; GRAPH_MISMATCH when the flow has another shape than the run's
   */
  attach<const N extends AnyNode = Node<never, unknown>, const G = N>(
    runId: string,
    node?: N | OrSay<G>,
  ): Promise<Run<Out<N>>>
  /**
   * Takes up a run that nobody drives, such as an abandoned one: this process drives it from now on. Finished steps and branches are not run again,
   * and open groups are met. The stored graph is used; handlers are found by name, in the flow that is given, in those seen here and in
   * `connect({ tasks })`; a step without one goes to the workers. While another process drives the run, this one stands by until the run is over
   * or the client is closed, and goes on when the other one is lost. Repeating it is safe.
   * @throws GraflowError RUN_NOT_FOUND; GRAPH_MISMATCH when the flow has another shape than the run's; BUILD_MISMATCH when it is pinned to another build; NO_SUCH_POLICY when the run joins by a
   * policy that is not known here; NO_GRAPH when the store does not keep the run's graph
   */
  resume<const N extends AnyNode = Node<never, unknown>, const G = N>(
    runId: string,
    node?: N | OrSay<G>,
  ): Promise<Run<Out<N>>>
  /**
   * What this process exports for Prometheus, in its text format: answer your own `GET /metrics` with it, as
   * `text/plain; version=0.0.4; charset=utf-8`. It counts from the first call on; docs/metrics.md has the names.
   * @throws GraflowError CLOSED
   */
  metrics(): Promise<string>
  /** Closes the client: it stops driving its runs, and pending results reject with CLOSED. Repeating it is safe. */
  close(): Promise<void>
}
