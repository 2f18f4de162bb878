/**
 * The housekeeping that only the leader does. Hides when it is done. Each of its calls names the term in which this process leads, so that one
 * which has been followed by another changes nothing. Nothing that a run needs waits for it: recovery and retention are the sweep's.
 */
import type { Backend, TendAnswer, TendRequest } from '../backend/backend.js'
import type { Emitter } from '../events.js'
import type { Clock, Random } from '../time.js'
import { counted } from './counted.js'
import type { Lifecycle } from './lifecycle.js'
import { PeriodicTask } from './periodic-task.js'
import { Standstills } from './standstills.js'

/** What a leader goes by. */
export interface Housekeeping {
  readonly heartbeatIntervalMs: number
  readonly staleAfterMs: number
  readonly deadAfterMs: number
  readonly cleanupIntervalMs: number
  readonly stuckAfterMs?: number
}

export interface JanitorOptions extends Housekeeping {
  readonly backend: Pick<Backend, 'tend' | 'inspect'>
  readonly session: string
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
  readonly lifecycle: Lifecycle
  /** The store said that another leads. */
  readonly onDeposed: () => void
  readonly onError: (error: unknown) => void
}

/** What is asked of the store, without who asks. */
type Chore = TendRequest extends infer R ? (R extends TendRequest ? Omit<R, 'session' | 'term'> : never) : never

/** Graphs are kept for a day after their last use. */
const GRAPHS_MS = 3_600_000
/** Between two parts of a walk through the store. */
const NEXT_PART_MS = 50
/** A run is looked at so often in `stuckAfterMs`, within these. */
const LOOKS = 4
const SHORTEST_LOOK_MS = 250
const LONGEST_LOOK_MS = 60_000

/** Works while its process leads; over after `stop`. */
export class Janitor {
  readonly #options: JanitorOptions
  readonly #tasks: readonly PeriodicTask[]
  readonly #unsubscribe: () => void

  constructor(options: JanitorOptions) {
    this.#options = options
    const { lifecycle, heartbeatIntervalMs, staleAfterMs, deadAfterMs, cleanupIntervalMs, stuckAfterMs } = options
    const periodic = (turn: (term: number) => Promise<number>): PeriodicTask =>
      new PeriodicTask({
        ...options,
        // without a term: until this process leads
        turn: async () => (lifecycle.term === undefined ? Number.POSITIVE_INFINITY : turn(lifecycle.term)),
      })
    this.#tasks = [
      periodic(async (term) => {
        const answer = await this.#tend(term, { kind: 'nodes', staleAfterMs, deadAfterMs })
        return answer === undefined ? Number.POSITIVE_INFINITY : heartbeatIntervalMs
      }),
      periodic(this.#walk('graphs', GRAPHS_MS)),
      periodic(this.#walk('orphans', cleanupIntervalMs)),
      ...(stuckAfterMs === undefined ? [] : [periodic(this.#failStuck(stuckAfterMs))]),
    ]
    this.#unsubscribe = lifecycle.onBecameLeader(() => {
      for (const task of this.#tasks) task.hurry()
    })
  }

  stop(): void {
    this.#unsubscribe()
    for (const task of this.#tasks) void task.stop()
  }

  /** Undefined: another leads. */
  async #tend(term: number, chore: Chore): Promise<Extract<TendAnswer, { readonly status: 'ok' }> | undefined> {
    const { backend, session, onDeposed } = this.#options
    const answer = await backend.tend({ ...chore, session, term })
    if (answer.status === 'ok') return answer
    onDeposed()
    return undefined
  }

  /** Looks through the whole store, part by part. */
  #walk(kind: 'graphs' | 'orphans', intervalMs: number): (term: number) => Promise<number> {
    let cursor = ''
    let deleted = 0
    return async (term) => {
      const answer = await this.#tend(term, { kind, cursor })
      if (answer === undefined) return Number.POSITIVE_INFINITY
      if (kind === 'orphans') deleted += answer.count
      cursor = answer.cursor ?? ''
      if (cursor !== '') return NEXT_PART_MS
      if (deleted > 0) this.#log(`deleted ${counted(deleted, 'key')} that belonged to runs whose record is gone`)
      deleted = 0
      return intervalMs
    }
  }

  #failStuck(stuckAfterMs: number): (term: number) => Promise<number> {
    const { backend, clock } = this.#options
    const standstills = new Standstills({ inspect: backend.inspect, clock, stuckAfterMs })
    return async (term) => {
      for (const { runId, reason, value } of await standstills.look()) {
        const answer = await this.#tend(term, { kind: 'fail-run', runId, reason, value })
        if (answer === undefined) return Number.POSITIVE_INFINITY
        if (answer.count > 0) this.#log(`failed run ${runId}: ${reason}`, runId)
      }
      return Math.min(LONGEST_LOOK_MS, Math.max(SHORTEST_LOOK_MS, stuckAfterMs / LOOKS))
    }
  }

  #log(message: string, runId?: string): void {
    this.#options.emitter.emit('log', { level: 'warn', message, ...(runId !== undefined && { runId }) })
  }
}
