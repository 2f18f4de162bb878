/**
 * What one session holds: the runs that this process drives, and its executor with the branches in it. Notices of the session are acted on
 * here. A client and a worker have one each.
 *
 * The file is long because all kinds of notices, and all that they may mean for what is held, meet here.
 */
import { describeError } from '../describe.js'
import type { Backend, Grant, Notice, Park, SavedValues, SettleKind, Token } from '../backend/backend.js'
import { Unreported } from '../engine/cancellation.js'
import { savedOfRun } from '../engine/saved-run.js'
import { encodeFailure } from '../values/codec.js'
import { drive, isEnded, type Drive, type DriveEnd, type HeldRun } from '../engine/driver.js'
import { cancelled, type Engine } from '../engine/engine.js'
import type { Execution, Slot } from '../engine/execution.js'
import { item, EMPTY_BYTES, packOne } from '../values/packed-items.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'

/** So long a run that this release cannot read stays here, before another process may try. */
const UNREADABLE_MS = 1_000

/** The slot that a driven run has while it does not wait at a barrier; `end` it when the run is over. */
export interface RunSlot extends Slot {
  end(): void
}

/** A grant by its name. */
export interface HeldGrant {
  readonly gid: string
  readonly token: Token
}

/** What keeps the session asks this of what it holds. */
export interface SessionGrants {
  /** Branches and runs that this process has in hand; undefined while grants may be on their way to it. */
  known(): readonly HeldGrant[] | undefined
  /** The store has reclaimed this grant, or will: stop, and report nothing. May be repeated, or name what is over. */
  reclaimed(grant: HeldGrant): void
  /** The store is there again, or the session is: ask for work anew. */
  wake(): void
}

/** What takes branches under this session, and has them in hand. */
export interface BranchHolder {
  /** Branches that are started and not over. */
  readonly inFlight: number
  /** Grants in hand; undefined while grants may be coming that are not known yet. */
  known(): readonly HeldGrant[] | undefined
  /** The branches of this group that run here are not wanted any more, and report nothing; only those of one grant where a token is named. */
  abortGroup(gid: string, reason: Error, token?: Token): void
  /** There may be work. */
  wake(): void
  /** The store has granted this without being asked. */
  receivePushed(grant: Grant): void
  /** Takes nothing new; what was not started is released. */
  quiet(): void
  /** Resolves once nothing is in hand. */
  drained(): Promise<void>
  /** Aborts what runs, and releases it unspent. */
  stop(reason: Error): Promise<void>
}

export interface HoldingsOptions {
  readonly session: string
  readonly backend: Backend
  readonly engine: Engine
  readonly emitter: Emitter
  /** The store refused what became of a run for good: what it has for this session is to be compared with what is in hand. */
  readonly onRefused?: () => void
}

/** The slot of a driven run, and whether it waits at a barrier. */
class DriverSlot implements Slot {
  isWaiting = false
  readonly #slot: RunSlot | undefined
  readonly #onWait: () => void

  constructor(slot: RunSlot | undefined, onWait: () => void) {
    this.#slot = slot
    this.#onWait = onWait
  }

  suspend(): void {
    this.isWaiting = true
    this.#slot?.suspend()
    this.#onWait()
  }

  async resume(): Promise<void> {
    await this.#slot?.resume()
    this.isWaiting = false
  }
}

/** One a session. */
export class Holdings implements SessionGrants {
  readonly #options: HoldingsOptions
  readonly #drives = new Map<string, Drive>()
  /** Of submitted runs. */
  readonly #slots = new Map<Drive, DriverSlot>()
  readonly #releasing = new Set<Promise<unknown>>()
  #executor: BranchHolder | undefined
  /** Runs acquired or being opened, and not driven yet. */
  #coming = 0
  #isRunning = true
  #isQuiet = false

  constructor(options: HoldingsOptions) {
    this.#options = options
  }

  /** The root grants of the runs that this process drives now. */
  get drivenGrants(): HeldGrant[] {
    return Array.from(this.#drives.values(), ({ execution }) => {
      const { gid, token } = execution.facts.holder
      return { gid, token }
    })
  }

  /** All grants in hand, the executor's too; undefined while some may be coming that are not known yet. */
  known(): readonly HeldGrant[] | undefined {
    if (this.#coming > 0) return undefined
    const branches = this.#executor === undefined ? [] : this.#executor.known()
    return branches === undefined ? undefined : [...branches, ...this.drivenGrants]
  }

  /** The executor whose branches the session holds. Called once at most. */
  useExecutor(executor: BranchHolder): void {
    this.#executor = executor
  }

  /** A grant of a run may be on its way, until the function that this gives is called. */
  expectGrant(): () => void {
    this.#coming += 1
    return () => {
      this.#coming -= 1
    }
  }

  wake(): void {
    this.#executor?.wake()
  }

  reclaimed({ gid, token }: HeldGrant): void {
    const reason = new Unreported(`${gid} was reclaimed`)
    const driven = this.#drives.get(gid)
    if (driven?.execution.facts.holder.token === token) driven.execution.cancel.abort(reason)
    else this.#executor?.abortGroup(gid, reason, token)
  }

  /** Branches that run in this process now. */
  get branchesInFlight(): number {
    return this.#executor?.inFlight ?? 0
  }

  /** Submitted runs that this process drives now. */
  get submittedRuns(): number {
    return this.#slots.size
  }

  /** The drive of a run that this process drives now. */
  driven(runId: string): Drive | undefined {
    return this.#drives.get(runId)
  }

  /** Drives a run that this process holds. */
  drive(run: HeldRun, slot?: Slot): Drive {
    const { engine, emitter } = this.#options
    const { runId } = run
    const { execution, ended } = drive(engine, run, slot)
    const driven: Drive = { execution, ended: ended.then((end) => this.#park(execution, end)) }
    this.#drives.set(runId, driven)
    driven.ended
      .then(({ state }) => {
        if (state === 'completed') emitter.emit('workflow:execution', { runId, change: 'completed' })
      })
      .finally(() => {
        if (this.#drives.get(runId) === driven) this.#drives.delete(runId)
      })
      .catch((error: unknown) => {
        if (!this.#isRunning) return
        const message = `run ${runId} could not be ended: ${describeError(error)}`
        emitter.emit('log', { level: 'error', message, runId })
        this.#options.onRefused?.()
      })
    return driven
  }

  /**
   * Drives a run that this process acquired, or took by its id. Resolves once it does, or with undefined where it cannot: then the run is
   * released, or has failed.
   * @param slot what it has while it does not wait at a barrier
   * @param onUnreadable gets the error where this release cannot read what is saved of the run
   */
  async driveTaken(
    grant: Grant,
    k: number,
    slot?: RunSlot,
    onUnreadable?: (error: GraflowError) => void,
  ): Promise<Drive | undefined> {
    const { backend, engine } = this.#options
    const { runId, graph: hash } = grant.spec
    if (this.#isQuiet) {
      slot?.end()
      void this.#settleRun(runId, grant.token, 'released', EMPTY_BYTES)
      return undefined
    }
    const take = async (): Promise<Drive> => {
      const graph = await engine.graphs.loadForWork(hash)
      const use = { hash, graph, code: engine.registry.codeOf(runId), base: '' }
      const losses = (grant.losses[k] ?? 0) + (grant.errors[k] ?? 0)
      const hasTask = grant.withTasks?.includes(0) === true
      const input = item(grant.inputs, grant.spec.shared ? 0 : k)
      const saved = grant.isAgain === true ? await savedOfRun(engine, runId, graph, input) : undefined
      const begin = nextTurn().then(async () => {
        // It may have been cancelled on its way here; from now on its cancellation finds it among the driven.
        const record = await backend.inspect.run(runId)
        if (record === undefined || isEnded(record))
          driven.execution.cancel.abort(new Unreported(`run ${runId} is over`))
        else driven.execution.span?.set({ workflow: record.workflow })
      })
      // The store sees to the run's deadline, which began when it was submitted.
      const held = new DriverSlot(slot, () => {
        if (this.#isQuiet) this.#release(driven, isLeaving())
      })
      const driven = this.drive(
        {
          ...{ runId, token: grant.token, use, input, timeoutMs: undefined, losses, hasTask, begin },
          requires: grant.spec.requires,
          ...(grant.spec.run !== undefined && { terms: grant.spec.run }),
          ...(saved !== undefined && { saved }),
          ...(grant.spec.trace !== undefined && { trace: grant.spec.trace }),
        },
        held,
      )
      this.#slots.set(driven, held)
      const forget = (): void => {
        this.#slots.delete(driven)
        slot?.end()
      }
      driven.ended.then(forget, forget)
      return driven
    }
    const arrived = this.expectGrant()
    try {
      return await take()
    } catch (error) {
      slot?.end()
      if (this.#isRunning) await this.#endUndriven(grant, error, onUnreadable)
      return undefined
    } finally {
      arrived()
    }
  }

  /** Driving a run that was taken could not begin: it fails, or goes back where only this process cannot read it. */
  async #endUndriven(
    { spec: { runId }, token }: Grant,
    error: unknown,
    onUnreadable: ((error: GraflowError) => void) | undefined,
  ): Promise<void> {
    const { engine, emitter } = this.#options
    const message = `run ${runId} could not be driven: ${describeError(error)}`
    emitter.emit('log', { level: 'error', message, runId })
    if (error instanceof GraflowError && error.code === 'CHECKPOINT_VERSION') {
      onUnreadable?.(error)
      // It is granted again as soon as it is released: not at once to a process that cannot read it.
      if (onUnreadable === undefined) {
        await new Promise<void>((resolve) => {
          engine.parts.clock.after(UNREADABLE_MS, resolve, true)
        })
      }
      void this.#settleRun(runId, token, 'released', EMPTY_BYTES)
      return
    }
    const failure = error instanceof GraflowError ? error : new GraflowError('INTERNAL', message, { cause: error })
    void this.#settleRun(runId, token, 'failed', encodeFailure(failure))
  }

  /** Takes no more: submitted runs that wait at a barrier, or come to one, are released for another process to drive. */
  quiet(): void {
    this.#isQuiet = true
    for (const [driven, slot] of this.#slots) if (slot.isWaiting) this.#release(driven, isLeaving())
    this.#executor?.quiet()
  }

  /** Resolves once nothing is in hand. Call `quiet` first. */
  async drained(): Promise<void> {
    while (this.#slots.size + this.#releasing.size + this.#coming > 0) {
      const waits = [...this.#releasing, ...[...this.#slots.keys()].map(({ ended }) => ended.catch(() => undefined))]
      if (waits.length > 0) await Promise.race(waits)
      await nextTurn()
    }
    await this.#executor?.drained()
  }

  /** Releases all that is in hand, unspent, for `reason`; resolves when the store has it. */
  async release(reason: Error): Promise<void> {
    for (const driven of [...this.#slots.keys()]) this.#release(driven, reason)
    await Promise.all([...this.#releasing, this.#executor?.stop(reason)])
  }

  #release(driven: Drive, reason: Error): void {
    const { execution } = driven
    if (execution.cancel.reason !== undefined) return
    const { gid, token } = execution.facts.holder
    execution.cancel.abort(reason)
    void this.#settleRun(gid, token, 'released', EMPTY_BYTES, execution.takeUnsaved())
  }

  /** A run that only waits is given back until it can go on; then its drive is over. */
  async #park(execution: Execution, end: DriveEnd): Promise<DriveEnd> {
    if (end.state !== 'parked') return end
    const { gid, token } = execution.facts.holder
    await this.#settleRun(gid, token, 'parked', EMPTY_BYTES, execution.takeUnsaved(), end.park)
    return end
  }

  #settleRun(
    gid: string,
    token: Token,
    kind: SettleKind,
    value: Uint8Array,
    save?: SavedValues,
    park?: Park,
  ): Promise<unknown> {
    const { backend, session, emitter, onRefused } = this.#options
    const range = {
      gid,
      token,
      indexes: [0],
      kinds: [kind],
      values: packOne(value),
      ...(save !== undefined && { save }),
      ...(park !== undefined && { parks: [park] }),
    }
    const settling: Promise<unknown> = backend
      .settle({ session, ranges: [range] })
      .catch((error: unknown) => {
        emitter.emit('log', {
          level: 'warn',
          message: `run ${gid} could not be released: ${describeError(error)}`,
          runId: gid,
        })
        onRefused?.()
      })
      .finally(() => this.#releasing.delete(settling))
    this.#releasing.add(settling)
    return settling
  }

  /** Passes a notice of the session to what it concerns. */
  handleNotice(notice: Exclude<Notice, { readonly kind: 'lead' | 'drain' }>): void {
    switch (notice.kind) {
      case 'released':
        this.#options.engine.barrierWaits.announce(notice.gid)
        return
      case 'idle':
        this.#options.engine.barrierWaits.announceIdle(notice.gid)
        return
      case 'withdrawn': {
        const driven = this.#drives.get(notice.gid)
        if (driven !== undefined) driven.execution.cancel.abort(cancelled(notice.gid, notice.reason))
        else this.#executor?.abortGroup(notice.gid, withdrawn(notice.gid, notice.reason))
        return
      }
      case 'lost':
        this.reclaimed(notice)
        return
      case 'work':
        this.wake()
        return
      case 'granted':
        this.#executor?.receivePushed(notice.grant)
        return
      default:
        notice satisfies never
    }
  }

  /** Stops driving, and stops the executor: `runReason` is what handlers of driven runs see, `branchReason` those of branches. */
  async stop(runReason: Error, branchReason: Error): Promise<void> {
    this.#isRunning = false
    for (const { execution } of this.#drives.values()) execution.cancel.abort(runReason)
    await this.#executor?.stop(branchReason)
  }
}

/** Resolves in the next turn of the event loop: what was started in this one, and what follows from it, comes first. */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

/** Why a run stops here: another process goes on with it. */
const isLeaving = (): Unreported => new Unreported('this worker is leaving; another one goes on with the run', 'CLOSED')

/** Why a branch should stop whose group is decided, or whose run is over. */
function withdrawn(gid: string, reason: string): GraflowError {
  const runId = gid.split('/', 1)[0] ?? gid
  return new GraflowError(
    'CANCELLED',
    `the branch at ${gid.slice(runId.length + 1)} of run ${runId} was withdrawn: ${reason}`,
    {
      details: { runId, reason },
    },
  )
}
