/**
 * This process's part in the election of a leader: it stands, renews its lease while it leads, and gives the lead back when it leaves. Hides how often
 * it asks. A process that does not lead hardly asks: a sweep says when nobody leads (`lead` of `Notice`).
 */
import type { Backend, Lead } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import { elapsedMs, type Clock, type Random, withDeadline } from '../time.js'
import type { Lifecycle } from './lifecycle.js'
import { PeriodicTask } from './periodic-task.js'

export interface LeadershipOptions {
  readonly backend: Pick<Backend, 'lead'>
  readonly session: string
  readonly baseId: string
  /** How long the lease lasts: it is renewed three times as often. Infinity: until it is given back (embedded). */
  readonly ttlMs: number
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
  readonly lifecycle: Lifecycle
  readonly onError: (error: unknown) => void
}

const RENEWALS = 3
/** A process that must lead waits for a leader that is lost for its lease, and so much longer. */
const ELECTION_MS = 1_000
/** The store took the process for dead: it registers again, and then it stands. */
const UNREGISTERED_MS = 250

/** Begun once, stopped once. */
export class Leadership {
  readonly #options: LeadershipOptions
  readonly #task: PeriodicTask
  #cancelEnd: (() => void) | undefined
  #leader: Lead | undefined
  #isStopped = false

  constructor(options: LeadershipOptions) {
    const { clock, random, onError } = options
    this.#options = options
    this.#task = new PeriodicTask({ clock, random, onError, turn: () => this.#stand() })
  }

  /** Nobody leads, or that is worth a question. Repeating it is safe. */
  hurry(): void {
    this.#task.hurry()
  }

  /** Stands for the first time; resolves when it leads, or another does. @throws GraflowError what the store throws */
  async begin(): Promise<void> {
    this.#task.startIn(await this.#stand())
  }

  /**
   * Resolves when this process leads.
   * @throws GraflowError NOT_LEADER where it does not within its lease and a second
   */
  async mustLead(): Promise<void> {
    const { clock, ttlMs, lifecycle, baseId } = this.#options
    let stop = (): void => undefined
    const led = new Promise<void>((resolve) => {
      stop = lifecycle.onBecameLeader(() => resolve())
    })
    try {
      await withDeadline(clock, ttlMs + ELECTION_MS, led, () => {
        const { leaderId, term } = this.#leader ?? {}
        const other =
          leaderId === undefined ? 'the store gave it to nobody' : `${leaderId} leads, in term ${term ?? ''}`
        throw new GraflowError(
          'NOT_LEADER',
          `worker ${baseId} has the role leader and could not become the leader within ${ttlMs + ELECTION_MS} ms: ${other}; ` +
            'stop that one, or start this one with the role auto',
          { details: { ...(leaderId !== undefined && { leaderId }) } },
        )
      })
    } finally {
      stop()
    }
  }

  /** Gives the lead back, if it has it; resolves when the store has that, or cannot be asked within `withinMs`. Repeating it is safe. */
  async stop(withinMs: number): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    const { backend, session, clock, lifecycle } = this.#options
    const { isLeader } = lifecycle
    const resign = async (): Promise<void> => {
      await this.#task.stop()
      if (isLeader) await backend.lead({ kind: 'resign', session })
    }
    this.#ends()
    // a lead that cannot be given back is free when its session is gone
    await withDeadline(
      clock,
      withinMs,
      resign().catch(() => undefined),
      () => undefined,
    )
  }

  async #stand(): Promise<number> {
    const { backend, session, ttlMs, clock } = this.#options
    const sentAt = elapsedMs(clock)
    const answer = await backend.lead({ kind: 'stand', session, ttlMs })
    if (this.#isStopped) return Number.POSITIVE_INFINITY
    if (answer.status === 'nosession') return UNREGISTERED_MS
    this.#leader = answer.lead
    if (answer.lead?.session === session) {
      this.#leads(answer.lead.term, sentAt + ttlMs)
      return ttlMs / RENEWALS
    }
    this.#ends()
    return ttlMs
  }

  #leads(term: number, until: number): void {
    const { lifecycle, clock, ttlMs } = this.#options
    const isNew = lifecycle.term !== term
    this.#cancelEnd?.()
    this.#cancelEnd = Number.isFinite(ttlMs)
      ? clock.after(Math.max(0, until - elapsedMs(clock)), () => this.#ends(), true)
      : undefined
    lifecycle.leads(term, until)
    if (!isNew) return
    this.#log('info', `leads now, in term ${term}`)
    this.#options.emitter.emit('leader:changed', { leaderId: this.#options.baseId, term })
  }

  /** Another may lead from now on. */
  #ends(): void {
    this.#cancelEnd?.()
    this.#cancelEnd = undefined
    if (this.#options.lifecycle.leadsNoMore() && !this.#isStopped) this.#log('warn', 'leads no more')
  }

  #log(level: 'info' | 'warn', what: string): void {
    const { emitter, baseId } = this.#options
    emitter.emit('log', { level, message: `${baseId} ${what}` })
  }
}
