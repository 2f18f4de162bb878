/**
 * One start of a task that runs as a step, as others see it: its span, its events, and its line in what the driver has done. Steps of a branch
 * have no events of their own but their retries: the branch has some. Hides what of that is wanted; the rest costs nothing.
 */
import type { Emitter, Span } from '../events.js'
import { elapsedMs, type Clock } from '../time.js'
import type { Execution, Frame } from './execution.js'
import type { StepsSeen } from './steps-seen.js'

/** Which start. */
export interface ObservedStart {
  readonly frame: Frame
  readonly task: string
  /** In the run. */
  readonly path: string
  readonly attempt: number
}

/** `released` and `withdrawn`: it did not end, and may be started again elsewhere, or never. */
export type StepEnd = 'succeeded' | 'failed' | 'retried' | 'released' | 'withdrawn'

/** Made when the start begins. */
export class StepStart {
  readonly span: Span | undefined
  readonly #emitter: Emitter
  readonly #clock: Clock
  readonly #seen: StepsSeen
  readonly #start: ObservedStart
  /** Undefined where nobody asks how long it takes. */
  readonly #startedAt: number | undefined

  constructor(emitter: Emitter, clock: Clock, seen: StepsSeen, start: ObservedStart) {
    this.#emitter = emitter
    this.#clock = clock
    this.#seen = seen
    this.#start = start
    this.span = this.#openSpan()
    this.#startedAt = this.#isTimed() ? elapsedMs(clock) : undefined
    const { task, path, attempt } = start
    const { execution } = start.frame
    if (execution.steps === undefined) return
    execution.steps.started(path, task, attempt)
    seen.noted(execution)
    const { runId, workerId } = execution.facts
    if (emitter.isSubscribed('step:started', runId))
      emitter.emit('step:started', { runId, path, task, workerId, attempt })
  }

  /** It has ended so. @param delayMs until the next start, where it is `retried` */
  as(end: StepEnd, error?: Error, delayMs?: number): void {
    this.span?.set({ outcome: end })
    if (error !== undefined) this.span?.fail(error)
    this.span?.end()
    if (end === 'released' || end === 'withdrawn') return
    const { frame, task, path, attempt } = this.#start
    const { runId, workerId } = frame.execution.facts
    const place = { runId, path, task, workerId, attempt }
    const durationMs = this.#startedAt === undefined ? 0 : elapsedMs(this.#clock) - this.#startedAt
    this.#emitter.emit('step:ended', { ...place, outcome: end, durationMs })
    if (end === 'retried') this.#retrying(error, delayMs)
    else this.#settled(end, durationMs, error)
    if (error !== undefined) {
      const again = delayMs === undefined ? {} : { delayMs }
      this.#emitter.emit('start:failed', {
        ...place,
        ...labelIn(this.#start.frame.execution),
        ...{ what: 'step', ...again, error },
      })
    }
  }

  #settled(status: 'succeeded' | 'failed', durationMs: number, error: Error | undefined): void {
    const { frame, task, path, attempt } = this.#start
    const { steps, facts } = frame.execution
    if (steps === undefined) return
    steps.ended(path, status, error)
    const { runId, workerId } = facts
    if (!this.#emitter.isSubscribed('step:settled', runId)) return
    const why = error === undefined ? {} : { error }
    this.#emitter.emit('step:settled', { runId, path, task, workerId, attempt, status, durationMs, ...why })
  }

  #retrying(error: Error | undefined, delayMs = 0): void {
    const { frame, task, path, attempt } = this.#start
    const { execution } = frame
    const { runId, workerId } = execution.facts
    if (error === undefined) return
    if (execution.steps === undefined) {
      this.#emitter.emit('branch:retrying', {
        ...{ runId, path, task, ...labelIn(execution), index: execution.facts.holder.index },
        ...{ attempt, delayMs, error },
      })
      return
    }
    execution.steps.retrying(path, error)
    this.#seen.noted(execution)
    if (this.#emitter.isSubscribed('step:retrying', runId))
      this.#emitter.emit('step:retrying', { runId, path, task, workerId, attempt, delayMs, error })
  }

  #isTimed(): boolean {
    const { execution } = this.#start.frame
    if (this.#emitter.has('step:ended')) return true
    return execution.steps !== undefined && this.#emitter.isSubscribed('step:settled', execution.facts.runId)
  }

  /** Below that of its run or branch. */
  #openSpan(): Span | undefined {
    const { frame, task, path, attempt } = this.#start
    const { execution } = frame
    if (execution.span === undefined) return undefined
    const { runId, workerId: worker, losses } = execution.facts
    return this.#emitter.tracer?.start('step', { runId, path, task, attempt, losses, worker }, execution.span)
  }
}

/** Of the branch that the step is in. */
const labelIn = ({ facts: { itemLabel: label } }: Execution): { readonly label?: string } =>
  label === undefined ? {} : { label }
