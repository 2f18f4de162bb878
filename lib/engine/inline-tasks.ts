/**
 * Tasks that run where the interpreter is, as steps of a branch or a run. Hides their retries, which happen here without going back to the
 * queue, and when their outputs are saved.
 */
import type { Backend } from '../backend/backend.js'
import type { Emitter } from '../events.js'
import { GraflowError } from '../errors.js'
import type { TaskOptions } from '../flow/node-options.js'
import type { TaskNode } from '../graph/graph.js'
import { RETRY_DEFAULTS, type Limits } from '../options.js'
import type { Clock, Random } from '../time.js'
import { copiesOf, decode, encode } from '../values/codec.js'
import { PackedValue, unpacked } from '../values/packed-arrays.js'
import { Unreported } from './cancellation.js'
import { HandlerContext } from './context.js'
import type { DirectiveFollower } from './directive-follower.js'
import { GotoTaken, isUnwinding, reportOfGoto } from './directives.js'
import { runPathOf, type Execution, type Frame } from './execution.js'
import { stillHeld, type StillHeldOptions } from './still-held.js'
import { asError, isRetryable, retryDelayMs, taskError } from './failure.js'
import type { Pauses } from './pauses.js'
import { originOf, outputOf, type StartOptions } from './start.js'
import { isInThread, startTask } from './start-task.js'
import { StepStart, type ObservedStart } from './step-start.js'
import type { StepsSeen } from './steps-seen.js'
import { encodeOutput } from './task-output.js'
import { mustReport, optionsOf, reportStart, type StartReport } from './task-terms.js'

/** What inline tasks need of the process. */
export interface InlineTasksOptions extends StartOptions, StillHeldOptions {
  readonly backend: Backend
  readonly clock: Clock
  readonly emitter: Emitter
  readonly random: Random
  readonly limits: Limits
  readonly follower: DirectiveFollower
  readonly pauses: Pauses
  readonly stepsSeen: StepsSeen
}

/** One a process. */
export class InlineTasks {
  readonly #options: InlineTasksOptions

  constructor(options: InlineTasksOptions) {
    this.#options = options
  }

  /** Starts a task until it succeeds or its attempts are spent; gives its output. Input and output may be packed. */
  async run(frame: Frame, node: TaskNode, path: string, input: unknown): Promise<unknown> {
    const { execution } = frame
    const { losses } = execution.facts
    const options = optionsOf(frame.use, node.name)
    const runPath = runPathOf(frame.use, path)
    const { attempts } = { ...RETRY_DEFAULTS, ...options.retry }
    const inputFor = inputsOf(input, options, attempts)
    let errors = await this.#begin(frame, node.name, runPath, options, attempts)
    for (;;) {
      const held = stillHeld(this.#options, frame)
      if (held !== undefined) await held
      const attempt = 1 + errors + losses
      const start = { frame, task: node.name, path: runPath, attempt }
      const end = this.#observe(start)
      const work = (): Promise<unknown> => this.#start(frame, node, path, inputFor(), attempt)
      try {
        const output = await (end.span === undefined ? work() : end.span.run(work))
        end.as('succeeded')
        return output
      } catch (thrown) {
        if (isUnwinding(thrown)) {
          end.as(thrown instanceof Unreported ? 'released' : 'succeeded')
          throw thrown
        }
        if (frame.cancel.reason !== undefined) end.as('withdrawn')
        frame.cancel.throwIfAborted()
        const { error, isFromHandler, isFinal } = originOf(thrown)
        errors += 1
        if (errors >= attempts || isFinal || !isRetryable(error, isFromHandler)) {
          const failure = taskError(error, isFromHandler, {
            ...{ task: node.name, path: runPath, errors },
            label: frame.execution.facts.itemLabel,
          })
          end.as('failed', failure)
          throw failure
        }
        const delayMs = retryDelayMs(options.retry ?? {}, errors, this.#options.random)
        end.as('retried', asError(error), delayMs)
        // What is finished is safe before the wait, and the error is counted: a start elsewhere then goes on at this task, with the attempts left.
        await this.#delay(frame, { task: node.name, path: runPath, options, errors, losses: 0 }, delayMs)
      }
    }
  }

  /** A start begins. What this returns is told how it ended. */
  #observe(start: ObservedStart): StepStart {
    const { emitter, clock, stepsSeen } = this.#options
    return new StepStart(emitter, clock, stepsSeen, start)
  }

  /** Before the first start here: how often the task has failed before, elsewhere. */
  async #begin(frame: Frame, task: string, path: string, options: TaskOptions, attempts: number): Promise<number> {
    const { execution } = frame
    const isFirst = execution.begin()
    // What was just granted was not paused.
    if (!isFirst) await this.#options.pauses.pass(frame)
    if (!mustReport(frame, options)) return 0
    // If the previous holder was lost and had reported no task, its loss counts for the task that starts first now.
    const losses = isFirst ? Math.min(1, execution.facts.losses) : 0
    const report = { task, path, options, errors: 0, losses }
    const { errors, waitMs = 0 } = await reportStart(this.#options.backend, frame, report)
    // The holder before this one was waiting to start it again.
    if (waitMs > 0) await this.#delay(frame, { ...report, errors }, waitMs)
    return Math.min(errors, attempts - 1)
  }

  /** One start, its output encoded and kept. Throws HandlerThrew, or the engine's own error. */
  async #start(frame: Frame, node: TaskNode, path: string, input: unknown, attempt: number): Promise<unknown> {
    const { execution, use } = frame
    const definition = use.code.task(node.name)
    if (definition === undefined) throw new GraflowError('INTERNAL', `task ${node.name} has no definition here`)
    const runPath = runPathOf(use, path)
    execution.restartForks(runPath, attempt - 1 - execution.facts.losses)
    const facts = { task: node.name, path, attempt, pass: 1 }
    const started = startTask(this.#options, frame, definition, facts, input, optionsOf(use, node.name))
    const returned = await frame.cancel.race(outputOf(started))
    const directives = HandlerContext.directives(started.context)
    const output =
      directives === undefined
        ? returned
        : await this.#options.follower
            .follow(frame, { definition, path, attempt, returned, directives })
            .catch((thrown: unknown) => {
              if (thrown instanceof GotoTaken) this.#keepGoto(execution, runPath, thrown)
              throw thrown
            })
    const bytes = encodeOutput(output, { task: node.name, runPath }, this.#options.limits.resultBytes)
    execution.save(runPath, bytes)
    return output instanceof PackedValue ? output : decode(bytes)
  }

  /** Who asks for the task's result gets what its goto's target gave, as of a step that is dispatched; one too large for that is kept nowhere. */
  #keepGoto(execution: Execution, path: string, taken: GotoTaken): void {
    const bytes = encode(reportOfGoto(taken))
    if (bytes.length <= this.#options.limits.resultBytes) execution.save(path, bytes)
  }

  /** Before a start. Who takes the branch over meanwhile waits for the rest. */
  async #delay(frame: Frame, report: StartReport, delayMs: number): Promise<void> {
    const { backend, pauses } = this.#options
    await reportStart(backend, frame, { ...report, leftMs: 0, delayMs })
    if (delayMs > 0) await frame.execution.withoutSlot(() => this.#sleep(frame, delayMs))
    await pauses.pass(frame)
    if (delayMs > 0 || report.options.timeoutMs !== undefined) await reportStart(backend, frame, report)
  }

  async #sleep(frame: Frame, delayMs: number): Promise<void> {
    let disarm: (() => void) | undefined
    try {
      await frame.cancel.race(
        new Promise<void>((resolve) => {
          disarm = this.#options.clock.after(delayMs, resolve)
        }),
      )
    } finally {
      disarm?.()
    }
  }
}

/** What each start gets: packed once for those in a thread, else a value of its own for each. */
function inputsOf(input: unknown, options: TaskOptions, attempts: number): () => unknown {
  if (!isInThread(options)) {
    const value = unpacked(input)
    return attempts === 1 ? () => value : copiesOf(value)
  }
  const packed = input instanceof PackedValue ? input : new PackedValue(encode(input))
  return () => packed
}
