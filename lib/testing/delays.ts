/** Retries that a test run waits for: seen by the failed starts that are to be repeated. */
import type { Emitter } from '../events.js'
import type { Clock } from '../time.js'

/** Something that a run under test waits for. */
export interface TestWait {
  /** `delay`: until a failed start is repeated. */
  readonly why: 'delay'
  /** The name of the task. */
  readonly task: string
  /** Where it stands in the run, such as `1/0`. */
  readonly path: string
  /** When it is over by the test's clock: milliseconds from now. */
  readonly dueInMs: number
  /** What the start failed with. */
  readonly error: Error
}

/** One a test run. */
export class Delays {
  readonly #clock: Clock
  readonly #delays = new Map<string, TestWait & { readonly dueAt: number }>()
  readonly #end: () => void

  constructor(emitter: Emitter, clock: Clock) {
    this.#clock = clock
    this.#end = emitter.subscribe('start:failed', ({ runId, path, task, delayMs, error }) => {
      if (delayMs === undefined || delayMs === 0) return
      const dueAt = clock.now() + delayMs
      this.#delays.set(`${runId}/${path}`, { why: 'delay', task, path, dueInMs: delayMs, error, dueAt })
    })
  }

  /** Those that are not over, the first that ends first. */
  open(): readonly TestWait[] {
    const now = this.#clock.now()
    const open = [...this.#delays.values()].filter(({ dueAt }) => dueAt > now).sort((a, b) => a.dueAt - b.dueAt)
    return open.map(({ dueAt, ...wait }) => ({ ...wait, dueInMs: dueAt - now }))
  }

  stop(): void {
    this.#end()
  }
}
