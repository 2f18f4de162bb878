/** The client as users see it: what connect gives, what a run can be asked. */
import type { GraflowError } from '../errors.js'
import type { Events, OutcomeStatus, RunEvent, RunStateName } from '../events.js'
import type { AnyNode, In, JoinPolicy, NeedsNoInput, Node, Out, Outcome } from '../flow/types.js'
import { type Limits } from '../options.js'
import type { Clock, Random } from '../time.js'

/** Where the store is. Absent, or `memory:`: in this process. */
export type Address = string

export interface ConnectOptions {
  readonly keyPrefix?: string
  readonly instanceId?: string
  /** Flows whose handlers are known by name, and join policies. */
  readonly tasks?: readonly (AnyNode | JoinPolicy<never, unknown>)[]
  readonly maxConcurrentTasks?: number
  readonly retentionMs?: number
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly maxBytes?: number
  readonly limits?: Partial<Limits>
  readonly clock?: Clock
  readonly random?: Random
}

export interface RunOptions {
  readonly id?: string
  readonly idempotencyKey?: string
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** Branches of one group, by what they are now; they sum to `width`. */
export interface GroupProgress {
  readonly path: string
  readonly state: 'open' | 'released' | 'withdrawn'
  readonly width: number
  readonly ready: number
  readonly delayed: number
  readonly running: number
  readonly succeeded: number
  readonly failed: number
  readonly dead: number
  readonly withdrawn: number
}

export interface RunStatus {
  readonly id: string
  readonly workflow: string | undefined
  readonly state: RunStateName
  readonly createdAt: Date
  readonly startedAt: Date | undefined
  readonly endedAt: Date | undefined
  /** Branches that are final, of those dispatched so far; one that was dispatched once more, for its task's own routing, counts once. */
  readonly done: number
  readonly total: number
  /** In order of dispatch. */
  readonly groups: readonly GroupProgress[]
  /** Why it failed or was cancelled. */
  readonly error: GraflowError | undefined
}

/** One branch's final outcome. */
export interface BranchOutcome {
  readonly path: string
  readonly task: string
  readonly index: number
  readonly status: OutcomeStatus
  readonly outcome: Outcome<unknown>
}

/** A run, whose result is an `O`. Any process may hold one; it has no life of its own. */
export interface Run<out O> {
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
  result<const N extends AnyNode>(task: N): Promise<Out<N>>
  /**
   * The same by path, such as `1/0`. At the path of a group it is what the join makes of the branches (not kept of a policy), with
   * GROUP_FAILED when that refused them.
   */
  result(path: string): Promise<unknown>
  /** @throws GraflowError RUN_NOT_FOUND past its retention */
  status(): Promise<RunStatus>
  /** Ends the run as cancelled: what runs gets its signal, what waits is withdrawn. False when it was over already. */
  cancel(reason?: string): Promise<boolean>
  /** Nothing of it is acquired until `resume`; what runs finishes. False when it was so, or over. */
  pause(): Promise<boolean>
  /** Ends a pause. False when there was none. */
  resume(): Promise<boolean>
  /** What happens from now on, until the run is over. */
  events(): AsyncIterableIterator<RunEvent>
  /** Outcomes of branches of all its groups, those so far and then as they arrive, until the run is over. */
  branches(): AsyncIterableIterator<BranchOutcome>
}

/** What connect gives. */
export interface Graflow extends AsyncDisposable {
  readonly instanceId: string
  readonly isRunning: boolean
  readonly events: Events
  /** Starts a run and waits for its result. */
  run<const N extends AnyNode>(node: NeedsNoInput<N>): Promise<Out<N>>
  run<const N extends AnyNode>(node: N, input: In<N>, options?: RunOptions): Promise<Out<N>>
  /**
   * Starts a run; this process drives it.
   * @throws GraflowError RUN_EXISTS, NOT_SERIALISABLE, LIMIT_EXCEEDED, BACKPRESSURE, INVALID_OPTION, CLOSED
   */
  start<const N extends AnyNode>(node: NeedsNoInput<N>): Promise<Run<Out<N>>>
  start<const N extends AnyNode>(node: N, input: In<N>, options?: RunOptions): Promise<Run<Out<N>>>
  /** Starts a run that any worker drives. */
  submit<const N extends AnyNode>(node: NeedsNoInput<N>): Promise<Run<Out<N>>>
  submit<const N extends AnyNode>(node: N, input: In<N>, options?: RunOptions): Promise<Run<Out<N>>>
  /**
   * A run that was started elsewhere or earlier; the flow says its type.
   * @throws GraflowError RUN_NOT_FOUND; GRAPH_MISMATCH when the flow is not the run's
   */
  attach<const N extends AnyNode = Node<never, unknown>>(runId: string, node?: N): Promise<Run<Out<N>>>
  /** Withdraws from the store: runs that this process drives stop, and their results reject with CLOSED. Repeating it is safe. */
  close(): Promise<void>
}
