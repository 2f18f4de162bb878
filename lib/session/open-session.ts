/**
 * Opens a process's session: the way to the store, what the process holds there and how that is kept, and what it announces. Hides which
 * parts a session has and how they know each other. What is started is stopped in reverse order.
 */
import { hostname } from 'node:os'
import type { Backend, BackendLimits, SessionInfo } from '../backend/backend.js'
import { withReserved } from '../backend/reserved.js'
import { retrying } from '../backend/retrying.js'
import { Engine } from '../engine/engine.js'
import type { ThreadRunner } from '../engine/thread-runner.js'
import type { Code } from '../engine/registry.js'
import type { Emitter } from '../events.js'
import { SESSION_TTL_MS, type Limits } from '../options.js'
import type { Clock, NewId, Random } from '../time.js'
import { Announcer } from './announcer.js'
import { type BranchHolder, Holdings } from './holdings.js'
import { ClusterEvents } from './cluster-events.js'
import { Janitor, type Housekeeping } from './janitor.js'
import { Leadership } from './leadership.js'
import { Lifecycle } from './lifecycle.js'
import { CLOSE_MS, type Heartbeat, Membership, type MembershipState } from './membership.js'

export interface SessionOptions {
  /** The store, which is the session's from now on: it is closed with it, and when the session cannot be opened. */
  readonly store: Backend
  /** The store is this process: it cannot be away, and there are no other processes to announce anything to. */
  readonly isEmbedded?: boolean
  /** What other processes see of this one. */
  readonly info: Omit<SessionInfo, 'hostname' | 'pid'> & Partial<Pick<SessionInfo, 'hostname'>>
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly newId: NewId
  readonly emitter: Emitter
  /** For tasks with `isolation: 'thread'`; whoever opened them closes them, after the session. */
  readonly threads?: ThreadRunner
  /** What stands between runs and the code of flows, in a test. */
  readonly codeThrough?: (code: Code) => Code
  /** Flags with which a worker finds this store, for messages. */
  readonly storeFlags?: readonly string[]
  /** Where listeners of the process are; made for the session where there are none. */
  readonly lifecycle?: Lifecycle
  /** It stands for leader, with a lease of so long; with `mustLead` it is not opened unless it leads. */
  readonly leadership?: { readonly ttlMs: number; readonly mustLead?: boolean; readonly housekeeping: Housekeeping }
  /** Of a worker. */
  readonly heartbeat?: Heartbeat
  /** A person wants the process to leave in good order. */
  readonly onDrain?: () => void
}

/** What the options of an executor take from its session. */
export interface ExecutorParts {
  readonly backend: Backend
  readonly engine: Engine
  readonly clock: Clock
  readonly emitter: Emitter
  readonly announcer?: Announcer
  readonly session: string
  readonly workerId: string
  /** Its own, and those that every session of this release has. */
  readonly capabilities: readonly string[] | 'all'
  readonly newId: NewId
  /** The store said that it does not know the session. */
  readonly onNoSession: () => void
  /** The store refused reports for good: what it has for this session is compared with what is in hand. */
  readonly onRefused: () => void
}

/** Opened by `openSession`, over after `close`. */
export class Session {
  readonly id: string
  /** The name of the process, which its sessions share. */
  readonly baseId: string
  readonly emitter: Emitter
  readonly newId: NewId
  /** The store as it is: where it is away, a call fails. */
  readonly store: Backend
  /** The store as one that is only slow: calls are repeated while it is away. */
  readonly backend: Backend
  readonly engine: Engine
  readonly holdings: Holdings
  /** What takes events to other processes, where there are any. */
  readonly announcer: Announcer | undefined
  readonly lifecycle: Lifecycle
  readonly #options: SessionOptions
  /** As `backend`; what work in hand asks is repeated for a while also when it is refused. */
  readonly #forWork: Backend
  #stopNotices: (() => void) | undefined
  #membership: Membership | undefined
  #leadership: Leadership | undefined
  #janitor: Janitor | undefined
  #clusterEvents: ClusterEvents | undefined
  #closing: Promise<void> | undefined

  /** @throws GraflowError what the store throws when it cannot be reached */
  static async open(options: SessionOptions): Promise<Session> {
    const session = new Session(options)
    try {
      await session.#join()
    } catch (error) {
      await session.close()
      throw error
    }
    return session
  }

  private constructor(options: SessionOptions) {
    const { store, isEmbedded = false, info, clock, random, emitter, newId } = options
    this.#options = options
    this.id = `${info.baseId}:${newId()}`
    this.baseId = info.baseId
    this.emitter = emitter
    this.newId = newId
    this.store = store
    this.lifecycle = options.lifecycle ?? new Lifecycle(emitter, clock)
    const retried = isEmbedded ? undefined : retrying(store, { clock, random })
    this.backend = retried ?? store
    this.#forWork = retried?.forWork ?? store
    this.engine = new Engine({
      ...{ backend: this.#forWork, clock, random, emitter, newId },
      ...{ limits: withinStore(options.limits, store.limits), workerId: info.baseId },
      ...(options.threads !== undefined && { threads: options.threads }),
      ...(info.role !== 'client' && info.tasks !== 'all' && { offered: new Set(info.tasks) }),
      ...(!isEmbedded && { mayBeLost: () => this.#membership?.mayBeLost === true }),
      ...(options.codeThrough !== undefined && { codeThrough: options.codeThrough }),
    })
    this.holdings = new Holdings({
      ...{ backend: this.#forWork, engine: this.engine, emitter, session: this.id },
      onRefused: () => this.#membership?.reconcile(),
    })
    this.announcer = isEmbedded ? undefined : new Announcer({ backend: store, clock, sender: this.id })
  }

  /** What its process calls its release; undefined where it does not say. */
  get buildId(): string | undefined {
    return this.#options.info.buildId
  }

  get state(): MembershipState {
    return this.#membership?.state ?? 'registering'
  }

  /** What an executor of this session is made of. */
  get forExecutor(): ExecutorParts {
    const { engine, emitter, announcer, newId, id: session, baseId: workerId } = this
    const { clock, info } = this.#options
    return {
      ...{ backend: this.#forWork, engine, emitter, newId, session, workerId, clock },
      capabilities: withReserved(info.capabilities, info.buildId),
      ...(announcer !== undefined && { announcer }),
      onNoSession: () => this.lost(),
      onRefused: () => this.#membership?.reconcile(),
    }
  }

  /** From now on the session also holds what this executor takes; it may take work at once. Called once at most. */
  serve(executor: BranchHolder): void {
    this.holdings.useExecutor(executor)
    executor.wake()
  }

  /** The store said that it does not know the session: it is opened again. Repeating it is safe. */
  lost(): void {
    this.#membership?.lost()
  }

  /** As `lost`, for callers that cannot go on without the session: resolves when it is open again, or closed. */
  async reopen(): Promise<void> {
    await this.#membership?.reopen()
  }

  /** As `Membership.reconcile`. */
  reconcile(): void {
    this.#membership?.reconcile()
  }

  /** As `Membership.beat`. */
  beat(): void {
    this.#membership?.beat()
  }

  /** As `Membership.watchRun`. */
  watchRun(runId: string): () => void {
    return this.#membership?.watchRun(runId) ?? (() => undefined)
  }

  /** As `Membership.watchUntilTaken`. */
  watchUntilTaken(runId: string): void {
    this.#membership?.watchUntilTaken(runId)
  }

  /**
   * Leaves, and closes the store. What the session still holds is released unspent if the store can be reached within `withinMs` (2 s),
   * else it is reclaimed when the session expires. Repeating it is safe.
   */
  close(reason?: string, withinMs?: number): Promise<void> {
    this.#closing ??= this.#close(reason, withinMs)
    return this.#closing
  }

  async #join(): Promise<void> {
    const { store, isEmbedded = false, info, emitter } = this.#options
    const { barrierWaits, graphs } = this.engine
    if (this.announcer !== undefined) emitter.forwardTo(this.announcer)
    this.#clusterEvents = new ClusterEvents({ backend: store, session: this.id, emitter })
    const stops = [
      store.listen(this.id, (notice) => {
        if (notice.kind === 'lead') this.#leadership?.hurry()
        else if (notice.kind === 'drain') this.#options.onDrain?.()
        else this.holdings.handleNotice(notice)
      }),
      store.onReconnected?.(() => this.holdings.wake()),
    ]
    this.#stopNotices = () => {
      for (const stop of stops) stop?.()
    }
    this.#membership = await Membership.open({
      ...this.#options,
      ...{ backend: store, session: this.id, barrierWaits, graphs, holdings: this.holdings },
      info: {
        hostname: hostname(),
        ...info,
        capabilities: withReserved(info.capabilities, info.buildId),
        pid: process.pid,
      },
      ttlMs: isEmbedded ? Number.POSITIVE_INFINITY : SESSION_TTL_MS,
      ...{ lifecycle: this.lifecycle, mayLead: this.#options.leadership !== undefined },
    })
    await this.#stand(this.#membership)
  }

  /** @throws GraflowError NOT_LEADER where it must lead and does not */
  async #stand(membership: Membership): Promise<void> {
    const { store, isEmbedded = false, info, leadership } = this.#options
    if (leadership === undefined) return
    this.#leadership = new Leadership({
      ...this.#options,
      ...{ backend: store, session: this.id, baseId: info.baseId, lifecycle: this.lifecycle },
      ttlMs: isEmbedded ? Number.POSITIVE_INFINITY : leadership.ttlMs,
      onError: (error) => membership.report(error),
    })
    this.#janitor = new Janitor({
      ...this.#options,
      ...{ backend: store, session: this.id, lifecycle: this.lifecycle, ...leadership.housekeeping },
      onDeposed: () => this.#leadership?.hurry(),
      onError: (error) => membership.report(error),
    })
    if (isEmbedded) return this.#leadership.begin() // the store is here: it leads at once
    this.#leadership.hurry()
    if (leadership.mustLead === true) await this.#leadership.mustLead()
  }

  async #close(reason: string | undefined, withinMs: number | undefined): Promise<void> {
    this.#stopNotices?.() // first: a session that leaves acts on none
    this.#clusterEvents?.close()
    this.#janitor?.stop()
    await Promise.all([this.#leadership?.stop(withinMs ?? CLOSE_MS), this.#membership?.close(reason, withinMs)])
    this.announcer?.close()
    await this.backend.close()
  }
}

/**
 * Registers this process in a store; from then on its session is kept until it is closed.
 * @throws GraflowError what the store throws when it cannot be reached, NOT_LEADER where it must lead and another does; the store is closed then
 */
export const openSession = (options: SessionOptions): Promise<Session> => Session.open(options)

/** What one value may be, as far as the store takes as much: else it would be refused only when it is sent, over and over. */
function withinStore(limits: Limits, { bytesPerValue = Infinity, bytesPerResult = Infinity }: BackendLimits): Limits {
  const most = (bytes: number): number => Math.min(bytes, bytesPerValue)
  return {
    ...limits,
    itemBytes: most(limits.itemBytes),
    sharedInputBytes: most(limits.sharedInputBytes),
    resultBytes: most(limits.resultBytes),
    runResultBytes: Math.min(limits.runResultBytes, bytesPerResult),
    graphBytes: most(limits.graphBytes),
  }
}
