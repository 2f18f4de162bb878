/**
 * One start of a branch that is one task, without the interpreter: from its input to its report. Nearly every branch is such a one, so the
 * start, its frame and its facts are one object, and values are computed only on demand.
 */
import type { TaskExpression } from '../flow/expression.js'
import type { Limits } from '../options.js'
import type { Random } from '../time.js'
import type { BranchKeeper } from './branch-keeper.js'
import type { Cancellation } from './cancellation.js'
import { HandlerContext, type StartFacts } from './context.js'
import type { Execution, Frame, GraphInUse } from './execution.js'
import { endOfStart } from './failure.js'
import type { DirectiveFollower } from './directive-follower.js'
import { asBranch, EndRun, reportingGoto } from './directives.js'
import type { DirectTask, PreparedBranch } from './prepared-grant.js'
import { isPending, noHandler, originOf, threwByHandler, type Started, type StartOptions } from './start.js'
import { isInThread, startTask } from './start-task.js'
import { reportOutput } from './task-output.js'
import type { StartReport } from './task-terms.js'

/** What starts of tasks need of the engine. */
export interface TaskStartOptions extends StartOptions {
  readonly follower: DirectiveFollower
  readonly limits: Pick<Limits, 'resultBytes' | 'sharedInputBytes'>
  readonly random: Random
  /** Reports a start to the store whose terms are not those of its group. */
  reportStart(frame: Frame, report: StartReport): Promise<unknown>
  /** A handler ended the whole run. Rejects when the run's result cannot be carried. */
  endRun(execution: Execution, end: EndRun): Promise<void>
}

/** A start under way: make it, then `begin`. */
export class TaskStart implements Frame, StartFacts {
  readonly execution: Execution
  readonly use: GraphInUse
  readonly attempt: number
  readonly pass = 1
  readonly #options: TaskStartOptions
  readonly #branch: PreparedBranch
  readonly #task: DirectTask
  readonly #keeper: BranchKeeper

  constructor(
    options: TaskStartOptions,
    execution: Execution,
    use: GraphInUse,
    branch: PreparedBranch,
    task: DirectTask,
    keeper: BranchKeeper,
  ) {
    this.execution = execution
    this.use = use
    this.attempt = 1 + branch.errors + branch.losses
    this.#options = options
    this.#branch = branch
    this.#task = task
    this.#keeper = keeper
  }

  get cancel(): Cancellation {
    return this.execution.cancel
  }

  get task(): string {
    return this.#task.name
  }

  get path(): string {
    return this.#branch.path
  }

  get runPath(): string {
    return this.#branch.runPath
  }

  /** Calls the handler. The keeper gets the report, maybe before this returns. */
  begin(): void {
    const { definition, options, name } = this.#task
    if (definition?.handler === undefined) {
      this.#fail(noHandler(name, this.runPath, [this.execution.facts.workerId]))
      return
    }
    const { losses, errors, hasTask } = this.#branch
    if (!hasTask && losses < this.#task.reportsFrom) {
      this.#call(definition)
      return
    }
    const report = { task: name, path: this.runPath, options, errors, losses }
    this.execution.begin()
    this.#options.reportStart(this, report).then(
      () => this.#call(definition),
      (thrown: unknown) => this.#fail(thrown),
    )
  }

  #call(definition: TaskExpression): void {
    const { options } = this.#task
    if (this.cancel.reason !== undefined) return
    let started: Started
    try {
      const input = isInThread(options) ? this.#branch.packedInput() : this.#branch.input()
      started = startTask(this.#options, this, definition, this, input, options)
    } catch (thrown) {
      this.#fail(thrown)
      return
    }
    const { context, output, isHandlersOwn } = started
    if (!isPending(output)) {
      this.#finish(definition, context, output)
      return
    }
    output.then(
      (returned) => this.#finish(definition, context, returned),
      (thrown: unknown) => this.#fail(isHandlersOwn ? threwByHandler(thrown) : thrown),
    )
  }

  #finish(definition: TaskExpression, context: HandlerContext, returned: unknown): void {
    const directives = HandlerContext.directives(context)
    if (directives === undefined) {
      this.#succeed(returned)
      return
    }
    const { path, attempt } = this
    // What the handler goes on with is not what was granted.
    this.execution.begin()
    const follow = (): Promise<unknown> =>
      this.#options.follower.follow(this, { definition, path, attempt, returned, directives })
    // As a branch of its own, a task may also take a goto: its result is then that of the goto's target. As a step of another one, it says so.
    const output = this.#task.isStep ? reportingGoto(follow) : asBranch(follow)
    output.then(
      (output) => this.#succeed(output),
      (thrown: unknown) => this.#fail(thrown),
    )
  }

  #succeed(output: unknown): void {
    if (this.cancel.reason !== undefined) return
    try {
      reportOutput(this.#keeper, this.execution, output, this, this.#options.limits.resultBytes)
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(thrown: unknown): void {
    if (this.cancel.reason !== undefined) return
    if (thrown instanceof EndRun) {
      this.#options.endRun(this.execution, thrown).catch((error: unknown) => this.#fail(error))
      return
    }
    const { error, isFromHandler, isFinal } = originOf(thrown)
    const { name, options } = this.#task
    const start = {
      ...{ task: name, path: this.runPath, errors: this.execution.facts.errors + 1 },
      label: this.#branch.itemLabel,
    }
    this.#keeper.failed(this.execution, endOfStart(error, isFromHandler, start, options, this.#options.random, isFinal))
  }
}
