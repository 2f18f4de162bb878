/**
 * Sweeps the store: what vanished processes held is reclaimed, what is due is promoted. Any process does it. Hides when a sweep is worth
 * its call, and what is logged of it.
 */
import type { Backend } from '../backend/backend.js'
import type { BarrierWaits } from '../engine/barrier-waits.js'
import type { Emitter } from '../events.js'
import { counted } from './counted.js'
import type { SessionGrants } from './holdings.js'

export interface SweeperOptions {
  readonly backend: Pick<Backend, 'sweep'>
  readonly session: string
  readonly emitter: Emitter
  readonly barrierWaits: BarrierWaits
  readonly holdings: Pick<SessionGrants, 'known'>
  /** Whether a caller here waits for the result of a run that others drive. */
  readonly isAwaiting: () => boolean
  /** The store has answered a sweep. */
  readonly onAnswered: () => void
}

/** How often a process with work sweeps, jitter aside; it also notices within this time that it has work. */
export const SWEEP_MS = 150
/** Another swept a moment ago. */
const SKIPPED_MS = 100
/** The store skips a sweep that follows another by less, unless that has left something over. */
const SHORTEST_SWEEP_MS = 100
const BACKLOG_MS = 5

/** One a session. */
export class Sweeper {
  readonly #options: SweeperOptions
  /** Branches that this process's sweeps reclaimed, and that are not logged yet. */
  #reclaimed = 0

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  /** Sweeps once, unless the process is idle: then its renewal is enough. Answers how long the next one may wait. */
  async sweep(): Promise<number> {
    if (!this.#hasWork()) {
      this.#logReclaimed()
      return SWEEP_MS
    }
    const { backend, session, onAnswered } = this.#options
    const answer = await backend.sweep(session)
    onAnswered()
    if (answer.status === 'ok') this.#reclaimed += answer.reclaimed
    if (answer.status !== 'ok' || answer.nextDueMs !== 0) this.#logReclaimed() // else the next sweep takes more
    if (answer.status === 'grace') return SWEEP_MS
    const { nextDueMs = Number.POSITIVE_INFINITY } = answer
    if (answer.status === 'skip') return Math.min(SKIPPED_MS, Math.max(BACKLOG_MS, nextDueMs))
    if (nextDueMs === 0) return BACKLOG_MS
    // What is due a moment after the next turn is waited for instead: a worker that seems dead is looked at again when that is due.
    return nextDueMs < SWEEP_MS + SHORTEST_SWEEP_MS ? Math.max(SHORTEST_SWEEP_MS, nextDueMs) : SWEEP_MS
  }

  #hasWork(): boolean {
    const { barrierWaits, holdings, isAwaiting } = this.#options
    return barrierWaits.count > 0 || isAwaiting() || holdings.known()?.length !== 0
  }

  /** Logged by the process that swept, once for all that its consecutive sweeps have reclaimed. */
  #logReclaimed(): void {
    if (this.#reclaimed === 0) return
    const branches = counted(this.#reclaimed, 'branch', 'branches')
    this.#reclaimed = 0
    const message = `reclaimed ${branches}: whoever had them is gone, stands still or was too late`
    this.#options.emitter.emit('log', { level: 'warn', message })
  }
}
