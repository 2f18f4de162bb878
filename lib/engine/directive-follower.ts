/**
 * Follows what a handler directed when it returned: starts the task again, runs detours, ends the run. Hides their order: `cancel` wins over
 * `finish`, both win over the others, and the flows of `next` run before `again` or `goto`.
 */
import type { Backend } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { Expression, TaskExpression } from '../flow/expression.js'
import type { Graph } from '../graph/graph.js'
import { TASK_DEFAULTS, type Limits } from '../options.js'
import { captured, given, givenPacked } from '../values/captured.js'
import { decode } from '../values/codec.js'
import { packedOf } from '../values/packed-arrays.js'
import { HandlerContext } from './context.js'
import { checkGoto } from './goto-targets.js'
import {
  DetourFailed,
  EndRun,
  endsRun,
  GotoTaken,
  isControl,
  isUnwinding,
  type Detour,
  type Directives,
} from './directives.js'
import { runPathOf, type Frame } from './execution.js'
import { cycleLimit } from './failure.js'
import { stillHeld, type StillHeldOptions } from './still-held.js'
import type { Pauses } from './pauses.js'
import { outputOf, type StartOptions } from './start.js'
import { startTask } from './start-task.js'
import { optionsOf, reportNone, reportStart } from './task-terms.js'

/** What a follower needs of the engine. */
export interface DirectiveFollowerOptions extends StartOptions, StillHeldOptions {
  readonly backend: Pick<Backend, 'step'>
  readonly graphOfRun: (runId: string) => Promise<Graph>
  readonly limits: Pick<Limits, 'sharedInputBytes'>
  readonly pauses: Pauses
  /** Runs a flow that the handler at `path` brought, as a graph one `segment` below it, with a captured input. */
  runFlow(frame: Frame, path: string, segment: string, expression: Expression, input: unknown): Promise<unknown>
}

/** A start that has returned. */
export interface ReturnedStart {
  readonly definition: TaskExpression
  /** In the frame's graph. */
  readonly path: string
  readonly attempt: number
  readonly returned: unknown
  readonly directives: Directives
}

/** One a process. */
export class DirectiveFollower {
  readonly #options: DirectiveFollowerOptions

  constructor(options: DirectiveFollowerOptions) {
    this.#options = options
  }

  /**
   * Starts the task again as long as its handler directs that, then follows its other directives; gives the task's output.
   * @throws EndRun, GotoTaken; GraflowError CYCLE_LIMIT, GOTO_ACROSS_BARRIER, INVALID_OPTION (goto and again)
   */
  async follow(frame: Frame, start: ReturnedStart): Promise<unknown> {
    const { path, definition } = start
    const detours: Detours = { frame, path, count: 0, last: undefined }
    let { returned } = start
    let directives: Directives | undefined = start.directives
    await this.#outlast(frame, definition.name, directives)
    for (let pass = 1; directives?.again !== undefined && !endsRun(directives); pass += 1) {
      if (directives.goto !== undefined) throw gotoAndAgain(definition.name, runPathOf(frame.use, path))
      await this.#next(detours, directives, returned)
      const again = await this.#startAgain(frame, start, pass, directives.again.input)
      returned = again.returned
      directives = again.directives
      if (directives !== undefined) await this.#outlast(frame, definition.name, directives)
    }
    return directives === undefined ? returned : this.#leave(detours, definition.name, returned, directives)
  }

  async #startAgain(
    frame: Frame,
    { definition, path, attempt }: ReturnedStart,
    pass: number,
    given: unknown,
  ): Promise<{ readonly returned: unknown; readonly directives: Directives | undefined }> {
    const { name } = definition
    const options = optionsOf(frame.use, name)
    const { maxCycles = TASK_DEFAULTS.maxCycles, timeoutMs } = options
    const runPath = runPathOf(frame.use, path)
    if (pass >= maxCycles) throw cycleLimit(name, runPath, pass, maxCycles)
    const facts = { task: name, path, attempt, pass: pass + 1 }
    const input = this.#copied(given, name)
    await this.#options.pauses.pass(frame)
    if (timeoutMs !== undefined) {
      const { losses } = frame.execution.facts
      await reportStart(this.#options.backend, frame, {
        task: name,
        path: runPath,
        options,
        errors: Math.max(0, attempt - 1 - losses),
        losses,
      })
    }
    const held = stillHeld(this.#options, frame)
    if (held !== undefined) await held
    const started = startTask(this.#options, frame, definition, facts, input, options)
    const returned = await frame.cancel.race(outputOf(started))
    return { returned, directives: HandlerContext.directives(started.context) }
  }

  /** `timeoutMs` limits one start of a task: what follows it is not part of it, and a further pass has a deadline of its own. */
  async #outlast(frame: Frame, name: string, directives: Directives): Promise<void> {
    if (optionsOf(frame.use, name).timeoutMs !== undefined && !endsRun(directives))
      await reportNone(this.#options.backend, frame)
  }

  /** As it would arrive from another process. */
  #copied(input: unknown, task: string): unknown {
    const what = `the input that task "${task}" starts again with`
    return decode(packedOf(givenPacked(input), what, this.#options.limits.sharedInputBytes, 'sharedInputBytes'))
  }

  /** Follows what is not `again`. */
  async #leave(detours: Detours, task: string, returned: unknown, directives: Directives): Promise<unknown> {
    const { frame, path } = detours
    if (directives.cancel !== undefined) throw new EndRun('cancelled', directives.cancel.reason)
    if (directives.finish !== undefined) throw new EndRun('completed', directives.finish.value)
    // What returned it may share it with other starts, which change it while the detours run.
    const what = (): string => `the result of task "${task}" (at ${runPathOf(frame.use, path)})`
    const output = isControl(returned) ? returned : captured(returned, what)
    await this.#next(detours, directives, output)
    if (directives.goto !== undefined) {
      await checkGoto(frame, path, directives.goto.expression, this.#options.graphOfRun)
      throw new GotoTaken(await this.#detour(detours, directives.goto, output))
    }
    return isControl(output) ? detours.last : given(output)
  }

  async #next(detours: Detours, { next }: Directives, returned: unknown): Promise<void> {
    for (const to of next) detours.last = await this.#detour(detours, to, returned)
  }

  /** Without an input of its own, it gets what the handler returned, else what the detour before it gave. */
  async #detour(detours: Detours, to: Detour, returned: unknown): Promise<unknown> {
    const { frame, path, last } = detours
    detours.count += 1
    const input = to.hasInput ? to.input : isControl(returned) ? last : returned
    try {
      return await this.#options.runFlow(frame, path, `+${detours.count}`, to.expression, input)
    } catch (thrown) {
      if (isUnwinding(thrown) || frame.cancel.reason !== undefined) throw thrown
      // Its handler has done its part, and the tasks of the flow have their own attempts.
      throw new DetourFailed(thrown)
    }
  }
}

/** The detours of one attempt of a task, through all its passes. */
interface Detours {
  readonly frame: Frame
  /** Of the task, in the frame's graph. */
  readonly path: string
  count: number
  /** What the latest gave. */
  last: unknown
}

const gotoAndAgain = (task: string, path: string): GraflowError =>
  new GraflowError(
    'INVALID_OPTION',
    `task "${task}" (at ${path}) called ctx.goto and ctx.again in one start, and only one can come next: call one of them, or ctx.next, which runs a flow before the task starts again`,
    { details: { task, path } },
  )
