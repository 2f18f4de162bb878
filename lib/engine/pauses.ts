/**
 * Whether runs are paused, for what this process would start inside branches that it holds already: the store holds back only what it grants.
 * Hides how seldom it asks: once in a while for each run, however many branches of it go on here; and how long an answer may be used anywhere.
 */
import type { Backend } from '../backend/backend.js'
import { elapsedMs, type Clock } from '../time.js'
import type { Cancellation } from './cancellation.js'
import type { Frame } from './execution.js'

/**
 * An answer of a store elsewhere, or a grant, says for so long that a run is not paused, from when it was asked for. One that takes longer counts
 * once, when it comes: else a process whose store is far away would ask for ever.
 */
export const ANSWER_MS = 50
/** A paused run is looked at again after so long. */
const LOOK_AGAIN_MS = 200
/** So many runs are remembered at most. */
const MOST_RUNS = 1_000

interface Answer {
  readonly askedAt: number
  readonly isPaused: Promise<boolean>
}

/** One a process. */
export class Pauses {
  readonly #backend: Backend
  readonly #clock: Clock
  readonly #answers = new Map<string, Answer>()

  constructor(backend: Backend, clock: Clock) {
    this.#backend = backend
    this.#clock = clock
  }

  /** Resolves once the run is not paused. Meanwhile the branch has no slot. Rejects when it must stop. */
  async pass(frame: Frame): Promise<void> {
    const { execution, cancel } = frame
    const { runId } = execution.facts
    // A slot may be long in coming: the branch asks again once it has one.
    while (await this.#isPaused(runId)) {
      await execution.withoutSlot(async () => {
        do await this.#elapse(LOOK_AGAIN_MS, cancel)
        while (await this.#isPaused(runId))
      })
    }
  }

  /** The store has it that the run is paused, or that it is not: resolves once no process can go by an older answer. */
  async changed(runId: string): Promise<void> {
    this.#answers.delete(runId)
    if (this.#isElsewhere) await this.#elapse(ANSWER_MS)
  }

  async #isPaused(runId: string): Promise<boolean> {
    const known = this.#answers.get(runId)
    if (known !== undefined && this.#isFresh(known)) {
      const isPaused = await known.isPaused
      // it may have been long under way, or the run have been paused from here meanwhile
      if (this.#isFresh(known) && this.#answers.get(runId) === known) return isPaused
    }
    return this.ask(runId)
  }

  /** As it is now. */
  ask(runId: string): Promise<boolean> {
    const isPaused = this.#backend.inspect.run(runId).then((record) => record?.state === 'paused')
    if (this.#answers.size >= MOST_RUNS) this.#answers.clear()
    if (this.#isElsewhere) this.#answers.set(runId, { askedAt: elapsedMs(this.#clock), isPaused })
    return isPaused
  }

  #isFresh({ askedAt }: Answer): boolean {
    return elapsedMs(this.#clock) - askedAt < ANSWER_MS
  }

  /** Whether an answer takes a while, so that it is worth keeping. */
  get #isElsewhere(): boolean {
    return this.#backend.onReconnected !== undefined
  }

  async #elapse(ms: number, cancel?: Cancellation): Promise<void> {
    let disarm: (() => void) | undefined
    const wait = new Promise<void>((resolve) => {
      disarm = this.#clock.after(ms, resolve)
    })
    await (cancel === undefined ? wait : cancel.race(wait).finally(() => disarm?.()))
  }
}
