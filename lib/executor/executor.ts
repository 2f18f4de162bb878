/**
 * Puts the parts together that take branches and settle them: the acquirer asks the store for branches, the intake takes its grants, the
 * starter starts them, the settler reports how they ended. Never more branches run at once than there are slots. The engine knows what a
 * branch is, and the backend does everything else.
 */
import type { Grant, Token } from '../backend/backend.js'
import { slotsHere } from '../engine/calling-handler.js'
import type { BranchHolder } from '../session/holdings.js'
import { Acquirer } from './acquirer.js'
import { Condition } from './condition.js'
import type { ExecutorOptions } from './executor-options.js'
import { InFlight } from './in-flight.js'
import { Intake } from './intake.js'
import { Lookahead } from './lookahead.js'
import { PendingGrants } from './pending-grants.js'
import { Phase } from './phase.js'
import { PushedGrants } from './pushed-grants.js'
import { QueueShares } from './queue-shares.js'
import { Settler, type WorkerCounters } from './settler.js'
import { Slots } from './slots.js'
import { Starter } from './starter.js'
import { Turn } from './turn.js'
import { WaitingRuns } from './waiting-runs.js'

export type { WorkerCounters } from './settler.js'

/** A store that is there answers within this, mostly; one that is away may not answer for hours. */
const ANSWER_MS = 500

/** One a session at most. Woken by notices. */
export class Executor implements BranchHolder {
  readonly #options: ExecutorOptions
  readonly #phase = new Phase()
  readonly #turn: Turn
  readonly #slots: Slots
  readonly #inFlight: InFlight
  readonly #pending: PendingGrants
  readonly #acquirer: Acquirer
  readonly #pushed: PushedGrants
  readonly #starter: Starter
  readonly #settler: Settler
  readonly #runs: WaitingRuns
  readonly #isDrained = new Condition(
    () =>
      this.#inFlight.isEmpty &&
      this.#settler.isAtRest &&
      (this.#isPastAnswers || (this.#pending.isNone && this.#acquirer.isIdle)),
  )
  /** It is quiet, and what it asked the store for is not waited for any more: the end of its session gives that back. */
  #isPastAnswers = false
  /** At the end of this pass of the event loop. */
  #isToGoOn = false
  #cancelPatience: (() => void) | undefined
  readonly #isSettled = new Condition(() => this.#settler.isAtRest)

  constructor(options: ExecutorOptions) {
    this.#options = options
    const { clock, maxConcurrentTasks, queues, queueLimits, distant, onBusy } = options
    const phase = this.#phase
    const turn = new Turn(clock, () => this.#runTurn())
    const slots = new Slots(maxConcurrentTasks, () => turn.plan())
    const shares = new QueueShares(queues, queueLimits)
    const ahead = new Lookahead(distant === undefined ? 0 : maxConcurrentTasks)
    const inFlight = new InFlight(onBusy)
    const pending = new PendingGrants(() => {
      if (this.#isDrained.isAwaited) turn.plan()
    })
    const settler = new Settler(options, { phase, turn, ahead, inFlight, onSettled: () => this.#afterSettle() })
    const starter = new Starter(options, { slots, turn, ahead, inFlight, settler })
    const runs = new WaitingRuns(options, { slots, turn, pending })
    const intake = new Intake(options, { phase, turn, runs, shares, pending, inFlight, starter })
    const onIdle = (): void => this.#isDrained.check()
    this.#acquirer = new Acquirer(options, { phase, slots, shares, ahead, pending, intake, starter, runs, onIdle })
    this.#pushed = new PushedGrants(options, {
      pending,
      take: (grant) => intake.take(grant),
      known: () => this.known(),
    })
    this.#turn = turn
    this.#slots = slots
    slotsHere.add(slots)
    this.#inFlight = inFlight
    this.#pending = pending
    this.#starter = starter
    this.#settler = settler
    this.#runs = runs
  }

  get counters(): WorkerCounters {
    return this.#settler.counters
  }

  /** Branches that are started and not over. */
  get inFlight(): number {
    return this.#inFlight.started
  }

  /** How many of each task those are. */
  get tasksInFlight(): ReadonlyMap<string, number> {
    return this.#inFlight.tasks
  }

  /** Branches and runs that were acquired and wait for a slot. */
  get waiting(): number {
    return this.#starter.waiting + this.#runs.count
  }

  /** Slots that no branch has. */
  get freeSlots(): number {
    return this.#slots.free
  }

  /** Grants in hand, those whose reports are on their way included; undefined while grants may be pending that are not known yet. */
  known(): readonly { readonly gid: string; readonly token: Token }[] | undefined {
    if (!this.#pending.isNone) return undefined
    const all = new Set([...this.#settler.grants(), ...this.#inFlight.all()])
    return [...Array.from(all, ({ grant }) => ({ gid: grant.spec.gid, token: grant.token })), ...this.#runs.grants()]
  }

  /** The store has pushed a grant: it found this session waiting with nothing in hand. */
  receivePushed(grant: Grant): void {
    this.#pushed.receive(grant)
  }

  /** There may be work: repeating it is free. */
  wake(): void {
    this.#acquirer.wake()
  }

  /** Stops acquiring for good; releases what was not started, and what only waits for time or signals. What runs goes on. */
  quiet(): void {
    if (!this.#phase.quiet()) return
    this.#acquirer.stop()
    this.#starter.releaseAll()
    this.#runs.releaseAll()
    this.#settler.releaseWaitingOnly()
    this.#cancelPatience = this.#options.clock.after(
      ANSWER_MS,
      () => {
        this.#isPastAnswers = true
        this.#isDrained.check()
      },
      true,
    )
  }

  /** Resolves once nothing is in flight and all is settled. Call `quiet` first, or that may never be. */
  drained(): Promise<void> {
    const drained = this.#isDrained.met()
    this.#isDrained.check()
    return drained
  }

  /** Resolves once no report waits or is on its way. */
  settled(): Promise<void> {
    const settled = this.#isSettled.met()
    this.#turn.runNow()
    return settled
  }

  /** Stops acquiring; aborts what runs, with `reason`, and releases it unspent. */
  async stop(reason: Error): Promise<void> {
    slotsHere.delete(this.#slots)
    this.quiet()
    this.#phase.stop()
    for (const grant of [...this.#inFlight.all()]) {
      this.#settler.abort(grant, reason, 'released') // its branches that were not started are released already
      this.#inFlight.forgetIfOver(grant)
    }
    await this.settled()
    this.#cancelPatience?.()
    this.#starter.stop()
    this.#runs.stop()
    this.#pushed.stop()
  }

  /**
   * The branches of this group that run here are not wanted any more: their signals fire, and they report nothing.
   * @param token only those of this grant, which is lost
   */
  abortGroup(gid: string, reason: Error, token?: Token): void {
    this.#pending.withdraw(token ?? gid)
    this.#runs.withdraw(gid, token)
    const grants = [...this.#inFlight.of(gid)].filter(({ grant }) => token === undefined || grant.token === token)
    let started = 0
    for (const grant of grants) {
      this.#starter.withdraw(grant)
      started += this.#settler.abort(grant, reason, 'unreported')
      this.#inFlight.forgetIfOver(grant)
    }
    if (token === undefined) return
    if (grants.length === 0) this.#pushed.refuse(token)
    // A notice says that the grant is lost, or the answer to its settle, whichever is here first: either way its results are refused.
    if (started > 0) this.#emitFenced(started)
  }

  #runTurn(): void {
    this.#starter.startWaiting()
    if (this.#isMoreToEnd()) this.#goOnSoon()
    else this.#goOn()
    this.#isSettled.check()
    this.#isDrained.check()
  }

  /**
   * Whether what has ended waits for what else ends in this pass of the event loop: each timer and each answer that ends a handler is a turn of
   * its own, and a call for each would cost more than its branch. Not what ends alone, nor what is to set out before the next portion begins.
   */
  #isMoreToEnd(): boolean {
    const { distant, maxConcurrentTasks } = this.#options
    return (
      distant !== undefined &&
      this.#settler.hasUnsettled &&
      this.#slots.free < maxConcurrentTasks &&
      this.#phase.current === 'taking' &&
      !this.#starter.isPausing &&
      !this.#isSettled.isAwaited
    )
  }

  #goOnSoon(): void {
    if (this.#isToGoOn) return
    this.#isToGoOn = true
    setImmediate(() => {
      this.#isToGoOn = false
      this.#goOn()
    })
  }

  /** Sends what has ended, and asks for more. */
  #goOn(): void {
    if (this.#settler.flush()) this.#acquirer.forgetPromise()
    this.#acquirer.goOn()
  }

  #afterSettle(): void {
    if (this.#settler.hasUnsettled || this.#isDrained.isAwaited || this.#isSettled.isAwaited) this.#turn.plan()
  }

  #emitFenced(fenced: number): void {
    const { emitter, workerId } = this.#options
    if (!emitter.has('branches:settled')) return
    emitter.emit('branches:settled', { workerId, succeeded: 0, failed: 0, retried: 0, fenced, tasks: [] })
  }
}
