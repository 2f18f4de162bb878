/** Hides when a distant store is asked again although it has sent no notice: when a branch is due, after an error, or just in case. */
import type { ExecutorOptions } from './executor-options.js'

/** Asks after so long without a notice. */
export const SLOW_CHECK_MS = 5_000

/** `slow check`: a notice may have been lost. */
export type CheckCause = 'due' | 'slow check'

export class StoreCheck {
  readonly #options: Pick<ExecutorOptions, 'clock' | 'distant'>
  readonly #onCheck: (cause: CheckCause) => void
  /** One length for all slow checks of this executor: timers of one length cost next to nothing, those of many lengths do. */
  readonly #slowCheckMs: number
  #cancel: (() => void) | undefined

  constructor(options: Pick<ExecutorOptions, 'clock' | 'distant'>, onCheck: (cause: CheckCause) => void) {
    this.#options = options
    this.#onCheck = onCheck
    this.#slowCheckMs = SLOW_CHECK_MS * jitter(options)
  }

  /** Instead of any check that was planned before. A store in this process needs none. */
  plan(ms: number): void {
    const { clock, distant } = this.#options
    if (distant === undefined) return
    this.#cancel?.()
    const cause = ms >= SLOW_CHECK_MS ? 'slow check' : 'due'
    const delayMs = cause === 'slow check' ? this.#slowCheckMs : Math.max(1, ms) * jitter(this.#options)
    this.#cancel = clock.after(delayMs, () => this.#onCheck(cause), true)
  }

  cancel(): void {
    this.#cancel?.()
  }
}

const jitter = ({ distant }: Pick<ExecutorOptions, 'distant'>): number => 1 + (distant?.random() ?? 0) / 10
