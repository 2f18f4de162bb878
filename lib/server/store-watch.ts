/**
 * What the server does while the store is away: requests that wait for it are answered with REDIS_UNAVAILABLE, instead of waiting as the work
 * of workers does. Nothing is asked of a store that answers.
 */
import { GraflowError } from '../errors.js'
import { type Clock, elapsedMs } from '../time.js'

/** Requests that take so long make the server look whether the store is there; so often, while there are some. */
const LOOK_MS = 1_000

/** One a server; `close` it. */
export class StoreWatch {
  readonly #clock: Clock
  readonly #ping: () => Promise<unknown>
  readonly #waiting = new Set<(error: GraflowError) => void>()
  #answeredAt: number
  #isAway = false
  #isLooking = false
  #stopTimer: (() => void) | undefined
  #isClosed = false

  /** @param ping rejects soon where the store does not answer */
  constructor(clock: Clock, ping: () => Promise<unknown>) {
    this.#clock = clock
    this.#ping = ping
    this.#answeredAt = elapsedMs(clock)
  }

  /**
   * What `ask` gives.
   * @param isAnswer whether the store had to do with it
   * @throws GraflowError REDIS_UNAVAILABLE as soon as the store is known to be away, with `lastAnswerMs`, the age of what was
   * shown last
   */
  async guard<T>(ask: () => Promise<T>, isAnswer: () => boolean): Promise<T> {
    if (this.#isAway) throw this.#unavailable()
    let leave: ((error: GraflowError) => void) | undefined
    const away = new Promise<never>((_, reject) => {
      leave = reject
      this.#waiting.add(reject)
    })
    this.#arm()
    try {
      const answer = await Promise.race([ask(), away])
      if (isAnswer()) this.#answeredAt = elapsedMs(this.#clock)
      return answer
    } finally {
      if (leave !== undefined) this.#waiting.delete(leave)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#stopTimer?.()
    this.#stopTimer = undefined
  }

  #arm(): void {
    if (this.#stopTimer !== undefined || this.#isClosed) return
    this.#stopTimer = this.#clock.after(
      LOOK_MS,
      () => {
        this.#stopTimer = undefined
        void this.#look()
      },
      true,
    )
  }

  async #look(): Promise<void> {
    if (this.#isLooking || (this.#waiting.size === 0 && !this.#isAway)) return
    this.#isLooking = true
    try {
      await this.#ping()
      this.#isAway = false
    } catch {
      this.#isAway = true
      const error = this.#unavailable()
      for (const leave of this.#waiting) leave(error)
    }
    this.#isLooking = false
    if (this.#isAway || this.#waiting.size > 0) this.#arm()
  }

  #unavailable(): GraflowError {
    const lastAnswerMs = elapsedMs(this.#clock) - this.#answeredAt
    const since = `the store does not answer; its last answer came ${Math.round(lastAnswerMs / 1_000)} s ago`
    return new GraflowError('REDIS_UNAVAILABLE', since, { details: { lastAnswerMs } })
  }
}
