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
import { copiesOf, decode } from '../values/codec.js'
import { HandlerContext } from './context.js'
import type { DirectiveFollower } from './directive-follower.js'
import { isUnwinding } from './directives.js'
import { fullPath, type Frame } from './execution.js'
import { asError, isRetryable, retryDelayMs, taskError } from './failure.js'
import { fullStore } from './graph-store.js'
import { originOf, outputOf, start, type StartOptions } from './start.js'
import { fenced } from './superstep.js'
import { encodeOutput } from './task-output.js'

/** What inline tasks need of the process. */
export interface InlineTasksOptions extends StartOptions {
  readonly backend: Backend
  readonly clock: Clock
  readonly emitter: Emitter
  readonly random: Random
  readonly limits: Limits
  readonly follower: DirectiveFollower
}

/** One a process. */
export class InlineTasks {
  readonly #options: InlineTasksOptions

  constructor(options: InlineTasksOptions) {
    this.#options = options
  }

  /** Starts a task until it succeeds or its attempts are spent; gives its output. */
  async run(frame: Frame, node: TaskNode, path: string, input: unknown): Promise<unknown> {
    const { losses } = frame.execution.facts
    const options = frame.use.graph.tasks[node.name] ?? {}
    const { attempts } = { ...RETRY_DEFAULTS, ...options.retry }
    const inputFor = attempts === 1 ? () => input : copiesOf(input)
    for (let errors = 1; ; errors += 1) {
      try {
        return await this.#start(frame, node, path, inputFor(), errors + losses)
      } catch (thrown) {
        if (isUnwinding(thrown)) throw thrown
        frame.cancel.throwIfAborted()
        const { error, isFromHandler, isFinal } = originOf(thrown)
        const place = fullPath(frame.use, path)
        if (errors >= attempts || isFinal || !isRetryable(error, isFromHandler))
          throw taskError(error, isFromHandler, { task: node.name, path: place, errors })
        await this.#pauseBeforeRetry(frame, node.name, place, options, errors, error)
      }
    }
  }

  /** One start, its output encoded and kept. Throws HandlerThrew, or the engine's own error. */
  async #start(frame: Frame, node: TaskNode, path: string, input: unknown, attempt: number): Promise<unknown> {
    const { execution, use } = frame
    const definition = use.code.task(node.name)
    if (definition === undefined) throw new GraflowError('INTERNAL', `task ${node.name} has no definition here`)
    const place = fullPath(use, path)
    execution.restartForks(place, attempt - 1 - execution.facts.losses)
    const facts = { task: node.name, path, attempt, pass: 1 }
    const started = start(this.#options, frame, definition, facts, input, use.graph.tasks[node.name]?.timeoutMs)
    const returned = await frame.cancel.race(outputOf(started))
    const directives = HandlerContext.directives(started.context)
    const output =
      directives === undefined
        ? returned
        : await this.#options.follower.follow(frame, { definition, path, attempt, returned, directives })
    const bytes = encodeOutput(output, { task: node.name, place }, this.#options.limits.resultBytes)
    execution.save(place, bytes)
    return decode(bytes)
  }

  async #pauseBeforeRetry(
    frame: Frame,
    task: string,
    path: string,
    { retry = {} }: TaskOptions,
    errors: number,
    error: unknown,
  ): Promise<void> {
    const { execution } = frame
    const { emitter, random } = this.#options
    const { runId } = execution.facts
    const delayMs = retryDelayMs(retry, errors, random)
    emitter.emit('branch:retrying', { runId, path, task, attempt: errors, delayMs, error: asError(error) })
    // What is finished is safe before the wait: a start elsewhere then goes on at this task.
    await this.#save(frame)
    if (delayMs > 0) await execution.withoutSlot(() => this.#sleep(frame, delayMs))
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

  async #save(frame: Frame): Promise<void> {
    const { execution } = frame
    const { runId, holder } = execution.facts
    const save = execution.takeUnsaved()
    if (save === undefined) return
    const answer = await this.#options.backend.step({ holder, runId, save })
    if (answer.status === 'fenced') throw fenced(frame)
    if (answer.status === 'backpressure') throw fullStore('the outputs of finished tasks')
  }
}
