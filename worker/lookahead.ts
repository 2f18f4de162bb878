/**
 * How far ahead to acquire: while tasks are short, enough for the time that calls travel; nothing where they are long, since what waits
 * here cannot be taken by a worker that is free.
 */

/** Tasks that take longer are not acquired ahead. */
const SHORT_MS = 5
/** Work to have at hand. */
const AIM_MS = 20
/** The clock shows whole milliseconds: less than this cannot be told apart. */
const LEAST_MS = 0.25
const MOST_BRANCHES = 2_048
/** The measured time follows the last so many starts. */
const MEMORY = 64

export class Lookahead {
  readonly #slots: number
  #taskMs: number | undefined

  /** @param slots branches that run at once; 0: never ahead */
  constructor(slots: number) {
    this.#slots = slots
  }

  /** Branches to have at hand beside those in slots. */
  get most(): number {
    const taskMs = this.#taskMs
    if (taskMs === undefined || taskMs >= SHORT_MS) return 0
    return Math.min(MOST_BRANCHES, Math.ceil((this.#slots * AIM_MS) / Math.max(taskMs, LEAST_MS)))
  }

  /** `count` starts took `meanMs` on average. */
  learn(meanMs: number, count: number): void {
    if (this.#slots === 0) return
    this.#taskMs =
      this.#taskMs === undefined ? meanMs : this.#taskMs + (meanMs - this.#taskMs) * Math.min(1, count / MEMORY)
  }

  /** What was acquired ahead had to wait: tasks are long now, although none of the long ones is over. */
  stop(): void {
    this.#taskMs = SHORT_MS
  }
}
