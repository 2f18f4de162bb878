/** Whether the store is known to be away. It is logged once when it is found away, and once when it answers again. */
import type { Emitter } from '../events.js'
import { elapsedMs, type Clock } from '../time.js'

export interface OutageOptions {
  readonly clock: Clock
  readonly emitter: Emitter
}

/** One a session. */
export class Outage {
  readonly #options: OutageOptions
  #since: number | undefined

  constructor(options: OutageOptions) {
    this.#options = options
  }

  /** The store does not answer. Repeating it is safe. */
  begin(why: string): void {
    if (this.#since !== undefined) return
    const { emitter, clock } = this.#options
    this.#since = elapsedMs(clock)
    emitter.emit('log', {
      level: 'warn',
      message: `the store is away, and is asked again until it is there: ${why}`,
    })
  }

  /** The store has answered. Repeating it is safe. */
  end(): void {
    const since = this.#since
    if (since === undefined) return
    this.#since = undefined
    const { emitter, clock } = this.#options
    const seconds = (Math.max(0, elapsedMs(clock) - since) / 1_000).toFixed(1)
    emitter.emit('log', { level: 'info', message: `the store answers again, ${seconds} s after it was found away` })
  }
}
