/**
 * Knows whether the store is away or refuses this process. Logs once that it is away, once that it answers again, and once why it refuses.
 */
import type { Backend } from '../backend/backend.js'
import type { Emitter } from '../events.js'
import { elapsedMs, type Clock } from '../time.js'

export interface OutageOptions {
  readonly clock: Clock
  readonly emitter: Emitter
  readonly backend: Pick<Backend, 'refusal'>
}

/** One a session. */
export class Outage {
  readonly #options: OutageOptions
  #since: number | undefined
  /** The refusal that was logged, while it lasts. */
  #logged: string | undefined

  constructor(options: OutageOptions) {
    this.#options = options
  }

  /** The store does not answer. Repeating it is safe. */
  begin(why: string): void {
    if (this.#since !== undefined) return
    const { emitter, clock } = this.#options
    this.#since = elapsedMs(clock)
    this.look()
    if (this.#logged !== undefined) return // that says it, and what to do
    emitter.emit('log', {
      level: 'warn',
      message: `the store is away; this process repeats its calls until it answers: ${why}`,
    })
  }

  /** Looks whether the store refuses us, also while it answers other calls. To be called now and then. */
  look(): void {
    const refusal = this.#refusal()
    if (refusal === this.#logged) return
    this.#logged = refusal
    if (refusal === undefined) return
    const message = `the store refuses calls that this process needs; it repeats them until they are allowed: ${refusal}`
    this.#options.emitter.emit('log', { level: 'warn', message })
  }

  #refusal(): string | undefined {
    return this.#options.backend.refusal?.()
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
