/**
 * Lets workers at work that none of them knows all tasks of: asks the store to make its lane wide. Hides how often that is asked: what stands in
 * one lane waits for the same, and the store remembers it.
 */
import type { Backend } from '../backend/backend.js'
import { elapsedMs, type Clock } from '../time.js'

/** What the lane of a group asks of a worker. */
interface Demand {
  readonly queue: string
  readonly requires: readonly string[]
  readonly tasks: readonly string[]
}

/** So long the answer for a lane is taken for granted: then the store may have forgotten it, or made the lane narrow. */
const WIDE_MS = 5_000

/** One for each watch. */
export class WideLanes {
  readonly #backend: Pick<Backend, 'control'>
  readonly #clock: Clock
  /** By what lanes ask, until when they are wide. */
  readonly #until = new Map<string, number>()

  constructor(backend: Pick<Backend, 'control'>, clock: Clock) {
    this.#backend = backend
    this.#clock = clock
  }

  /**
   * Makes the lane of a group wide; false where the store knows a worker that serves it whole, or none that could take from it.
   * @param orNone whether workers may have it that know none of its tasks
   */
  async widen({ queue, requires, tasks }: Demand, gid: string, orNone: boolean): Promise<boolean> {
    const key = `${queue}|${requires.join(' ')}|${tasks.join(' ')}`
    const now = elapsedMs(this.#clock)
    for (const [known, until] of this.#until) if (until <= now) this.#until.delete(known)
    if (this.#until.has(key)) return true
    const answer = await this.#backend.control({ kind: 'widen-lane', gid, orNone })
    const isWide = answer === 'ok' || answer === 'dup'
    if (isWide) this.#until.set(key, now + WIDE_MS)
    return isWide
  }
}
