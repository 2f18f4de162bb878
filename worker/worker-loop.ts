/**
 * Acquires branches, starts them, settles what they gave: in batches, never more at once than there are slots. It asks the engine what a
 * branch is, and the backend for everything else.
 *
 * A slot is the right to run one branch. A branch that waits at an inner barrier gives its slot back, so nesting needs no second worker.
 */
import type {
  Backend,
  BackendLimits,
  Grant,
  SavedValues,
  SettleAnswer,
  SettleKind,
  SettleRange,
} from '../lib/backend/backend.js'
import { byteLength, slice } from '../lib/backend/packed.js'
import { Dropped } from '../lib/engine/cancellation.js'
import { encode } from '../lib/engine/codec.js'
import type { Engine } from '../lib/engine/engine.js'
import type { Execution } from '../lib/engine/execution.js'
import { NO_BYTES, PackedWriter } from '../lib/engine/packing.js'
import type { PreparedBranch, PreparedGrant } from '../lib/engine/prepared-grant.js'
import type { BranchKeeper, BranchReport } from '../lib/engine/task-start.js'
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

const RELEASED: BranchReport = Object.freeze({ kind: 'released', delayMs: 0 })

/** One grant's branches in this process, and what is to be settled of them. */
class GrantInFlight {
  readonly grant: Grant
  readonly prepared: PreparedGrant
  readonly startedAt: number
  /** By k; undefined once over. */
  readonly branches: (BranchInFlight | undefined)[] = []
  left: number
  /** Starts that have ended and whose time is not in the counters yet. */
  untimed = 0
  /** Results and errors of what is to be settled, by position as the three lists below. */
  readonly values = new PackedWriter()
  #indexes: number[] = []
  /** Undefined while all have succeeded, as nearly always. */
  #kinds: SettleKind[] | undefined
  /** Undefined while none is to wait. */
  #delaysMs: number[] | undefined
  readonly #savePaths: string[] = []
  #saves: PackedWriter | undefined

  constructor(prepared: PreparedGrant, startedAt: number) {
    this.prepared = prepared
    this.grant = prepared.grant
    this.startedAt = startedAt
    this.left = this.grant.indexes.length
  }

  /** Notes how a start of branch k ended; its value is the last of `values`. */
  add(k: number, { kind, delayMs }: BranchReport): void {
    const count = this.#indexes.length
    if (kind !== 'succeeded') this.#kinds ??= [...successes(count)]
    if (delayMs > 0) this.#delaysMs ??= new Array<number>(count).fill(0)
    this.#indexes.push(this.grant.indexes[k] as number) // k is one of the grant's branches
    this.#kinds?.push(kind)
    this.#delaysMs?.push(delayMs)
  }

  addSaves({ paths, values }: SavedValues): void {
    this.#saves ??= new PackedWriter()
    for (const [i, path] of paths.entries()) {
      this.#savePaths.push(path)
      this.#saves.push(values.bytes, values.ends[i - 1] ?? 0, values.ends[i])
    }
  }

  /** What was noted since the last time, in as many ranges as it takes to keep each within the limits of a call. */
  takeRanges({ itemsPerCall, bytesPerCall }: BackendLimits): SettleRange[] {
    const indexes = new Uint32Array(this.#indexes)
    const kinds = this.#kinds ?? successes(indexes.length)
    const delaysMs = this.#delaysMs
    const values = this.values.take()
    const saves = this.#savePaths.length > 0 ? this.#saves : undefined
    const isAll = indexes.length <= itemsPerCall && values.bytes.length <= bytesPerCall
    const ranges: SettleRange[] = []
    for (let from = 0; from < indexes.length; ) {
      let to = isAll ? indexes.length : from + 1
      while (to < indexes.length && to - from < itemsPerCall && byteLength(values, from, to + 1) <= bytesPerCall)
        to += 1
      ranges.push({
        gid: this.grant.spec.gid,
        token: this.grant.token,
        indexes: isAll ? indexes : indexes.slice(from, to),
        kinds: isAll ? kinds : kinds.slice(from, to),
        values: isAll ? values : slice(values, from, to),
        ...(delaysMs !== undefined && { delaysMs: delaysMs.slice(from, to) }),
        ...(from === 0 && saves !== undefined && { save: { paths: this.#savePaths.splice(0), values: saves.take() } }),
      })
      from = to
    }
    this.#indexes = []
    this.#kinds = undefined
    this.#delaysMs = undefined
    return ranges
  }
}

let lastSuccesses: readonly SettleKind[] = []

/** So many times `succeeded`; the store keeps such a list for every batch, so batches of one size share theirs. */
function successes(count: number): readonly SettleKind[] {
  if (lastSuccesses.length !== count) lastSuccesses = new Array<SettleKind>(count).fill('succeeded')
  return lastSuccesses
}

/** What a branch needs of the loop. */
interface BranchOwner {
  free(): void
  /** Calls `resolve` when there is a slot; false from it means that the slot was not wanted any more. */
  take(resolve: () => boolean): void
  countSuspended(depth: number, change: 1 | -1): void
  ended(grant: GrantInFlight, k: number, execution: Execution, report: BranchReport): void
}

/** One branch in this process: its slot, through its life (held, given back, waited for, over), and where its report goes. */
class BranchInFlight implements BranchKeeper {
  /** Undefined until its start has returned. */
  execution: Execution | undefined
  readonly #owner: BranchOwner
  readonly #grant: GrantInFlight
  readonly #k: number
  #slot: 'held' | 'given back' | 'over' = 'held'

  constructor(owner: BranchOwner, grant: GrantInFlight, k: number) {
    this.#owner = owner
    this.#grant = grant
    this.#k = k
  }

  get values(): PackedWriter {
    return this.#grant.values
  }

  ended(execution: Execution, report: BranchReport): void {
    this.#owner.ended(this.#grant, this.#k, execution, report)
  }

  giveBack(): void {
    if (this.#slot !== 'held') return
    this.#slot = 'given back'
    this.#owner.countSuspended(this.#depth, 1)
    this.#owner.free()
  }

  takeAgain(): Promise<void> {
    if (this.#slot !== 'given back') return Promise.resolve()
    return new Promise((resolve) => {
      this.#owner.take(() => {
        resolve()
        if (this.#slot !== 'given back') return false
        this.#slot = 'held'
        this.#owner.countSuspended(this.#depth, -1)
        return true
      })
    })
  }

  /** The branch is over, whatever its handler still does. */
  end(): void {
    const before = this.#slot
    this.#slot = 'over'
    if (before === 'held') this.#owner.free()
    if (before === 'given back') this.#owner.countSuspended(this.#depth, -1)
  }

  get #depth(): number {
    return this.#grant.grant.spec.depth
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
  readonly #owner: BranchOwner = {
    free: () => this.#freeSlot(),
    take: (resolve) => {
      if (this.#slots.free > 0 && resolve()) this.#slots.free -= 1
      else this.#slots.waiting.push(resolve)
    },
    countSuspended: (depth, change) => {
      const count = (this.#suspended.get(depth) ?? 0) + change
      if (count === 0) this.#suspended.delete(depth)
      else this.#suspended.set(depth, count)
    },
    ended: (grant, k, execution, report) => this.#end(grant, k, execution, report),
  }
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
      for (const [k, branch] of grant.branches.entries()) {
        const execution = branch?.execution
        if (branch === undefined || execution === undefined) continue
        if (as === 'released') this.#release(grant, k, execution)
        grant.branches[k] = undefined
        grant.left -= 1
        branch.end()
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
    const { engine, clock, emitter } = this.#options
    const grant = new GrantInFlight(prepared, clock.now())
    const { gid } = grant.grant.spec
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
      const branch = new BranchInFlight(this.#owner, grant, k)
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
    branch?.end()
    this.#forgetIfOver(grant)
  }

  /** Releases what was acquired and not started, unspent. */
  #handBack(grant: GrantInFlight, from: number): void {
    for (let k = from; k < grant.grant.indexes.length; k += 1) {
      grant.left -= 1
      this.#release(grant, k, undefined)
      this.#freeSlot()
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

/** Ranges in as many lists as it takes to keep each within the limits of a call; each range alone is. */
function inCalls(ranges: readonly SettleRange[], { itemsPerCall, bytesPerCall }: BackendLimits): SettleRange[][] {
  const calls: SettleRange[][] = []
  let call: SettleRange[] = []
  let items = 0
  let bytes = 0
  for (const range of ranges) {
    items += range.kinds.length
    bytes += byteLength(range.values)
    if (call.length === 0 || items > itemsPerCall || bytes > bytesPerCall) {
      calls.push((call = []))
      items = range.kinds.length
      bytes = byteLength(range.values)
    }
    call.push(range)
  }
  return calls
}

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
