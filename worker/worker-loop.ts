/**
 * Acquires branches, starts them, settles what they gave: in batches, never more at once than there are slots. It asks the engine what a
 * branch is, and the backend for everything else.
 *
 * A slot is the right to run one branch. A branch that waits at an inner barrier gives its slot back, so nesting needs no second worker.
 */
import type { Backend, Grant, SettleAnswer, SettleKind, SettleRange } from '../lib/backend/backend.js'
import { Dropped } from '../lib/engine/cancellation.js'
import { encode } from '../lib/engine/codec.js'
import type { BranchReport, Engine, PreparedGrant } from '../lib/engine/engine.js'
import type { Execution, Slot } from '../lib/engine/execution.js'
import { NO_BYTES, PackedWriter } from '../lib/engine/packing.js'
import { GraflowError } from '../lib/errors.js'
import type { Emitter, OutcomeStatus } from '../lib/events.js'
import type { Clock } from '../lib/time.js'

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

/** Branches that may wait at inner barriers at once; beyond that only deeper groups are taken. */
const MOST_SUSPENDED = 1_000
/** After so long in one turn of the event loop, timers and sockets are let in. */
const LONGEST_TURN_MS = 10

const RELEASED: BranchReport = Object.freeze({ kind: 'released', value: NO_BYTES, delayMs: 0 })

/** One grant's branches in this process, and what is to be settled of them. */
class GrantInFlight {
  readonly grant: Grant
  readonly prepared: PreparedGrant
  /** By k; undefined once over. */
  readonly running: (Execution | undefined)[]
  readonly slots: BranchSlot[] = []
  left: number
  indexes: number[] = []
  kinds: SettleKind[] = []
  delaysMs: number[] = []
  readonly values = new PackedWriter()
  readonly savePaths: string[] = []
  readonly saves = new PackedWriter()

  constructor(prepared: PreparedGrant) {
    this.prepared = prepared
    this.grant = prepared.grant
    this.left = this.grant.indexes.length
    this.running = new Array<Execution | undefined>(this.left)
  }

  takeRange(): SettleRange {
    const range: SettleRange = {
      gid: this.grant.spec.gid,
      token: this.grant.token,
      indexes: this.indexes,
      kinds: this.kinds,
      values: this.values.take(),
      delaysMs: this.delaysMs,
      ...(this.savePaths.length > 0 && { save: { paths: this.savePaths.splice(0), values: this.saves.take() } }),
    }
    this.indexes = []
    this.kinds = []
    this.delaysMs = []
    return range
  }
}

/** What a branch's slot needs of the loop. */
interface SlotOwner {
  free(): void
  /** Calls `resolve` when there is a slot; false from it means that the slot was not wanted any more. */
  take(resolve: () => boolean): void
  countSuspended(change: 1 | -1): void
}

/** One branch's slot, through its life: held, given back, waited for, over. */
class BranchSlot implements Slot {
  readonly #owner: SlotOwner
  #state: 'held' | 'given back' | 'over' = 'held'

  constructor(owner: SlotOwner) {
    this.#owner = owner
  }

  giveBack(): void {
    if (this.#state !== 'held') return
    this.#state = 'given back'
    this.#owner.countSuspended(1)
    this.#owner.free()
  }

  takeAgain(): Promise<void> {
    if (this.#state !== 'given back') return Promise.resolve()
    return new Promise((resolve) => {
      this.#owner.take(() => {
        resolve()
        if (this.#state !== 'given back') return false
        this.#state = 'held'
        this.#owner.countSuspended(-1)
        return true
      })
    })
  }

  /** The branch is over, whatever its handler still does. */
  end(): void {
    const before = this.#state
    this.#state = 'over'
    if (before === 'held') this.#owner.free()
    if (before === 'given back') this.#owner.countSuspended(-1)
  }
}

/** The loop. Woken by notices; stands still, without a timer, when there is nothing to do. */
export class WorkerLoop {
  readonly #options: WorkerLoopOptions
  readonly #slots: { free: number; readonly waiting: (() => boolean)[] }
  readonly #inFlight = new Map<string, Set<GrantInFlight>>()
  readonly #unsettled = new Set<GrantInFlight>()
  /** How many suspended branches there are at each depth. */
  readonly #suspended = new Map<number, number>()
  #isPumping = false
  #isAskedAgain = false
  #isStopped = false
  #isFlushing = false
  #turnStartedAt = 0
  #counters = { tasksProcessed: 0, tasksSucceeded: 0, tasksFailed: 0, totalExecutionTimeMs: 0 }

  constructor(options: WorkerLoopOptions) {
    this.#options = options
    this.#slots = { free: options.maxConcurrentTasks, waiting: [] }
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
    for (const grant of [...(this.#inFlight.get(gid) ?? [])]) {
      if (token !== undefined && grant.grant.token !== token) continue
      for (const [k, execution] of grant.running.entries()) {
        if (execution === undefined) continue
        if (as === 'released') this.#collect(grant, k, RELEASED, execution)
        grant.running[k] = undefined
        grant.left -= 1
        grant.slots[k]?.end()
        execution.cancel.abort(reason)
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
    const deeperThan = this.#onlyDeeperThan()
    const answer = await backend.acquire({
      session,
      nonce: newId(),
      max: Math.min(this.#slots.free, backend.limits.itemsPerCall),
      queues,
      capabilities,
      ...(deeperThan !== undefined && { deeperThan }),
    })
    if (answer.status === 'nosession') {
      if (!this.#isStopped) this.#options.onError(new GraflowError('INTERNAL', `session ${session} is gone`))
      return false
    }
    for (const grant of answer.grants) {
      this.#slots.free -= grant.indexes.length
      this.#startGrant(grant)
    }
    return answer.grants.length > 0 && (answer.isMore || this.#isAskedAgain)
  }

  #startGrant(grant: Grant): void {
    if (grant.spec.depth === 0) {
      // A submitted run: its driver needs no slot.
      for (let k = 0; k < grant.indexes.length; k += 1) {
        this.#freeSlot()
        this.#options.driveRun(grant, k)
      }
      return
    }
    try {
      const prepared = this.#options.engine.prepare(grant)
      if (prepared instanceof Promise)
        prepared.then(
          (ready) => this.#start(ready),
          (error: unknown) => this.#refuse(grant, error),
        )
      else this.#start(prepared)
    } catch (error) {
      this.#refuse(grant, error)
    }
  }

  #start(prepared: PreparedGrant): void {
    const { engine, clock, emitter, workerId } = this.#options
    const grant = new GrantInFlight(prepared)
    const { gid, runId, depth } = grant.grant.spec
    const grants = this.#inFlight.get(gid) ?? new Set()
    this.#inFlight.set(gid, grants.add(grant))
    const startedAt = clock.now()
    for (let k = 0; k < grant.running.length; k += 1) {
      if (this.#isStopped) {
        this.#handBack(grant, k)
        return
      }
      if (emitter.has('branch:started')) {
        const { errors, losses } = grant.grant
        const { label, path } = engine.branch(prepared, k)
        const index = grant.grant.indexes[k] ?? 0
        emitter.emit('branch:started', {
          runId,
          path: placeOf(prepared, path),
          task: label,
          index,
          workerId,
          attempt: 1 + (errors[k] ?? 0) + (losses[k] ?? 0),
        })
      }
      const start = { isOver: false }
      const slot = this.#slotFor(depth)
      grant.slots[k] = slot
      const execution = engine.start(prepared, k, slot, (ended, report) => {
        start.isOver = true
        this.#counters.totalExecutionTimeMs += clock.now() - startedAt
        grant.running[k] = undefined
        grant.left -= 1
        this.#collect(grant, k, report, ended)
        slot.end()
        this.#forgetIfOver(grant)
      })
      if (!start.isOver) grant.running[k] = execution
    }
  }

  /** Releases what was acquired and not started, unspent. */
  #handBack(grant: GrantInFlight, from: number): void {
    for (let k = from; k < grant.running.length; k += 1) {
      grant.left -= 1
      this.#collect(grant, k, RELEASED, undefined)
      this.#freeSlot()
    }
    this.#forgetIfOver(grant)
  }

  #collect(grant: GrantInFlight, k: number, report: BranchReport, execution: Execution | undefined): void {
    const { emitter, workerId } = this.#options
    grant.indexes.push(grant.grant.indexes[k] as number) // k is one of the grant's branches
    grant.kinds.push(report.kind)
    grant.delaysMs.push(report.delayMs)
    grant.values.push(report.value)
    const save = execution?.takeUnsaved()
    if (save !== undefined) {
      for (const [i, path] of save.paths.entries()) {
        grant.savePaths.push(path)
        grant.saves.push(save.values.bytes.subarray(save.values.ends[i - 1] ?? 0, save.values.ends[i]))
      }
    }
    if (execution !== undefined && (report.kind === 'succeeded' || report.kind === 'failed')) {
      this.#counters.tasksProcessed += 1
      if (report.kind === 'succeeded') this.#counters.tasksSucceeded += 1
      else this.#counters.tasksFailed += 1
      if (emitter.has('branch:settled')) this.#tellSettled(grant, k, report.kind, execution, workerId)
    } else if (
      execution !== undefined &&
      report.kind === 'retry' &&
      report.error !== undefined &&
      emitter.has('branch:retrying')
    ) {
      const { path, label } = this.#options.engine.branch(grant.prepared, k)
      const { runId, errors, losses } = execution.facts
      emitter.emit('branch:retrying', {
        runId,
        path: placeOf(grant.prepared, path),
        task: label,
        attempt: 1 + errors + losses,
        delayMs: report.delayMs,
        error: report.error,
      })
    }
    this.#unsettled.add(grant)
    if (!this.#isFlushing) {
      this.#isFlushing = true
      // After the handlers that end in this same turn: their outcomes travel together.
      queueMicrotask(() => {
        this.#flush().catch(this.#options.onError)
      })
    }
  }

  #tellSettled(grant: GrantInFlight, k: number, status: OutcomeStatus, execution: Execution, workerId: string): void {
    const { path, label } = this.#options.engine.branch(grant.prepared, k)
    const { runId, errors, losses, holder } = execution.facts
    this.#options.emitter.emit('branch:settled', {
      runId,
      path: placeOf(grant.prepared, path),
      task: label,
      index: holder.index,
      workerId,
      attempt: 1 + errors + losses,
      status,
    })
  }

  async #flush(): Promise<void> {
    const { backend, emitter, session, workerId } = this.#options
    try {
      while (this.#unsettled.size > 0) {
        const ranges = [...this.#unsettled].map((grant) => grant.takeRange())
        this.#unsettled.clear()
        const answers = await backend.settle({ session, ranges })
        if (emitter.has('branches:settled'))
          emitter.emit('branches:settled', { workerId, ...countKinds(ranges, answers) })
      }
    } finally {
      this.#isFlushing = false
    }
    this.wake()
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
        for (const _ of indexes) this.#freeSlot()
      })
  }

  #forgetIfOver(grant: GrantInFlight): void {
    if (grant.left > 0) return
    const { gid } = grant.grant.spec
    const grants = this.#inFlight.get(gid)
    grants?.delete(grant)
    if (grants?.size === 0) this.#inFlight.delete(gid)
  }

  // ------------------------------------------------------------------------------------------------------------------- slots

  /** Branches that go on come before new ones. */
  #freeSlot(): void {
    for (let next = this.#slots.waiting.shift(); next !== undefined; next = this.#slots.waiting.shift()) {
      if (next()) return
    }
    this.#slots.free += 1
    if (!this.#isFlushing) this.wake()
  }

  #slotFor(depth: number): BranchSlot {
    return new BranchSlot({
      free: () => {
        this.#freeSlot()
      },
      take: (resolve) => {
        if (this.#slots.free > 0 && resolve()) this.#slots.free -= 1
        else this.#slots.waiting.push(resolve)
      },
      countSuspended: (change) => {
        const count = (this.#suspended.get(depth) ?? 0) + change
        if (count === 0) this.#suspended.delete(depth)
        else this.#suspended.set(depth, count)
      },
    })
  }

  /** With very many branches suspended, only what they wait for is taken. */
  #onlyDeeperThan(): number | undefined {
    let count = 0
    let deepest = 0
    for (const [depth, suspended] of this.#suspended) {
      count += suspended
      deepest = Math.max(deepest, depth)
    }
    return count < MOST_SUSPENDED ? undefined : deepest
  }

  /** Lets timers and sockets in when handlers have kept the event loop for long. */
  async #breathe(): Promise<void> {
    if (this.#options.clock.now() - this.#turnStartedAt < LONGEST_TURN_MS) return
    await new Promise<void>((resolve) => setImmediate(resolve))
    this.#turnStartedAt = this.#options.clock.now()
  }
}

const placeOf = ({ use }: PreparedGrant, path: string): string =>
  use.base === '' ? path : path === '' ? use.base : `${use.base}/${path}`

function countKinds(
  ranges: readonly SettleRange[],
  answers: readonly SettleAnswer[],
): { succeeded: number; failed: number; retried: number; fenced: number } {
  const counts = { succeeded: 0, failed: 0, retried: 0, fenced: 0 }
  for (const [i, { kinds }] of ranges.entries()) {
    if (answers[i] !== 'ok') {
      if (answers[i] === 'fenced') counts.fenced += kinds.length
      continue
    }
    for (const kind of kinds) {
      if (kind === 'succeeded') counts.succeeded += 1
      else if (kind === 'failed') counts.failed += 1
      else if (kind === 'retry') counts.retried += 1
    }
  }
  return counts
}

/** Why what a stopped worker held was aborted. */
export const stopped = (workerId: string): Error => new Dropped(`worker ${workerId} stopped`)
