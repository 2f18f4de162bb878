/**
 * This process's registration in the store, from its opening to its end. Hides how the session is renewed, what happens after the store was
 * away, and that a process taken for dead registers again. Clients and workers have one; in the embedded store, which cannot be away, little
 * of it is needed.
 */
import { describeError } from '../describe.js'
import { MOST_CONFIRMED, type Backend, type KeepAlive, type SessionInfo } from '../backend/backend.js'
import type { BarrierWaits } from '../engine/barrier-waits.js'
import type { GraphStore } from '../engine/graph-store.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import { monotonicClock, withDeadline, type Clock, type Random } from '../time.js'
import { registered } from './cluster-events.js'
import { counted } from './counted.js'
import type { SessionGrants } from './holdings.js'
import type { Lifecycle } from './lifecycle.js'
import { Outage } from './outage.js'
import { PeriodicTask } from './periodic-task.js'
import { reconcile } from './reconcile.js'
import { SlowCheck } from './slow-check.js'
import { Sweeper, SWEEP_MS } from './sweeper.js'
import { lookForSameId } from './same-id.js'
import { Unserved } from './unserved.js'
import { UnservedRuns } from './unserved-runs.js'

export interface MembershipOptions {
  readonly backend: Backend
  readonly session: string
  readonly info: SessionInfo
  /** Infinity: the session lives until it is closed (embedded). */
  readonly ttlMs: number
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
  readonly barrierWaits: BarrierWaits
  readonly graphs: Pick<GraphStore, 'restore'>
  readonly holdings: SessionGrants
  readonly lifecycle?: Lifecycle
  /** It wants to hear that nobody leads. */
  readonly mayLead?: boolean
  /** What a worker says of itself again and again. */
  readonly heartbeat?: Heartbeat
  /** Flags with which a worker finds this store, for messages. */
  readonly storeFlags?: readonly string[]
}

/** How often a worker says what it does, and what that is. */
export interface Heartbeat {
  readonly intervalMs: number
  readonly state: () => string
}

/** `lost`: the store does not know the session, and it is being opened again. */
export type MembershipState = 'registering' | 'registered' | 'lost' | 'closed'

/** A worker waits no longer than this until its end would be seen at once. */
const DETECTOR_MS = 1_000
/** Grants on their way arrive within this time, mostly. */
const COMING_MS = 50
/** How often a process that holds something says what. */
const CONFIRM_MS = 5_000
/** Grants were on their way when it was to say so. */
const CONFIRM_AGAIN_MS = 500
/** How long closing a session may take. If it fails, the grants are reclaimed when the session expires. */
export const CLOSE_MS = 2_000

/** Opened with `open`, over after `close`. */
export class Membership {
  readonly session: string
  readonly #options: MembershipOptions
  readonly #outage: Outage
  readonly #tasks: PeriodicTask[] = []
  readonly #reconciliation: PeriodicTask
  #slowCheck: SlowCheck | undefined
  #unserved: Unserved | undefined
  #unservedRuns: UnservedRuns | undefined
  #heartbeat: PeriodicTask | undefined
  #kept: KeepAlive | undefined
  #stopWatching: (() => void) | undefined
  #onReopened: (() => void)[] = []
  #state: MembershipState = 'registering'
  /** The store said so, and what is left of what was held has not been asked yet. */
  #isTakenForDead = false
  #closing: Promise<void> | undefined

  /**
   * Registers the process; from then on its session is kept.
   * @throws GraflowError what the store throws when it cannot be reached
   */
  static async open(options: MembershipOptions): Promise<Membership> {
    const membership = new Membership(options)
    await membership.#register()
    membership.#begin()
    await membership.#awaitDetector()
    return membership
  }

  private constructor(options: MembershipOptions) {
    this.#options = options
    this.session = options.session
    this.#outage = new Outage(options)
    this.#reconciliation = this.#periodic(() => this.#reconcile())
  }

  get state(): MembershipState {
    return this.#state
  }

  /**
   * What it holds may be another's by now: no renewal has arrived for as long as the session lives, or the store took the process for dead and,
   * where it is registered again, has not said yet what is left.
   */
  get mayBeLost(): boolean {
    if (this.#isTakenForDead) return true
    if (this.#kept === undefined) return false
    return monotonicClock.now() - this.#kept.lastRenewedAt > this.#options.ttlMs
  }

  /** The store said that it does not know the session. Repeating it is safe. */
  lost(): void {
    if (this.#state !== 'registered') return
    this.#state = 'lost'
    this.#isTakenForDead = true
    this.#announceLoss()
    this.#reconciliation.hurry()
  }

  /** As `lost`, for callers that cannot go on without the session: resolves when it is open again, or closed. */
  reopen(): Promise<void> {
    this.lost()
    if (this.#state !== 'lost') return Promise.resolve()
    return new Promise((resolve) => {
      this.#onReopened.push(resolve)
    })
  }

  /** What the process does has changed: it says so now. Repeating it is safe. */
  beat(): void {
    this.#heartbeat?.hurry()
  }

  /** A caller here waits for the result of a run that others drive: looks whether any worker can, until the function given is called. */
  watchRun(runId: string): () => void {
    return this.#unservedRuns?.watch(runId) ?? (() => undefined)
  }

  /** As `UnservedRuns.watchUntilTaken`. */
  watchUntilTaken(runId: string): void {
    this.#unservedRuns?.watchUntilTaken(runId)
  }

  /**
   * Compares what the store thinks this session owns with what it has in hand, soon: to be called after a call that was abandoned without an
   * answer, which may have been grants. Repeating it is safe.
   */
  reconcile(): void {
    this.#reconciliation.hurry()
  }

  /**
   * Leaves: what the session holds is released unspent, if the store can be reached in time, else it is reclaimed when the session
   * expires. Repeating it is safe.
   */
  close(reason = 'closed', withinMs = CLOSE_MS): Promise<void> {
    this.#closing ??= this.#close(reason, withinMs)
    return this.#closing
  }

  async #close(reason: string, withinMs: number): Promise<void> {
    const { clock, emitter, info } = this.#options
    this.#state = 'closed'
    this.#stopWatching?.()
    this.#resolveReopened()
    const left = this.#leave(reason).catch((error: unknown) => this.report(error))
    await withDeadline(clock, withinMs, left, () => undefined)
    if (info.role !== 'client') emitter.emit('worker:deregistered', { workerId: info.baseId, reason })
  }

  async #leave(reason: string): Promise<void> {
    // Renewal first: it must not find the session gone and open it again.
    await this.#kept?.stop()
    await Promise.all([
      ...this.#tasks.map((task) => task.stop()),
      this.#slowCheck?.stop(),
      this.#unserved?.stop(),
      this.#unservedRuns?.stop(),
    ])
    await this.#options.backend.session({ kind: 'close', session: this.session, reason })
  }

  async #register(isAgain = false): Promise<void> {
    const { backend, info, ttlMs, emitter, mayLead = false } = this.#options
    await backend.session({ kind: 'open', session: this.session, ttlMs, info, mayLead })
    if (this.#isClosed()) return
    this.#state = 'registered'
    if (info.role === 'client') return
    emitter.emit('worker:registered', registered(info, isAgain))
  }

  /** What a store that can be away needs. */
  #begin(): void {
    const { backend, ttlMs } = this.#options
    if (!Number.isFinite(ttlMs)) return
    this.#keepAlive()
    this.#slowCheck = new SlowCheck(this.#options)
    this.#unserved = new Unserved(this.#options)
    this.#unservedRuns = new UnservedRuns(this.#options)
    this.#stopWatching = backend.onReconnected?.(() => this.#onReconnected())
    const isAwaiting = (): boolean => this.#unservedRuns?.hasWaiting === true
    const sweeper = new Sweeper({ ...this.#options, isAwaiting, onAnswered: () => this.#outage.end() })
    this.#periodic(() => {
      this.#outage.look()
      return sweeper.sweep()
    }).startIn(SWEEP_MS)
    this.#periodic(() => this.#confirm()).startIn(CONFIRM_MS)
    this.#periodic(lookForSameId(this.#options)).hurry()
    if (this.#options.heartbeat === undefined) return
    this.#heartbeat = this.#periodic(() => this.#beat())
    this.#heartbeat.hurry()
  }

  #keepAlive(): void {
    const { backend, ttlMs } = this.#options
    this.#kept = backend.keepAlive(this.session, {
      ttlMs,
      onLost: (what) => {
        if (what === 'session') {
          this.lost()
          return
        }
        this.#outage.begin(`no renewal was answered for ${ttlMs / 1_000} s`)
        this.#reconciliation.hurry() // as soon as the store answers, it is asked what is left
      },
    })
  }

  /** A worker takes work only when the store would see its end at once: its first task may be the one that ends it. */
  async #awaitDetector(): Promise<void> {
    const { clock, info } = this.#options
    if (this.#kept === undefined || info.role === 'client') return
    await withDeadline(clock, DETECTOR_MS, this.#kept.ready, () => undefined)
  }

  #onReconnected(): void {
    this.#outage.end()
    this.#reconciliation.hurry()
    this.#slowCheck?.now()
  }

  /** Opens the session again if it is lost; then compares what it holds. */
  async #reconcile(): Promise<number> {
    if (this.#state === 'lost') await this.#registerAgain()
    if (this.#isClosed()) return Number.POSITIVE_INFINITY
    const { baseId } = this.#options.info
    const answer = await reconcile({ ...this.#options, baseId }, this.#isTakenForDead)
    if (answer !== 'coming') {
      this.#outage.end()
      this.#isTakenForDead = false
    }
    if (answer === 'nosession') this.lost()
    return answer === 'done' ? Number.POSITIVE_INFINITY : COMING_MS
  }

  /**
   * Says what this process holds, also where nothing seems to be wrong: a store that has lost the list of that could not tell otherwise, and
   * would reclaim nothing if the process ended.
   */
  async #confirm(): Promise<number> {
    const { backend, holdings } = this.#options
    const known = holdings.known()
    if (known === undefined) return CONFIRM_AGAIN_MS
    for (let at = 0; at < known.length && this.#state === 'registered'; at += MOST_CONFIRMED) {
      const grants = known.slice(at, at + MOST_CONFIRMED)
      const { status } = await backend.session({ kind: 'confirm', session: this.session, grants })
      if (status === 'nosession') this.lost()
    }
    return CONFIRM_MS
  }

  async #beat(): Promise<number> {
    const { backend, heartbeat } = this.#options
    if (heartbeat === undefined || this.#state !== 'registered') return CONFIRM_AGAIN_MS
    const answer = await backend.session({ kind: 'beat', session: this.session, state: heartbeat.state() })
    if (answer.status === 'nosession') this.lost()
    return heartbeat.intervalMs
  }

  async #registerAgain(): Promise<void> {
    // Renewal first: one that was under way would say of the new session that it is subscribed, just before that ends.
    await this.#kept?.stop()
    await this.#register(true)
    if (!this.#isClosed()) this.#keepAlive()
    this.#options.holdings.wake()
    this.#resolveReopened()
  }

  #resolveReopened(): void {
    for (const resolve of this.#onReopened.splice(0)) resolve()
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  #periodic(turn: () => Promise<number>): PeriodicTask {
    const { clock, random } = this.#options
    const task = new PeriodicTask({ clock, random, turn, onError: (error) => this.report(error) })
    this.#tasks.push(task)
    return task
  }

  /** What went wrong in the background: it is logged, once while the store is away, and told to those who want to know. */
  report(error: unknown): void {
    const { emitter, info, lifecycle } = this.#options
    const code = error instanceof GraflowError ? error.code : undefined
    if (code === 'REDIS_UNAVAILABLE') this.#outage.begin(describeError(error))
    else if (code === 'REDIS_UNSUITABLE') this.#outage.look()
    else if (code !== 'CLOSED')
      emitter.emit('log', {
        level: 'error',
        message: `an error in the session of ${info.baseId}: ${describeError(error)}`,
      })
    if (code !== 'CLOSED') lifecycle?.failed(error)
  }

  #announceLoss(): void {
    const { emitter, info, holdings } = this.#options
    const known = holdings.known()
    const grants = known?.length ?? 0
    emitter.emit('worker:lost', { workerId: info.baseId, session: this.session, grants })
    // Grants may be on their way: then it is unknown how many it holds.
    const held =
      known === undefined
        ? 'what it held is reclaimed'
        : grants === 0
          ? 'it held nothing'
          : `its ${counted(grants, 'grant')} ${grants === 1 ? 'is' : 'are'} reclaimed`
    emitter.emit('log', {
      level: 'warn',
      message: `the store took ${info.baseId} for dead: ${held}; registering again`,
    })
  }
}
