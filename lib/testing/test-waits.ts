/** What a test run waits for: time and signals, as the client tells them, and retries, seen by the failed starts that are to be repeated. */
import type { Emitter } from '../events.js'
import type { Prompt } from '../flow/node-options.js'
import type { RunWait } from '../producer/types.js'
import type { Clock } from '../time.js'

/** Something that a run under test waits for. */
export interface TestWait {
  /** `delay`: until a failed start is repeated. `timer`: for time. `signal`: for a signal, which may have a time. */
  readonly why: 'delay' | 'signal' | 'timer'
  /** Where it stands in the run, such as `1/0`; of a handler's wait the path of its task, and `~1` for its first one. */
  readonly path: string
  /** The task that waits; absent where the flow itself does. */
  readonly task?: string
  /** When it is over by the test's clock: milliseconds from now. Absent for a signal without a time. */
  readonly dueInMs?: number
  /** What the start failed with that is to be repeated. */
  readonly error?: Error
  /** The name of the signal. */
  readonly signal?: string
  /** The number of the item that waits for it, in an `each`. */
  readonly index?: number
  /** What a person is asked. */
  readonly prompt?: Prompt
}

interface Delay {
  readonly path: string
  readonly task: string
  readonly dueAt: number
  readonly error: Error
}

/** One a test run. */
export class TestWaits {
  readonly #clock: Clock
  readonly #delays = new Map<string, Delay>()
  readonly #end: () => void

  /** @param runId of the run that is under test */
  constructor(emitter: Emitter, clock: Clock, runId: string) {
    this.#clock = clock
    this.#end = emitter.subscribe('start:failed', ({ runId: of, path, task, delayMs, error }) => {
      if (of === runId && delayMs !== undefined && delayMs > 0)
        this.#delays.set(path, { path, task, dueAt: clock.now() + delayMs, error })
    })
  }

  /** Those that are not over and what else is waited for: first what ends first, last what no time ends. */
  with(waits: readonly RunWait[]): readonly TestWait[] {
    const now = this.#clock.now()
    const delays = [...this.#delays.values()].flatMap(({ dueAt, ...delay }): TestWait[] =>
      dueAt > now ? [{ why: 'delay', ...delay, dueInMs: dueAt - now }] : [],
    )
    const others = waits.flatMap(({ why, path, task, details: { signal, index, dueAt }, prompt }): TestWait[] => {
      // the other reasons are gone before a test sees them, or are among the delays
      if (why !== 'signal' && why !== 'timer') return []
      const wait = {
        ...{ why, path },
        ...(task !== undefined && { task }),
        ...(dueAt !== undefined && { dueInMs: dueAt.getTime() - now }),
        ...(signal !== undefined && { signal }),
        ...(index !== undefined && { index }),
        ...(prompt !== undefined && { prompt }),
      }
      return [wait]
    })
    const due = ({ dueInMs = Number.POSITIVE_INFINITY }: TestWait): number => dueInMs
    return [...delays, ...others].sort((a, b) => (due(a) === due(b) ? 0 : due(a) - due(b)))
  }

  stop(): void {
    this.#end()
  }
}
