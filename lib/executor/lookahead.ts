/**
 * How far ahead to acquire: while tasks are short, enough for the time that calls travel; where they are not, only as long as slots come free
 * faster than calls travel; nothing where they are long, since what waits here cannot be taken by a worker that is free. Where long tasks have
 * most slots, no more than what is started soon. It also knows which tasks are short, each for itself: those are not worth sharing with others.
 */

/** Tasks that take less are short. */
const SHORT_MS = 5
/** Tasks that take longer are not acquired ahead: what waits for so long is released. */
const LONG_MS = 100
/** A call to a busy store takes about so long. */
const CALL_MS = 2
/** Work to have at hand. */
const AIM_MS = 20
/** The clock shows whole milliseconds: less than this cannot be told apart. */
const LEAST_MS = 0.25
const MOST_BRANCHES = 2_048
/** Without a start for so many times what a task takes, the slots are not expected to come free soon. */
const MOST_RESTS = 4
/** The measured time follows the last so many starts. */
const MEMORY = 64
/** Tasks whose time is known; then the one that was learnt first is forgotten. */
const MOST_TASKS = 64

export class Lookahead {
  readonly #slots: number
  #taskMs: number | undefined
  readonly #msByTask = new Map<string, number>()
  #quick: readonly string[] = []

  /** @param slots branches that run at once; 0: never ahead */
  constructor(slots: number) {
    this.#slots = slots
  }

  /**
   * Branches to have at hand beside those in slots.
   * @param free slots that no branch has
   * @param startsLately in the last 100 to 200 ms: half of them are started in less than 100 ms
   * @param restMs since the last start: after much more than a task takes, what runs is longer than what ran before
   */
  most(free: number, startsLately: number, restMs: number): number {
    const isTurning = restMs <= MOST_RESTS * Math.max(this.#taskMs ?? 0, 1)
    const soon = isTurning ? Math.floor(startsLately / 2) : 0
    return Math.min(this.#mostFor(this.#slots), Math.max(this.#mostFor(free), soon))
  }

  /** If so many slots take short tasks. */
  #mostFor(slots: number): number {
    const taskMs = this.#taskMs
    if (taskMs === undefined || taskMs >= LONG_MS) return 0
    if (taskMs >= SHORT_MS && slots * CALL_MS < taskMs) return 0
    // One for each slot at least: slots that were filled together come free together.
    return Math.min(MOST_BRANCHES, Math.max(slots, Math.ceil((slots * AIM_MS) / Math.max(taskMs, LEAST_MS))))
  }

  /** Tasks that are short. */
  get quick(): readonly string[] {
    return this.#quick
  }

  /** `count` starts of branches with these tasks took `meanMs` on average. */
  learn(meanMs: number, count: number, tasks: readonly string[] = []): void {
    if (this.#slots === 0) return
    this.#taskMs = after(this.#taskMs, meanMs, count)
    let isChanged = false
    for (const task of tasks) {
      const before = this.#msByTask.get(task)
      const ms = after(before, meanMs, count)
      this.#msByTask.set(task, ms)
      isChanged ||= (before !== undefined && before < SHORT_MS) !== ms < SHORT_MS
    }
    for (const task of this.#msByTask.keys()) {
      if (this.#msByTask.size <= MOST_TASKS) break
      this.#msByTask.delete(task)
      isChanged = true
    }
    if (isChanged) this.#quick = [...this.#msByTask].filter(([, ms]) => ms < SHORT_MS).map(([task]) => task)
  }

  /** What was acquired ahead had to wait: tasks are long now, although none of the long ones is over. */
  stop(): void {
    this.#taskMs = LONG_MS
    this.#msByTask.clear()
    this.#quick = []
  }
}

const after = (before: number | undefined, meanMs: number, count: number): number =>
  before === undefined ? meanMs : before + (meanMs - before) * Math.min(1, count / MEMORY)
