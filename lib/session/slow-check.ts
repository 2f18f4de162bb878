/**
 * Asks the store from time to time about the groups and graphs that this process waits for: a notice may be lost with a connection, and a store may
 * be restored from an older state or lose a graph. Hides how often it asks, and which findings become events.
 */
import { describeError } from '../describe.js'
import type { Backend } from '../backend/backend.js'
import { NO_OUTCOMES } from '../backend/no-outcomes.js'
import type { BarrierWaits, AwaitedGraph } from '../engine/barrier-waits.js'
import type { GraphStore } from '../engine/graph-store.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import type { Clock, Random } from '../time.js'
import { PeriodicTask } from './periodic-task.js'

export interface SlowCheckOptions {
  readonly backend: Pick<Backend, 'inspect'>
  readonly barrierWaits: BarrierWaits
  readonly graphs: Pick<GraphStore, 'restore'>
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
}

/** A driver that waits for a group that the store has lost finds out within five seconds. */
const BARRIERS_MS = 2_500
/** A worker that misses a graph waits for it with its grant in hand: that must be short. */
const GRAPHS_MS = 1_000
/** A notice that is on its way is not missed. */
const NOTICE_MS = 250
/** Groups that are looked at together. */
const AT_ONCE = 64

/** One a process; runs until it is stopped. */
export class SlowCheck {
  readonly #options: SlowCheckOptions
  readonly #barriers: PeriodicTask
  readonly #graphs: PeriodicTask
  #isUrgent = false

  constructor(options: SlowCheckOptions) {
    this.#options = options
    const { clock, random, emitter } = options
    const onError = (error: unknown): void => {
      emitter.emit('log', {
        level: 'debug',
        message: `the slow check failed, and is repeated: ${describeError(error)}`,
      })
    }
    this.#barriers = new PeriodicTask({ clock, random, onError, turn: () => this.#checkBarriers() })
    this.#graphs = new PeriodicTask({ clock, random, onError, turn: () => this.#checkGraphs() })
    this.#barriers.startIn(BARRIERS_MS)
    this.#graphs.startIn(GRAPHS_MS)
  }

  /** Looks at once: the store was away, and notices with it. */
  now(): void {
    this.#isUrgent = true
    this.#barriers.hurry()
    this.#graphs.hurry()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#barriers.stop(), this.#graphs.stop()])
  }

  async #checkBarriers(): Promise<number> {
    const { barrierWaits, clock, emitter } = this.#options
    const isUrgent = this.#isUrgent
    this.#isUrgent = false
    const { released, gone } = await this.#unlike(barrierWaits.gids())
    if (released.length > 0 && !isUrgent) {
      await new Promise<void>((resolve) => clock.after(NOTICE_MS, resolve, true))
    }
    const missed = released.filter((gid) => barrierWaits.isAwaited(gid))
    for (const gid of missed) barrierWaits.announce(gid)
    if (missed.length > 0) emitter.emit('wakeup:missed', { count: missed.length })
    // The driver that waits for it finds out, and dispatches it again.
    for (const gid of gone) barrierWaits.announce(gid)
    return BARRIERS_MS
  }

  /** Those of the groups that are not open. */
  async #unlike(gids: readonly string[]): Promise<{ readonly released: string[]; readonly gone: string[] }> {
    const { inspect } = this.#options.backend
    const released: string[] = []
    const gone: string[] = []
    for (let from = 0; from < gids.length; from += AT_ONCE) {
      const look = async (gid: string): Promise<void> => {
        const page = await inspect.outcomes(gid, NO_OUTCOMES).catch((error: unknown) => {
          if (error instanceof GraflowError && error.code === 'INTEGRITY') return undefined // nothing will release it
          throw error
        })
        if (page === undefined) gone.push(gid)
        else if (page.state !== 'open') released.push(gid)
      }
      await Promise.all(gids.slice(from, from + AT_ONCE).map(look))
    }
    return { released, gone }
  }

  async #checkGraphs(): Promise<number> {
    const { barrierWaits, graphs, emitter } = this.#options
    const restore = async ({ hash, graph }: AwaitedGraph): Promise<void> => {
      if (!(await graphs.restore(hash, graph))) return
      emitter.emit('log', { level: 'warn', message: `the store had lost graph ${hash}, and it was uploaded again` })
    }
    for (const awaited of barrierWaits.graphs()) await restore(awaited)
    return GRAPHS_MS
  }
}
