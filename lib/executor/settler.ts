/**
 * Hides when and in which calls reports reach the store. Ends branches (by their own report, or because they are not wanted any more),
 * and settles all that ended since the last call in the next one.
 */
import type { SettleAnswer, SettleKind } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { FailedStart } from '../engine/branch-keeper.js'
import { Unreported } from '../engine/cancellation.js'
import type { Execution } from '../engine/execution.js'
import type { Span } from '../events.js'
import { emitFailed, emitRetrying, emitSettled } from './branch-events.js'
import type { BranchEnds, BranchInFlight } from './branch-in-flight.js'
import type { ExecutorOptions } from './executor-options.js'
import type { GrantInFlight, StartedBranch } from './grant-in-flight.js'
import type { InFlight } from './in-flight.js'
import type { Lookahead } from './lookahead.js'
import type { Phase } from './phase.js'
import { countKinds, inCalls, insteadOf, type Unsettled } from './settle-calls.js'
import type { Over } from './reports.js'
import type { Turn } from './turn.js'

/** Settle calls under way at once; what ends meanwhile travels with the next. */
const MOST_SETTLE_CALLS = 2
/** Groups at most of which is kept that they know the name of this worker; past them some get it twice. */
const MOST_NAMED = 1_000

/** What a worker has finished since it started, for people. */
export interface WorkerCounters {
  readonly tasksProcessed: number
  readonly tasksSucceeded: number
  readonly tasksFailed: number
  readonly totalExecutionTimeMs: number
}

type Options = Pick<
  ExecutorOptions,
  'backend' | 'clock' | 'emitter' | 'announcer' | 'session' | 'workerId' | 'timings' | 'onRefused' | 'onError'
>

interface Parts {
  readonly phase: Phase
  readonly turn: Turn
  readonly ahead: Lookahead
  readonly inFlight: InFlight
  /** A settle call is over. */
  readonly onSettled: () => void
}

export class Settler implements BranchEnds {
  readonly #options: Options
  readonly #parts: Parts
  readonly #unsettled = new Set<GrantInFlight>()
  /** Under way. */
  readonly #calls = new Set<readonly Unsettled[]>()
  /** Grants of which reports were refused for good: while one is in hand, nothing of it can be found missing. */
  readonly #refused = new Set<GrantInFlight>()
  /** Groups to which the name of this worker was sent. */
  readonly #named = new Set<string>()
  /** The date of this turn, once it was asked for. */
  #overAt: number | undefined
  #counters = { tasksProcessed: 0, tasksSucceeded: 0, tasksFailed: 0, totalExecutionTimeMs: 0 }

  constructor(options: Options, parts: Parts) {
    this.#options = options
    this.#parts = parts
  }

  get counters(): WorkerCounters {
    return { ...this.#counters }
  }

  get hasUnsettled(): boolean {
    return this.#unsettled.size > 0
  }

  /** Whether no report waits or is on its way. */
  get isAtRest(): boolean {
    return this.#unsettled.size === 0 && this.#calls.size === 0
  }

  /** Grants whose reports wait or are on their way; some twice. */
  *grants(): Iterable<GrantInFlight> {
    yield* this.#unsettled
    for (const call of this.#calls) for (const { grant } of call) yield grant
  }

  ended(branch: BranchInFlight, execution: Execution, failure: FailedStart | undefined): void {
    const { grant, k } = branch
    if (execution.span !== undefined) endSpan(execution.span, failure)
    grant.endBranch(k)
    this.#add(grant, execution, failure === undefined)
    // A branch that was forwarded counts in the worker that runs its task.
    if (!grant.prepared.isForwarded(k)) {
      this.#count(failure)
      grant.untimed += 1
      grant.untimedStarts += branch.startedAt
      this.#announce(grant, k, failure)
    }
    execution.end()
    branch.end()
    this.#parts.inFlight.forgetIfOver(grant)
  }

  parked(branch: BranchInFlight, execution: Execution): void {
    const { grant, k } = branch
    execution.span?.set({ outcome: 'parked' })
    grant.endBranch(k)
    this.#add(grant, execution)
    execution.end()
    branch.end()
    this.#parts.inFlight.forgetIfOver(grant)
  }

  /** A wait may take days: once this process takes no more, it is another's. */
  waitsOnly(branch: BranchInFlight): void {
    if (this.#parts.phase.current === 'taking') return
    const { grant, k } = branch
    this.#abortBranch(grant, k, branch, isLeaving(), 'released')
    this.#parts.inFlight.forgetIfOver(grant)
  }

  /** Releases branches whose handlers wait for nothing but time or signals. */
  releaseWaitingOnly(): void {
    for (const grant of [...this.#parts.inFlight.all()]) {
      for (const [k, branch] of grant.branches.entries()) {
        if (branch?.execution?.isWaitingOnly === true) this.#abortBranch(grant, k, branch, isLeaving(), 'released')
      }
      this.#parts.inFlight.forgetIfOver(grant)
    }
  }

  /** Branch k was not started, and is released unspent. */
  release(grant: GrantInFlight, k: number): void {
    grant.reports.addReleased(k)
    this.#add(grant, undefined)
  }

  /**
   * The branches of the grant that were started are not wanted any more: their signals fire, and they are released unspent or report nothing.
   * Says how many they were.
   */
  abort(grant: GrantInFlight, reason: Error, as: 'unreported' | 'released'): number {
    let aborted = 0
    for (const [k, branch] of grant.branches.entries()) {
      if (branch !== undefined && this.#abortBranch(grant, k, branch, reason, as)) aborted += 1
    }
    return aborted
  }

  /** False where it was not started. */
  #abortBranch(
    grant: GrantInFlight,
    k: number,
    branch: StartedBranch,
    reason: Error,
    as: 'unreported' | 'released',
  ): boolean {
    const { execution } = branch
    if (execution === undefined) return false
    execution.span?.set({ outcome: as === 'released' ? as : 'withdrawn' })
    if (as === 'released') {
      grant.reports.addReleased(k)
      this.#add(grant, execution)
    }
    grant.endBranch(k)
    branch.end()
    execution.cancel.abort(reason)
    execution.end()
    return true
  }

  /**
   * Sends what is to be settled, unless enough is under way.
   * @returns whether the store must be asked for work now, even if it has promised a notice
   */
  flush(): boolean {
    if (this.#unsettled.size === 0 || this.#calls.size >= MOST_SETTLE_CALLS) return false
    const { backend, announcer } = this.#options
    const { quick } = this.#parts.ahead
    this.#parts.turn.look()
    this.#overAt = undefined
    const all: Unsettled[] = []
    let isToAsk = false
    for (const grant of this.#unsettled) {
      // No notice is sent for the room that comes free under the limit of a group.
      if (grant.grant.spec.limit > 0) isToAsk = true
      const meanMs = this.#countTime(grant)
      for (const range of grant.reports.takeRanges(backend.limits, this.#over(grant)))
        all.push({ range, grant, meanMs })
    }
    this.#unsettled.clear()
    announcer?.deliver()
    for (const call of inCalls(all, backend.limits)) this.#send(call)
    // The store goes by the quick tasks that the last acquire named.
    return isToAsk || this.#parts.ahead.quick !== quick
  }

  /** The grant has reports to settle. `isLast`: of a branch that nobody starts again. */
  #add(grant: GrantInFlight, execution: Execution | undefined, isLast = false): void {
    const save = execution?.takeUnsaved(isLast)
    if (save !== undefined) grant.reports.addSaves(save)
    this.#unsettled.add(grant)
    this.#parts.turn.plan()
  }

  #count(failure: FailedStart | undefined): void {
    if (failure?.kind === 'retry') return
    this.#counters.tasksProcessed += 1
    if (failure === undefined) this.#counters.tasksSucceeded += 1
    else this.#counters.tasksFailed += 1
  }

  #announce(grant: GrantInFlight, k: number, failure: FailedStart | undefined): void {
    const { emitter } = this.#options
    const { runId } = grant.grant.spec
    if (failure !== undefined && emitter.has('start:failed')) {
      const delayMs = failure.kind === 'retry' ? failure.delayMs : undefined
      emitFailed(emitter, grant.prepared.branch(k), delayMs, failure.error)
    }
    if (failure?.kind === 'retry') {
      if (emitter.isSubscribed('branch:retrying', runId))
        emitRetrying(emitter, grant.prepared.branch(k), failure.delayMs, failure.error)
    } else if (emitter.isSubscribed('branch:settled', runId))
      emitSettled(emitter, grant.prepared.branch(k), failure?.kind ?? 'succeeded')
  }

  /** Undefined where nothing of it is to be kept. */
  #over(grant: GrantInFlight): Over | undefined {
    const { timings = true, workerId, clock } = this.#options
    if (!timings) return undefined
    this.#overAt ??= clock.now()
    return {
      ...{ workerId, isNamed: !this.#named.has(grant.grant.spec.gid) },
      ...{ end: this.#parts.turn.now, endAt: this.#overAt },
    }
  }

  /** Groups in which this worker's name stands beside its times need it no more. */
  #noteNamed(call: readonly Unsettled[], answers: readonly SettleAnswer[]): void {
    if (this.#named.size > MOST_NAMED) this.#named.clear()
    for (const [i, { range }] of call.entries())
      if (answers[i] === 'ok' && range.times !== undefined && range.kinds.some(isFinal)) this.#named.add(range.gid)
  }

  /** Once for all starts of a grant that ended in this turn. */
  #countTime(grant: GrantInFlight): number {
    const { untimed } = grant
    if (untimed === 0) return 0
    const totalMs = untimed * this.#parts.turn.now - grant.untimedStarts
    this.#counters.totalExecutionTimeMs += totalMs
    grant.untimed = 0
    grant.untimedStarts = 0
    this.#parts.ahead.learn(totalMs / untimed, untimed, grant.grant.spec.tasks)
    return totalMs / untimed
  }

  #send(call: readonly Unsettled[]): void {
    this.#calls.add(call)
    void this.#settle(call).then(() => {
      this.#calls.delete(call)
      this.#tellRefused()
      this.#parts.onSettled()
    })
  }

  #tellRefused(): void {
    if (this.#refused.size === 0) return
    const inHand = new Set(this.grants())
    const before = this.#refused.size
    for (const grant of this.#refused) if (grant.left === 0 && !inHand.has(grant)) this.#refused.delete(grant)
    if (this.#refused.size < before) this.#options.onRefused?.()
  }

  async #settle(call: readonly Unsettled[]): Promise<void> {
    const { backend, emitter, session, workerId, onError } = this.#options
    try {
      const answers = await backend.settle({ session, ranges: call.map(({ range }) => range) })
      this.#noteNamed(call, answers)
      if (emitter.has('branches:settled')) emitter.emit('branches:settled', { workerId, ...countKinds(call, answers) })
    } catch (error) {
      const isStopped = this.#parts.phase.current === 'stopped'
      // A store that was closed has released what this session had.
      if (!(isStopped && error instanceof GraflowError && error.code === 'CLOSED')) onError(error)
      if (isStopped) return
      const [only] = call
      // The store may refuse one range: the others must not be lost for it. Nor must a group wait for a value that is never taken.
      const instead =
        call.length === 1 && only !== undefined && isTooLarge(error)
          ? insteadOf(only, error)
          : call.length > 1
            ? call
            : []
      if (instead.length === 0) for (const { grant } of call) this.#refused.add(grant)
      await Promise.all(instead.map((unsettled) => this.#settle([unsettled])))
    }
  }
}

/** With the outcome of such a branch the store keeps the times of its range. */
const isFinal = (kind: SettleKind): boolean => kind !== 'retry' && kind !== 'released' && kind !== 'parked'

const isLeaving = (): Unreported =>
  new Unreported('this worker is leaving: the wait goes on elsewhere, where the handler is started again', 'CLOSED')

function endSpan(span: Span, failure: FailedStart | undefined): void {
  if (failure === undefined) {
    span.set({ outcome: 'succeeded' })
    return
  }
  span.set(failure.kind === 'retry' ? { outcome: 'retried', retryInMs: failure.delayMs } : { outcome: 'failed' })
  span.fail(failure.error)
}

const isTooLarge = (error: unknown): error is GraflowError =>
  error instanceof GraflowError && error.code === 'LIMIT_EXCEEDED'
