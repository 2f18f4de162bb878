/**
 * Acquires branches, starts them, settles what they gave: in batches, never more at once than there are slots. It asks the engine what a
 * branch is, and the backend for everything else.
 *
 * A slot is the right to run one branch. A branch that waits at an inner barrier gives its slot back, so nesting needs no second worker.
 *
 * This file is long because acquiring, starting and settling share one state: what is in flight.
 */
import type { Backend, Grant, SettleRange } from '../lib/backend/backend.js'
import { encode } from '../lib/engine/codec.js'
import type { Engine } from '../lib/engine/engine.js'
import type { Execution } from '../lib/engine/execution.js'
import { NO_BYTES, PackedWriter } from '../lib/engine/packing.js'
import type { PreparedBranch, PreparedGrant } from '../lib/engine/prepared-grant.js'
import type { BranchReport } from '../lib/engine/task-start.js'
import { GraflowError } from '../lib/errors.js'
import type { Emitter, OutcomeStatus } from '../lib/events.js'
import type { Clock } from '../lib/time.js'
import { BranchInFlight } from './branch-in-flight.js'
import { GrantInFlight } from './grant-in-flight.js'
import { countKinds, inCalls } from './settle-calls.js'
import { Slots } from './slots.js'

export interface WorkerLoopOptions {
  readonly backend: Backend
  readonly engine: Engine
  readonly clock: Clock
  readonly emitter: Emitter
  readonly session: string
  readonly workerId: string
  /** Branches that run at once. */
  readonly maxConcurrentTasks: number
  readonly queues: readonly string[] | 'all'
  readonly capabilities: readonly string[] | 'all'
  /** New random identifiers. */
  readonly newId: () => string
  /** Drives a run that was submitted, and so came as a branch. */
  readonly driveRun: (grant: Grant, k: number) => void
  /** A broken contract or lost store: the loop goes on, somebody should know. */
  readonly onError: (error: unknown) => void
}

/** Counters as the seeds have them. */
export interface WorkerCounters {
  readonly tasksProcessed: number
  readonly tasksSucceeded: number
  readonly tasksFailed: number
  readonly totalExecutionTimeMs: number
}

/** After so long in one turn of the event loop, timers and sockets are let in. */
const LONGEST_TURN_MS = 10

const RELEASED: BranchReport = Object.freeze({ kind: 'released', delayMs: 0 })

/** The loop. Woken by notices; stands still, without a timer, when there is nothing to do. */
export class WorkerLoop {
  readonly #options: WorkerLoopOptions
  readonly #slots: Slots
  readonly #inFlight = new Map<string, Set<GrantInFlight>>()
  readonly #unsettled = new Set<GrantInFlight>()
  /** Calls under way that may bring grants, and grants that wait for their graph. */
  #coming = 0
  /** What was taken away meanwhile, by token or by group: the news may be here before the grant. */
  readonly #dismissed = new Set<string>()
  #isPumping = false
  #isAskedAgain = false
  #isStopped = false
  #isFlushing = false
  #turnStartedAt = 0
  readonly #ended = (grant: GrantInFlight, k: number, execution: Execution, report: BranchReport): void =>
    this.#end(grant, k, execution, report)
  #counters = { tasksProcessed: 0, tasksSucceeded: 0, tasksFailed: 0, totalExecutionTimeMs: 0 }

  constructor(options: WorkerLoopOptions) {
    this.#options = options
    this.#slots = new Slots(options.maxConcurrentTasks, () => {
      if (!this.#isFlushing) this.wake()
    })
  }

  get counters(): WorkerCounters {
    return { ...this.#counters }
  }

  /** Branches that are started and not over. */
  get inFlight(): number {
    let count = 0
    for (const grants of this.#inFlight.values()) for (const grant of grants) count += grant.left
    return count
  }

  /** Slots that no branch has. */
  get freeSlots(): number {
    return this.#slots.free
  }

  /** There may be work: repeating it is free. */
  wake(): void {
    if (this.#isStopped) return
    if (this.#isPumping) this.#isAskedAgain = true
    else void this.#pump()
  }

  /** Stops acquiring; aborts what runs, with `reason`, and hands it back unspent. */
  async stop(reason: Error): Promise<void> {
    this.#isStopped = true
    for (const gid of [...this.#inFlight.keys()]) this.abortGroup(gid, reason, 'released')
    await this.#flush()
  }

  /** The branches of this group that run here are not wanted any more: their signals fire, their results are dropped. */
  abortGroup(gid: string, reason: Error, as: 'dropped' | 'released' = 'dropped', token?: string): void {
    if (this.#coming > 0 && as === 'dropped') this.#dismissed.add(token ?? gid)
    for (const grant of [...(this.#inFlight.get(gid) ?? [])]) {
      if (token !== undefined && grant.grant.token !== token) continue
      for (const [k, branch] of grant.branches.entries()) {
        const execution = branch?.execution
        if (branch === undefined || execution === undefined) continue
        if (as === 'released') this.#release(grant, k, execution)
        grant.branches[k] = undefined
        grant.left -= 1
        branch.end()
        execution.cancel.abort(reason)
        execution.end()
      }
      this.#forgetIfOver(grant)
    }
  }

  async #pump(): Promise<void> {
    this.#isPumping = true
    this.#turnStartedAt = this.#options.clock.now()
    try {
      do {
        this.#isAskedAgain = false
        while (!this.#isStopped && this.#slots.free > 0 && (await this.#acquire())) await this.#breathe()
      } while (this.#isToGoOn())
    } catch (error) {
      if (!this.#isStopped) this.#options.onError(error)
    } finally {
      this.#isPumping = false
    }
  }

  /** Whether somebody woke the loop while it was asking. */
  #isToGoOn(): boolean {
    return this.#isAskedAgain && !this.#isStopped && this.#slots.free > 0
  }

  /** True when it is worth asking again at once. */
  async #acquire(): Promise<boolean> {
    const { backend, session, queues, capabilities, newId } = this.#options
    const deeperThan = this.#slots.onlyDeeperThan
    // Kept until the answer is here: a branch that goes on meanwhile must not take them, too.
    const max = this.#slots.reserve(backend.limits.itemsPerCall)
    let used = 0
    this.#coming += 1
    try {
      const answer = await backend.acquire({
        session,
        nonce: newId(),
        max,
        queues,
        capabilities,
        ...(deeperThan !== undefined && { deeperThan }),
      })
      if (answer.status === 'nosession') {
        if (!this.#isStopped) this.#options.onError(new GraflowError('INTERNAL', `session ${session} is gone`))
        return false
      }
      for (const grant of answer.grants) {
        used += grant.indexes.length
        this.#startGrant(grant)
      }
      return answer.grants.length > 0 && (answer.isMore || this.#isAskedAgain)
    } finally {
      this.#slots.putBack(max - used)
      this.#hasCome()
    }
  }

  /** Once nothing is on its way any more, what was taken away from it need not be known. */
  #hasCome(): void {
    this.#coming -= 1
    if (this.#coming === 0) this.#dismissed.clear()
  }

  #startGrant(grant: Grant): void {
    if (grant.spec.depth === 0) {
      // A submitted run: its driver needs no slot.
      for (let k = 0; k < grant.indexes.length; k += 1) {
        this.#slots.release()
        this.#options.driveRun(grant, k)
      }
      return
    }
    try {
      const prepared = this.#options.engine.prepare(grant)
      if (prepared instanceof Promise) {
        this.#coming += 1
        prepared
          .then(
            (ready) => this.#start(ready),
            (error: unknown) => this.#refuse(grant, error),
          )
          .finally(() => this.#hasCome())
      } else this.#start(prepared)
    } catch (error) {
      this.#refuse(grant, error)
    }
  }

  #start(prepared: PreparedGrant): void {
    const { engine, clock, emitter } = this.#options
    const grant = new GrantInFlight(prepared, clock.now())
    const { token, spec, indexes } = grant.grant
    const { gid } = spec
    if (this.#dismissed.has(gid) || this.#dismissed.has(token)) {
      for (const _ of indexes) this.#slots.release()
      return
    }
    const grants = this.#inFlight.get(gid) ?? new Set()
    this.#inFlight.set(gid, grants.add(grant))
    const count = grant.left
    const isHeard = emitter.has('branch:started')
    for (let k = 0; k < count; k += 1) {
      if (this.#isStopped) {
        this.#handBack(grant, k)
        return
      }
      if (isHeard) this.#tellStarted(prepared.branch(k))
      const branch = new BranchInFlight(this.#slots, this.#ended, grant, k)
      grant.branches.push(branch)
      branch.execution = engine.start(prepared, k, branch)
    }
  }

  /** A start is over: its branch, too, as far as this process goes. */
  #end(grant: GrantInFlight, k: number, execution: Execution, report: BranchReport): void {
    const branch = grant.branches[k]
    grant.branches[k] = undefined
    grant.left -= 1
    this.#collect(grant, k, execution, report)
    execution.end()
    branch?.end()
    this.#forgetIfOver(grant)
  }

  /** Releases what was acquired and not started, unspent. */
  #handBack(grant: GrantInFlight, from: number): void {
    for (let k = from; k < grant.grant.indexes.length; k += 1) {
      grant.left -= 1
      this.#release(grant, k, undefined)
      this.#slots.release()
    }
    this.#forgetIfOver(grant)
  }

  #release(grant: GrantInFlight, k: number, execution: Execution | undefined): void {
    grant.values.push(NO_BYTES)
    this.#note(grant, k, execution, RELEASED)
  }

  #collect(grant: GrantInFlight, k: number, execution: Execution, report: BranchReport): void {
    const { emitter } = this.#options
    const { kind, error } = report
    this.#note(grant, k, execution, report)
    grant.untimed += 1
    if (kind === 'succeeded' || kind === 'failed') {
      this.#counters.tasksProcessed += 1
      if (kind === 'succeeded') this.#counters.tasksSucceeded += 1
      else this.#counters.tasksFailed += 1
      if (emitter.has('branch:settled')) this.#tellSettled(grant.prepared.branch(k), kind)
    } else if (kind === 'retry' && error !== undefined && emitter.has('branch:retrying')) {
      this.#tellRetrying(grant.prepared.branch(k), report.delayMs, error)
    }
  }

  /** What travels with the next settle. */
  #note(grant: GrantInFlight, k: number, execution: Execution | undefined, report: BranchReport): void {
    grant.add(k, report)
    const save = execution?.takeUnsaved()
    if (save !== undefined) grant.addSaves(save)
    this.#unsettled.add(grant)
    if (!this.#isFlushing) {
      this.#isFlushing = true
      // After the handlers that end in this same turn: their outcomes travel together.
      queueMicrotask(() => {
        this.#flush().catch(this.#options.onError)
      })
    }
  }

  #tellStarted(branch: PreparedBranch): void {
    const { runId, place: path, label: task, index, workerId, errors, losses } = branch
    this.#options.emitter.emit('branch:started', { runId, path, task, index, workerId, attempt: 1 + errors + losses })
  }

  #tellRetrying(branch: PreparedBranch, delayMs: number, error: GraflowError): void {
    const { runId, place: path, label: task, errors, losses } = branch
    this.#options.emitter.emit('branch:retrying', {
      runId,
      path,
      task,
      attempt: 1 + errors + losses,
      delayMs,
      error,
    })
  }

  #tellSettled(branch: PreparedBranch, status: OutcomeStatus): void {
    const { runId, place: path, label: task, index, workerId, errors, losses } = branch
    const attempt = 1 + errors + losses
    this.#options.emitter.emit('branch:settled', { runId, path, task, index, workerId, attempt, status })
  }

  async #flush(): Promise<void> {
    const { backend, emitter, session, workerId } = this.#options
    try {
      while (this.#unsettled.size > 0) {
        this.#countTime()
        const all = [...this.#unsettled].flatMap((grant) => grant.takeRanges(backend.limits))
        this.#unsettled.clear()
        for (const ranges of inCalls(all, backend.limits)) {
          const answers = await backend.settle({ session, ranges })
          if (emitter.has('branches:settled'))
            emitter.emit('branches:settled', { workerId, ...countKinds(ranges, answers) })
        }
      }
    } finally {
      this.#isFlushing = false
    }
    this.wake()
  }

  /** Once for all starts that ended in this turn: asking the clock for each would cost a tenth of what a branch costs. */
  #countTime(): void {
    const now = this.#options.clock.now()
    for (const grant of this.#unsettled) {
      this.#counters.totalExecutionTimeMs += grant.untimed * (now - grant.startedAt)
      grant.untimed = 0
    }
  }

  /** A grant that cannot be started: its graph is gone or broken. Every branch fails with the reason, so that no barrier waits for it. */
  #refuse(grant: Grant, error: unknown): void {
    const failure =
      error instanceof GraflowError
        ? error
        : new GraflowError('INTERNAL', `the grant for ${grant.spec.gid} could not be started: ${String(error)}`, {
            cause: error,
          })
    const values = new PackedWriter()
    const bytes = encode(failure)
    const indexes = [...grant.indexes]
    for (const _ of indexes) values.push(bytes)
    const range: SettleRange = {
      gid: grant.spec.gid,
      token: grant.token,
      indexes,
      kinds: indexes.map(() => 'failed'),
      values: values.take(),
    }
    this.#options.backend
      .settle({ session: this.#options.session, ranges: [range] })
      .catch(this.#options.onError)
      .finally(() => {
        for (const _ of indexes) this.#slots.release()
      })
  }

  #forgetIfOver(grant: GrantInFlight): void {
    if (grant.left > 0) return
    const { gid } = grant.grant.spec
    const grants = this.#inFlight.get(gid)
    grants?.delete(grant)
    if (grants?.size === 0) this.#inFlight.delete(gid)
  }

  /** Lets timers and sockets in when handlers have kept the event loop for long. */
  async #breathe(): Promise<void> {
    if (this.#options.clock.now() - this.#turnStartedAt < LONGEST_TURN_MS) return
    await new Promise<void>((resolve) => setImmediate(resolve))
    this.#turnStartedAt = this.#options.clock.now()
  }
}
