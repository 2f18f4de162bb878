/**
 * This process's place among the others: its session in the store, from its opening to its end. Hides how the session is renewed, who
 * sweeps and when, what happens after the store was away, and that a process taken for dead registers again. Clients and workers alike
 * have one; in the embedded store, which cannot be away, little of it is needed.
 *
 * This file is long because renewing, sweeping and comparing share one state: whether the session is registered, lost or closed.
 */
import type { Backend, Grant, KeepAlive, SessionInfo, SettleRange, Token } from '../backend/backend.js'
import { EMPTY_BYTES } from '../values/packed-items.js'
import type { BarrierWaits } from '../engine/barrier-waits.js'
import type { GraphStore } from '../engine/graph-store.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import { withDeadline, type Clock, type Random } from '../time.js'
import { PeriodicTask } from './periodic-task.js'
import { SlowCheck } from './slow-check.js'
import { Unserved } from './unserved.js'

/** A grant by its name. */
export interface HeldGrant {
  readonly gid: string
  readonly token: Token
}

/** What the session holds, and who hears of it. */
export interface SessionGrants {
  /** Branches and runs that this process has in hand; undefined while grants may be on their way to it. */
  known(): readonly HeldGrant[] | undefined
  /** The store has given this grant to others, or will: stop, and report nothing. May be told twice, or of what is over. */
  reclaimed(grant: HeldGrant): void
  /** Registered again: whatever was asked of the store before is to be asked anew. */
  onReopened?(): void
}

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
  /** Flags with which a worker finds this store, for messages. */
  readonly storeFlags?: readonly string[]
}

/** `lost`: the store does not know the session, and it is being opened again. */
export type MembershipState = 'registering' | 'registered' | 'lost' | 'closed'

/** How often a process with work sweeps, jitter aside; it also notices within this time that it has work. */
const SWEEP_MS = 150
/** Another swept a moment ago. */
const SKIPPED_MS = 100
/** The store skips a sweep that follows another by less, unless that has left something over. */
const SHORTEST_SWEEP_MS = 100
const BACKLOG_MS = 5
/** A worker does not wait longer for its failure detector. */
const NOTICED_MS = 1_000
/** Grants on their way arrive within this time, mostly. */
const COMING_MS = 50
/** Closing a session is a courtesy: without it, its grants come back when it expires. */
const CLOSE_MS = 2_000

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

/** Opened with `open`, over after `close`. */
export class Membership {
  readonly session: string
  readonly #options: MembershipOptions
  readonly #rounds: PeriodicTask[] = []
  readonly #reconciliation: PeriodicTask
  #slowCheck: SlowCheck | undefined
  #unserved: Unserved | undefined
  #kept: KeepAlive | undefined
  #stopHearing: (() => void) | undefined
  #onReopened: (() => void)[] = []
  #state: MembershipState = 'registering'
  /** The store said so, and what is left of what was held has not been asked yet. */
  #isTakenForDead = false
  /** Branches that this process's sweeps reclaimed, and that it has not told of. */
  #reclaimed = 0
  /** Since when the store is known to be away. */
  #awaySince: number | undefined
  #closing: Promise<void> | undefined

  /**
   * Registers the process; from then on its session is kept.
   * @throws GraflowError what the store throws when it cannot be reached
   */
  static async open(options: MembershipOptions): Promise<Membership> {
    const membership = new Membership(options)
    await membership.#register()
    membership.#begin()
    await membership.#noticed()
    return membership
  }

  private constructor(options: MembershipOptions) {
    this.#options = options
    this.session = options.session
    this.#reconciliation = this.#roundsOf(() => this.#reconcile())
  }

  get state(): MembershipState {
    return this.#state
  }

  /** The store said that it does not know the session. Repeating it is safe. */
  lost(): void {
    if (this.#state !== 'registered') return
    this.#state = 'lost'
    const { emitter, info, holdings } = this.#options
    this.#isTakenForDead = true
    const known = holdings.known()
    const grants = known?.length ?? 0
    emitter.emit('worker:lost', { workerId: info.baseId, session: this.session, grants })
    // Grants may be on their way: then nobody can say how many it holds.
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
    this.#reconciliation.hurry()
  }

  /** The same, for who cannot go on without the session: resolves when it is open again, or closed. */
  reopen(): Promise<void> {
    this.lost()
    if (this.#state !== 'lost') return Promise.resolve()
    return new Promise((resolve) => {
      this.#onReopened.push(resolve)
    })
  }

  /**
   * Compares what the store thinks this session owns with what it has in hand, soon: to be called when a call was given up whose answer
   * may have been grants. Repeating it is safe.
   */
  reconcile(): void {
    this.#reconciliation.hurry()
  }

  /**
   * Leaves: what the session holds is released unspent, if the store can be reached within 2 s, else it is reclaimed when the session
   * expires. Repeating it is safe.
   */
  close(reason = 'closed'): Promise<void> {
    this.#closing ??= this.#close(reason)
    return this.#closing
  }

  async #close(reason: string): Promise<void> {
    const { backend, clock, emitter, info } = this.#options
    this.#state = 'closed'
    this.#stopHearing?.()
    this.#resolveReopened()
    const leave = async (): Promise<void> => {
      // Renewal first: it must not find the session gone and open it again.
      await this.#kept?.stop()
      await Promise.all([
        ...this.#rounds.map((rounds) => rounds.stop()),
        this.#slowCheck?.stop(),
        this.#unserved?.stop(),
      ])
      await backend.session({ kind: 'close', session: this.session })
    }
    const left = leave().catch((error: unknown) => this.#logBadTurn(error))
    await withDeadline(clock, CLOSE_MS, left, () => undefined)
    if (info.role !== 'client') emitter.emit('worker:deregistered', { workerId: info.baseId, reason })
  }

  async #register(): Promise<void> {
    const { backend, info, ttlMs, emitter } = this.#options
    await backend.session({ kind: 'open', session: this.session, ttlMs, info })
    if (this.#isClosed()) return
    this.#state = 'registered'
    if (info.role === 'client') return
    const capabilities = info.capabilities === 'all' ? [] : info.capabilities
    emitter.emit('worker:registered', { workerId: info.baseId, capabilities })
  }

  #resolveReopened(): void {
    for (const resolve of this.#onReopened.splice(0)) resolve()
  }

  /** What a store that can be away needs. */
  #begin(): void {
    const { backend, ttlMs } = this.#options
    if (!Number.isFinite(ttlMs)) return
    this.#keepAlive()
    this.#slowCheck = new SlowCheck(this.#options)
    this.#unserved = new Unserved(this.#options)
    this.#stopHearing = backend.onReconnected?.(() => this.#onReconnected())
    this.#roundsOf(() => this.#sweep()).startIn(SWEEP_MS)
    this.#lookForTwins()
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
        this.#away(`no renewal was answered for ${ttlMs / 1_000} s`)
        this.#reconciliation.hurry() // as soon as the store answers, it is asked what is left
      },
    })
  }

  /** A worker takes work only when its end would be noticed at once: it may be its first task that ends it. */
  async #noticed(): Promise<void> {
    const { clock, info } = this.#options
    if (this.#kept === undefined || info.role === 'client') return
    await withDeadline(clock, NOTICED_MS, this.#kept.ready, () => undefined)
  }

  #roundsOf(turn: () => Promise<number>): PeriodicTask {
    const { clock, random } = this.#options
    const rounds = new PeriodicTask({
      clock,
      random,
      turn,
      onError: (error) => this.#logBadTurn(error),
    })
    this.#rounds.push(rounds)
    return rounds
  }

  #logBadTurn(error: unknown): void {
    const { emitter, info } = this.#options
    const code = error instanceof GraflowError ? error.code : undefined
    if (code === 'REDIS_UNAVAILABLE') this.#away(String(error))
    else if (code !== 'CLOSED')
      emitter.emit('log', { level: 'error', message: `the session of ${info.baseId} met ${String(error)}` })
  }

  /** Told once, until it has answered. */
  #away(why: string): void {
    if (this.#awaySince !== undefined) return
    const { emitter, clock } = this.#options
    this.#awaySince = clock.now()
    emitter.emit('log', {
      level: 'warn',
      message: `the store is away, and is asked again until it is there: ${why}`,
    })
  }

  /** The store has answered: where it was told to be away, that it is back. */
  #answered(): void {
    const since = this.#awaySince
    if (since === undefined) return
    this.#awaySince = undefined
    const { emitter, clock } = this.#options
    const seconds = (Math.max(0, clock.now() - since) / 1_000).toFixed(1)
    emitter.emit('log', { level: 'info', message: `the store answers again, ${seconds} s after it was found away` })
  }

  #onReconnected(): void {
    this.#answered()
    this.#reconciliation.hurry()
    this.#slowCheck?.now()
  }

  // ------------------------------------------------------------------------------------------------------------------- sweep

  /** An idle process does not sweep: its renewal is enough. */
  async #sweep(): Promise<number> {
    if (!this.#hasWork()) {
      this.#logReclaimed()
      return SWEEP_MS
    }
    const answer = await this.#options.backend.sweep(this.session)
    this.#answered()
    if (answer.status === 'ok') this.#reclaimed += answer.reclaimed
    if (answer.status !== 'ok' || answer.nextDueMs !== 0) this.#logReclaimed() // else the next sweep takes more
    if (answer.status === 'grace') return SWEEP_MS
    const { nextDueMs = Number.POSITIVE_INFINITY } = answer
    if (answer.status === 'skip') return Math.min(SKIPPED_MS, Math.max(BACKLOG_MS, nextDueMs))
    if (nextDueMs === 0) return BACKLOG_MS
    // what is due a moment after the next turn is waited for instead: a worker that seems dead is looked at again when that is due
    return nextDueMs < SWEEP_MS + SHORTEST_SWEEP_MS ? Math.max(SHORTEST_SWEEP_MS, nextDueMs) : SWEEP_MS
  }

  /** Told by the process that swept, once for all that one sweep after the other has taken. */
  #logReclaimed(): void {
    if (this.#reclaimed === 0) return
    const branches = counted(this.#reclaimed, 'branch', 'branches')
    this.#reclaimed = 0
    const message = `reclaimed ${branches}: whoever had them is gone, stands still or was too late`
    this.#options.emitter.emit('log', { level: 'warn', message })
  }

  #hasWork(): boolean {
    const { barrierWaits, holdings } = this.#options
    return barrierWaits.count > 0 || holdings.known()?.length !== 0
  }

  // --------------------------------------------------------------------------------------------------------------- reconcile

  /** Opens the session again if it is lost; then what was taken away is dropped, and what nobody knows of is released. */
  async #reconcile(): Promise<number> {
    const { backend, holdings } = this.#options
    if (this.#state === 'lost') {
      await this.#register()
      await this.#kept?.stop()
      if (!this.#isClosed()) this.#keepAlive()
      holdings.onReopened?.()
      this.#resolveReopened()
    }
    if (this.#isClosed()) return Number.POSITIVE_INFINITY
    const known = holdings.known()
    if (known === undefined) return COMING_MS
    const answer = await backend.session({ kind: 'reconcile', session: this.session, known })
    this.#answered()
    if (answer.status === 'nosession') {
      this.lost()
      return COMING_MS
    }
    if (answer.status !== 'reconciled') throw new GraflowError('INTERNAL', `a reconcile was answered ${answer.status}`)
    const lost = new Set(answer.lost)
    const gone = known.filter(({ token }) => lost.has(token))
    for (const grant of gone) holdings.reclaimed(grant)
    if (this.#isTakenForDead) await this.#logLostData(gone[0])
    this.#isTakenForDead = false
    const now = holdings.known()
    if (now === undefined) return COMING_MS
    const inHand = new Set(now.map(({ token }) => token))
    await this.#release(answer.unknown.filter(({ token }) => !inHand.has(token)))
    // The store names as many as one answer carries.
    return answer.unknown.length > 0 ? COMING_MS : Number.POSITIVE_INFINITY
  }

  /** A store that does not even know the run of a branch that was in hand a moment ago has more than a session less. */
  async #logLostData(grant: HeldGrant | undefined): Promise<void> {
    const { backend, emitter, info } = this.#options
    const [runId] = grant?.gid.split('/') ?? []
    if (runId === undefined || (await backend.inspect.run(runId)) !== undefined) return
    emitter.emit('log', {
      level: 'error',
      message:
        `the store does not know run ${runId}, which ${info.baseId} worked for: it seems to have lost its data ` +
        '(flushed, or restarted without a copy); what ran then is not started again',
      runId,
    })
  }

  /** Grants whose answer never arrived: somebody else starts them, and no attempt is spent. */
  async #release(grants: readonly Grant[]): Promise<void> {
    const { backend, emitter, holdings } = this.#options
    if (grants.length === 0) return
    for (const { spec, token } of grants) holdings.reclaimed({ gid: spec.gid, token }) // it may come yet
    const ranges = grants.map(
      ({ spec, token, indexes }): SettleRange => ({
        gid: spec.gid,
        token,
        indexes,
        kinds: Array.from(indexes, () => 'released'),
        values: { bytes: EMPTY_BYTES, ends: new Uint32Array(indexes.length) },
      }),
    )
    // One by one: together they may be more than a call carries.
    for (const range of ranges) await backend.settle({ session: this.session, ranges: [range] })
    emitter.emit('log', {
      level: 'info',
      message: `released ${counted(grants.length, 'grant')} whose answer was lost`,
    })
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  // ------------------------------------------------------------------------------------------------------------------- twins

  /** Two processes of one base id both live, and neither disturbs the other; but mostly somebody has copied a command line. */
  #lookForTwins(): void {
    const { backend, info, ttlMs, emitter } = this.#options
    let before: ReadonlyMap<string, number> | undefined
    const rounds = this.#roundsOf(async () => {
      const sessions = await backend.inspect.sessions()
      this.#answered()
      const others = sessions.filter(({ baseId, session }) => baseId === info.baseId && session !== this.session)
      // One that was killed a moment ago is there until it expires, but is not renewed.
      const alive = others.filter(({ session, expiresAt }) => expiresAt > (before?.get(session) ?? expiresAt))
      const [twin] = alive
      if (twin !== undefined) {
        emitter.emit('log', {
          level: 'warn',
          message:
            `another live process calls itself ${info.baseId}: pid ${twin.pid} on ${twin.hostname}; ` +
            'both work, but give each an id of its own to tell them apart',
          details: { session: this.session, other: twin.session },
        })
      }
      if (others.length === 0 || before !== undefined) return Number.POSITIVE_INFINITY
      before = new Map(others.map(({ session, expiresAt }) => [session, expiresAt]))
      return ttlMs / 2
    })
    rounds.hurry()
  }
}
