/**
 * Hides when the executor goes on: whatever happens in one turn of the event loop (ends of branches, free slots) is dealt with once, in one
 * microtask, so that outcomes travel together. Also keeps the time of the last look at the clock, because a look for each branch would cost a
 * tenth of the branch.
 */
import { elapsedMs, type Clock } from '../time.js'

export class Turn {
  readonly #clock: Clock
  readonly #run: () => void
  /** Times are small numbers since this one: those cost nothing to keep. */
  readonly #epoch: number
  #now = 0
  #state: 'none' | 'planned' = 'none'

  /** @param run what a turn does */
  constructor(clock: Clock, run: () => void) {
    this.#clock = clock
    this.#run = run
    this.#epoch = elapsedMs(clock)
  }

  /** In ms since this was made, as of the last look at the clock. */
  get now(): number {
    return this.#now
  }

  /** The time now; kept for callers for which a time of this turn will do. */
  look(): number {
    this.#now = elapsedMs(this.#clock) - this.#epoch
    return this.#now
  }

  /** After the handlers that end in this same turn. */
  plan(): void {
    if (this.#state === 'planned') return
    this.#state = 'planned'
    queueMicrotask(() => this.runNow())
  }

  runNow(): void {
    this.#state = 'none'
    this.#run()
  }
}
