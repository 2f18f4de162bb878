/**
 * Whether runs are paused, for what this process would start inside branches that it holds already: the store holds back only what it grants.
 * Hides how seldom it asks: once in a while for each run, however many branches of it go on here.
 */
import type { Backend } from '../backend/backend.js'
import { elapsedMs, type Clock } from '../time.js'
import type { Frame } from './execution.js'

/** An answer of a store elsewhere holds for so long. */
const ANSWER_MS = 50
/** A paused run is looked at again after so long. */
const LOOK_AGAIN_MS = 200
/** So many runs are remembered at most. */
const MOST_RUNS = 1_000

/** One a process. */
export class Pauses {
  readonly #backend: Backend
  readonly #clock: Clock
  readonly #answers = new Map<string, { readonly at: number; readonly isPaused: Promise<boolean> }>()

  constructor(backend: Backend, clock: Clock) {
    this.#backend = backend
    this.#clock = clock
  }

  /** Resolves once the run is not paused. Meanwhile the branch has no slot. Rejects when it must stop. */
  async pass(frame: Frame): Promise<void> {
    const { execution, cancel } = frame
    const { runId } = execution.facts
    if (!(await this.#isPaused(runId))) return
    await execution.withoutSlot(async () => {
      do {
        let disarm: (() => void) | undefined
        const wait = new Promise<void>((resolve) => {
          disarm = this.#clock.after(LOOK_AGAIN_MS, resolve)
        })
        await cancel.race(wait).finally(() => disarm?.())
      } while (await this.#isPaused(runId))
    })
  }

  #isPaused(runId: string): Promise<boolean> {
    const now = elapsedMs(this.#clock)
    const known = this.#answers.get(runId)
    const isElsewhere = this.#backend.onReconnected !== undefined
    if (known !== undefined && isElsewhere && now - known.at < ANSWER_MS) return known.isPaused
    const isPaused = this.#backend.inspect.run(runId).then((record) => record?.state === 'paused')
    if (this.#answers.size >= MOST_RUNS) this.#answers.clear()
    if (isElsewhere) this.#answers.set(runId, { at: now, isPaused })
    return isPaused
  }
}
