/**
 * The steps of runs as people see them: from the driver where it is in this process, else from what it has written. What a driver does is
 * written with its next call; a step that takes longer is written by a call of its own, so that other processes see it. Hides when that is.
 */
import type { Backend } from '../backend/backend.js'
import type { Clock } from '../time.js'
import type { Execution } from './execution.js'
import { STEP_MARKS, stepsIn, type StepRecord } from './step-journal.js'

/** A step that takes longer is written before its end. */
const SLOW_STEP_MS = 500
/** Runs of which this process remembers what it could not write. */
const MOST_UNWRITTEN = 100

export interface StepsSeenOptions {
  readonly backend: Pick<Backend, 'step' | 'inspect' | 'onReconnected'>
  readonly clock: Clock
}

/** One a process. */
export class StepsSeen {
  readonly #options: StepsSeenOptions
  readonly #driven = new Map<string, Execution>()
  /** Runs whose driver has something to write, since the last look and since the one before. */
  #fresh = new Set<Execution>()
  #waiting = new Set<Execution>()
  #isLookPlanned = false
  /** Of runs that were cancelled or taken from this process: nothing can be written of them any more. */
  readonly #unwritten = new Map<string, readonly StepRecord[]>()

  constructor(options: StepsSeenOptions) {
    this.#options = options
  }

  /** This process drives the run from now on. */
  begin(execution: Execution): void {
    const { runId } = execution.facts
    this.#driven.set(runId, execution)
    this.#unwritten.delete(runId)
  }

  end(execution: Execution): void {
    const { runId } = execution.facts
    if (this.#driven.get(runId) === execution) this.#driven.delete(runId)
    if (execution.steps?.hasUnwritten === true) this.#keep(runId, execution.steps.steps)
    this.#fresh.delete(execution)
    this.#waiting.delete(execution)
  }

  /** The driver has begun a step, or waits before its next start. */
  noted(execution: Execution): void {
    // Who asks where the store is this process finds the driver here.
    if (this.#options.backend.onReconnected === undefined) return
    this.#fresh.add(execution)
    if (!this.#isLookPlanned) this.#planLook()
  }

  /** The steps of a run: the first hundred and the last. */
  async of(runId: string): Promise<readonly StepRecord[]> {
    const { marks, read } = this.lookAt(runId)
    return read(marks.length === 0 ? [] : await this.#options.backend.inspect.outputs(runId, marks))
  }

  /** Where the store has them, and what they are by its answers; it is not asked where this process drives the run. */
  lookAt(runId: string): {
    readonly marks: readonly string[]
    readonly read: (outputs: readonly (Uint8Array | undefined)[]) => readonly StepRecord[]
  } {
    const driven = this.#driven.get(runId)?.steps
    return driven === undefined
      ? { marks: STEP_MARKS, read: (outputs) => this.#stored(runId, outputs) }
      : { marks: [], read: () => driven.steps }
  }

  #stored(runId: string, outputs: readonly (Uint8Array | undefined)[]): readonly StepRecord[] {
    const found = STEP_MARKS.flatMap((path, i): [string, Uint8Array][] => {
      const output = outputs[i]
      return output === undefined ? [] : [[path, output]]
    })
    const stored = stepsIn(found)
    const unwritten = this.#unwritten.get(runId)
    return unwritten !== undefined && newest(unwritten) > newest(stored) ? unwritten : stored
  }

  #keep(runId: string, steps: readonly StepRecord[]): void {
    this.#unwritten.set(runId, steps)
    const [oldest] = this.#unwritten.keys()
    if (this.#unwritten.size > MOST_UNWRITTEN && oldest !== undefined) this.#unwritten.delete(oldest)
  }

  #planLook(): void {
    this.#isLookPlanned = true
    this.#options.clock.after(SLOW_STEP_MS, () => this.#look(), true)
  }

  #look(): void {
    const late = this.#waiting
    this.#waiting = this.#fresh
    this.#fresh = new Set()
    this.#isLookPlanned = false
    if (this.#waiting.size > 0) this.#planLook()
    for (const execution of late) void this.#write(execution)
  }

  /** Only what the run's people look at: where it fails, the next call of the driver carries it, or finds out why not. */
  async #write(execution: Execution): Promise<void> {
    if (execution.opening !== undefined && !(await execution.opening.isOpened())) return
    const { holder, runId } = execution.facts
    const save = execution.cancel.reason === undefined ? execution.takeSteps() : undefined
    if (save === undefined) return
    try {
      await this.#options.backend.step({ holder, runId, save })
    } catch {
      execution.putBack(save)
    }
  }
}

const newest = (steps: readonly StepRecord[]): number =>
  steps.reduce((max, { startedAt, endedAt = startedAt }) => Math.max(max, endedAt), 0)
