/**
 * Something that is done again and again: with jitter, so that processes started together do not stay together; with a stop; and going on
 * after a bad turn. Its timers do not keep a process alive.
 */
import type { Clock, Random } from '../time.js'

export interface PeriodicTaskOptions {
  readonly clock: Clock
  readonly random: Random
  /** One turn. Answers how many milliseconds the next one may wait, before jitter; Infinity: until `hurry`. Never runs twice at once. */
  readonly turn: () => Promise<number>
  /** A turn failed; the next one comes after a pause that grows with the failures in a row. */
  readonly onError: (error: unknown) => void
}

/** The share of a pause by which chance may lengthen it: what is due at its end is due then. */
const JITTER = 0.15
const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 1_000

/** Started at once by `hurry` or after a while by `startIn`; over after `stop`. */
export class PeriodicTask {
  readonly #options: PeriodicTaskOptions
  #cancelTimer: (() => void) | undefined
  #turn: Promise<void> | undefined
  #isInTurn = false
  #isHurried = false
  #isStopped = false
  #failures = 0

  constructor(options: PeriodicTaskOptions) {
    this.#options = options
  }

  /** The next turn comes after about so long. */
  startIn(delayMs: number): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (this.#isStopped || delayMs === Number.POSITIVE_INFINITY) return
    const { clock, random } = this.#options
    this.#cancelTimer = clock.after(delayMs * (1 + JITTER * random()), () => this.hurry(), true)
  }

  /** The next turn comes now, or right after the one under way. */
  hurry(): void {
    if (this.#isStopped) return
    if (this.#isInTurn) {
      this.#isHurried = true
      return
    }
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#isInTurn = true
    this.#turn = this.#take()
  }

  /** No turn begins any more; resolves when the one under way is over. Repeating it is safe. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    await this.#turn
  }

  async #take(): Promise<void> {
    let nextInMs: number
    do {
      this.#isHurried = false
      try {
        nextInMs = await this.#options.turn()
        this.#failures = 0
      } catch (error) {
        nextInMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures)
        this.#failures += 1
        if (!this.#isStopped) this.#options.onError(error)
      }
    } while (this.#isAskedAgain())
    // In the same tick as that look: between the two nobody can ask for another turn.
    this.#isInTurn = false
    this.startIn(nextInMs)
  }

  #isAskedAgain(): boolean {
    return this.#isHurried && !this.#isStopped
  }
}
