/**
 * Interprets a graph for one branch (or a run's driver): sequential steps here, groups through the backend. What is finished is kept in
 * the execution and saved with the next write, so that another start goes on where this one stopped.
 *
 * This file is long because it is one recursion over the kinds of nodes, with what a handler may ask for on top.
 */
import type { Emitter } from '../events.js'
import { GraflowError } from '../errors.js'
import { tasksOf } from '../flow/collect.js'
import { describe } from '../flow/describe.js'
import type { Expression, TaskExpression } from '../flow/expression.js'
import { graphOf } from '../graph/graph-of.js'
import type { ChooseNode, EachNode, GraphNode, GroupNode, LoopNode, TaskNode, WorkflowNode } from '../graph/graph.js'
import { pathUnder, staticPath, stepsOf } from '../graph/locate.js'
import type { Clock, Random } from '../time.js'
import { Cancellation, Unreported } from './cancellation.js'
import { decode, encode, tooLarge } from '../values/codec.js'
import { GroupOutcomes } from './group-outcomes.js'
import { HandlerContext, isAcrossBarrier, isControl, type Directives, type Detour, type Pausable } from './context.js'
import { fullPath, type Execution, type Frame } from './execution.js'
import { isRetryable, retryDelayMs, taskError } from './failure.js'
import { fullStore } from './graph-store.js'
import { planGroup, planOne, type Dispatcher } from './group-plan.js'
import { groupFailed, joinResult, shaped } from './joins.js'
import { type Limits } from '../options.js'
import type { ValueWriter } from '../values/value-lists.js'
import { isRouted } from './routing.js'
import type { Registry } from './registry.js'
import { HandlerThrew, outputOf, start, type StartServices } from './start.js'
import { fenced, Supersteps, type SuperstepServices } from './superstep.js'

/** A handler ended the run. Unwinds to whoever holds the branch. */
export class EndRun extends Error {
  override readonly name = 'EndRun'

  constructor(
    readonly state: 'completed' | 'cancelled',
    readonly value: unknown,
  ) {
    super('a handler ended the run')
  }
}

/** A handler went elsewhere: the branch's static successors are left out. Unwinds to the branch, whose result `value` is. */
class GotoTaken extends Error {
  override readonly name = 'Jumped'

  constructor(readonly value: unknown) {
    super('a handler went elsewhere')
  }
}

const DEFAULT_MAX_CYCLES = 100

/** What the interpreter needs of the process. */
export interface InterpreterServices extends StartServices, SuperstepServices {
  readonly clock: Clock
  readonly emitter: Emitter
  readonly random: Random
  readonly limits: Limits
  readonly registry: Registry
}

/** Interprets graphs; one a process. */
export class Interpreter {
  readonly #services: InterpreterServices
  readonly #supersteps: Supersteps

  constructor(services: InterpreterServices) {
    this.#services = services
    this.#supersteps = new Supersteps(services)
  }

  /** A whole graph: a run, or what a handler forks or goes to. Gives the last step's output. */
  async runGraph(frame: Frame, input: unknown): Promise<unknown> {
    return this.#steps(frame, stepsOf(frame.use.graph), '', input)
  }

  /** A branch: the node at `path`. Gives its output; a jump inside ends it with the jump's result. */
  async runBranch(frame: Frame, node: GraphNode | undefined, path: string, input: unknown): Promise<unknown> {
    return this.asBranch(() =>
      node === undefined ? this.runGraph(frame, input) : this.#node(frame, node, path, input),
    )
  }

  /** A jump inside ends the branch here, with the jump's result. */
  async asBranch(work: () => Promise<unknown>): Promise<unknown> {
    try {
      return await work()
    } catch (thrown) {
      if (thrown instanceof GotoTaken) return thrown.value
      throw thrown
    }
  }

  /** Runs a flow on the workers on behalf of the handler at `path`, and waits for it without its slot and its time. */
  async fork(
    frame: Frame,
    path: string,
    expression: Expression,
    input: unknown,
    timer: Pausable | undefined,
  ): Promise<unknown> {
    const { execution } = frame
    const { number, errors } = execution.nextFork(fullPath(frame.use, path))
    const place = `${fullPath(frame.use, path)}/~${number}`
    timer?.pause()
    try {
      return await this.#forkAt(frame, place, expression, input)
    } catch (error) {
      // The handler is started again because this fork failed before: a released group never reopens, so it gets a fresh one.
      if (errors === 0 || !execution.hasMet(place)) throw error
      return await this.#forkAt(frame, `${place}.${errors}`, expression, input)
    } finally {
      timer?.unpause()
    }
  }

  #forkAt(frame: Frame, place: string, expression: Expression, input: unknown): Promise<unknown> {
    return this.#within(frame, place, expression, (inner) => {
      const [only, ...more] = stepsOf(inner.use.graph)
      if (only !== undefined && more.length === 0 && (only.kind === 'group' || only.kind === 'each')) {
        return this.#group(inner, only, '0', input)
      }
      return this.#one(inner, { kind: 'sequence', steps: stepsOf(inner.use.graph) }, '', '', input)
    })
  }

  async #steps(frame: Frame, steps: readonly GraphNode[], path: string, input: unknown): Promise<unknown> {
    let value = input
    for (const [i, step] of steps.entries()) value = await this.#node(frame, step, pathUnder(path, i), value)
    return value
  }

  #node(frame: Frame, node: GraphNode, path: string, input: unknown): Promise<unknown> {
    frame.cancel.throwIfAborted()
    switch (node.kind) {
      case 'task':
        return this.#task(frame, node, path, input)
      case 'sequence':
        return this.#steps(frame, node.steps, path, input)
      case 'group':
      case 'each':
        return this.#group(frame, node, path, input)
      case 'choose':
        return this.#choose(frame, node, path, input)
      case 'loop':
        return this.#loop(frame, node, path, input)
      case 'workflow':
        return this.#workflow(frame, node, path, input)
      default:
        return node satisfies never
    }
  }

  // ------------------------------------------------------------------------------------------------------------------ tasks

  async #task(frame: Frame, node: TaskNode, path: string, input: unknown): Promise<unknown> {
    const { execution, use } = frame
    const place = fullPath(use, path)
    const saved = execution.savedOutput(place)
    if (saved !== undefined) return decode(saved)
    const options = use.graph.tasks[node.name] ?? {}
    if (isRouted(options) || use.code.task(node.name)?.handler === undefined)
      return this.#one(frame, node, path, staticPath(use.graph, path) ?? path, input)
    const attempts = options.retry?.attempts ?? 1
    const inputFor = attempts === 1 ? () => input : copiesOf(input)
    for (let errors = 1; ; errors += 1) {
      try {
        return await this.#startTask(frame, node, path, inputFor(), errors + execution.facts.losses)
      } catch (thrown) {
        if (isUnwinding(thrown)) throw thrown
        frame.cancel.throwIfAborted()
        const { error, isFromHandler } = originOf(thrown)
        if (errors >= attempts || !isRetryable(error, isFromHandler))
          throw taskError(error, isFromHandler, { task: node.name, path: place, errors })
        await this.#pauseBeforeRetry(
          frame,
          node.name,
          place,
          errors,
          retryDelayMs(options.retry ?? {}, errors, this.#services.random),
          error,
        )
      }
    }
  }

  /** One start of a task here, its output encoded and kept. Throws HandlerThrew, or the engine's own error. */
  async #startTask(frame: Frame, node: TaskNode, path: string, input: unknown, attempt: number): Promise<unknown> {
    const { execution, use } = frame
    const definition = use.code.task(node.name)
    if (definition === undefined) throw new GraflowError('INTERNAL', `task ${node.name} has no definition here`)
    const place = fullPath(use, path)
    execution.restartForks(place, attempt - 1 - execution.facts.losses)
    const started = start(
      this.#services,
      frame,
      definition,
      { task: node.name, path, attempt, pass: 1 },
      input,
      use.graph.tasks[node.name]?.timeoutMs,
    )
    const returned = await frame.cancel.race(outputOf(started))
    const asked = HandlerContext.directives(started.context)
    const output = asked === undefined ? returned : await this.follow(frame, definition, path, attempt, returned, asked)
    const bytes = this.encodeOutput(node.name, place, output)
    execution.save(place, bytes)
    return decode(bytes)
  }

  /** A task's output as bytes. @throws GraflowError NOT_SERIALISABLE, LIMIT_EXCEEDED */
  encodeOutput(task: string, place: string, output: unknown): Uint8Array {
    try {
      return encode(output, resultOf({ task, place }), this.#services.limits.resultBytes, 'resultBytes')
    } catch (error) {
      throw toldOf(error, { task, place })
    }
  }

  /** The same, as the next item of `writer`. `of` is asked only for what an error says. */
  writeOutput(writer: ValueWriter, output: unknown, of: OutputOf): void {
    const maxBytes = this.#services.limits.resultBytes
    let bytes: number
    try {
      bytes = writer.encode(output, maxBytes)
    } catch (error) {
      throw toldOf(error, of)
    }
    if (bytes > maxBytes) throw tooLarge(resultOf(of), bytes, maxBytes, 'resultBytes')
  }

  /** Starts a task again as long as it asks for that, then does what else it asked for; gives its output. */
  async follow(
    frame: Frame,
    definition: TaskExpression,
    path: string,
    attempt: number,
    firstReturned: unknown,
    firstAsked: Directives,
  ): Promise<unknown> {
    const { use } = frame
    const maxCycles = use.graph.tasks[definition.name]?.maxCycles ?? DEFAULT_MAX_CYCLES
    const place = fullPath(use, path)
    let returned = firstReturned
    let asked: Directives | undefined = firstAsked
    for (
      let pass = 1;
      asked?.again !== undefined && asked.cancel === undefined && asked.finish === undefined;
      pass += 1
    ) {
      if (pass >= maxCycles) throw cycleLimit(definition.name, place, pass, maxCycles)
      const input = decode(
        encode(
          asked.again.input,
          `the input that task "${definition.name}" starts again with`,
          this.#services.limits.sharedInputBytes,
          'sharedInputBytes',
        ),
      )
      const started = start(
        this.#services,
        frame,
        definition,
        { task: definition.name, path, attempt, pass: pass + 1 },
        input,
        use.graph.tasks[definition.name]?.timeoutMs,
      )
      returned = await frame.cancel.race(outputOf(started))
      asked = HandlerContext.directives(started.context)
    }
    return asked === undefined ? returned : this.#detours(frame, path, returned, asked)
  }

  /** Does what a handler asked for; cancel wins over finish, and both over the rest. */
  async #detours(frame: Frame, path: string, returned: unknown, asked: Directives): Promise<unknown> {
    if (asked.cancel !== undefined) throw new EndRun('cancelled', asked.cancel.reason)
    if (asked.finish !== undefined) throw new EndRun('completed', asked.finish.value)
    const hasOutput = !isControl(returned)
    let last: unknown
    let count = 0
    const detour = async (to: Detour): Promise<unknown> => {
      count += 1
      const input = to.hasInput ? to.input : hasOutput ? returned : last
      return this.#within(frame, `${fullPath(frame.use, path)}/+${count}`, to.expression, (inner) =>
        this.runGraph(inner, decode(encode(input))),
      )
    }
    for (const to of asked.next) last = await detour(to)
    if (asked.goto !== undefined) {
      const { depth, staticPath: branch } = frame.execution.facts
      if (depth > 0 && frame.use.base === '' && isAcrossBarrier(frame, tasksOf(asked.goto.expression).keys(), branch)) {
        const target = [...tasksOf(asked.goto.expression).keys()].join(', ')
        throw new GraflowError(
          'GOTO_ACROSS_BARRIER',
          `${fullPath(frame.use, path)} cannot go to ${target}: it stands outside this branch, and one branch cannot leave its group; return a value and let the node after the group decide`,
          { details: { path: fullPath(frame.use, path), target } },
        )
      }
      throw new GotoTaken(await detour(asked.goto))
    }
    return hasOutput ? returned : last
  }

  async #pauseBeforeRetry(
    frame: Frame,
    task: string,
    path: string,
    errors: number,
    delayMs: number,
    error: unknown,
  ): Promise<void> {
    const { execution } = frame
    const { clock, emitter } = this.#services
    emitter.emit('branch:retrying', {
      runId: execution.facts.runId,
      path,
      task,
      attempt: errors,
      delayMs,
      error: error instanceof Error ? error : new Error(String(error)),
    })
    // What is finished is safe before the wait: a start elsewhere then goes on at this task.
    await this.#save(frame)
    if (delayMs === 0) return
    let disarm: (() => void) | undefined
    try {
      await execution.withoutSlot(() =>
        frame.cancel.race(
          new Promise<void>((resolve) => {
            disarm = clock.after(delayMs, resolve)
          }),
        ),
      )
    } finally {
      disarm?.()
    }
  }

  async #save(frame: Frame): Promise<void> {
    const { execution } = frame
    const save = execution.takeUnsaved()
    if (save === undefined) return
    const answer = await this.#services.backend.step({
      holder: execution.facts.holder,
      runId: execution.facts.runId,
      save,
    })
    if (answer.status === 'fenced') throw fenced(frame)
    if (answer.status === 'backpressure') throw fullStore('the outputs of finished tasks')
  }

  // ----------------------------------------------------------------------------------------------------- choose, loop, workflow

  async #choose(frame: Frame, node: ChooseNode, path: string, input: unknown): Promise<unknown> {
    const inputFor = copiesOf(input)
    const key = await this.#node(frame, node.decide, `${path}/?`, inputFor())
    const chosen = node.cases.find(([name]) => name === key)
    if (chosen === undefined) {
      const cases = node.cases.map(([name]) => name)
      throw new GraflowError(
        'NO_SUCH_CASE',
        `the decision at ${fullPath(frame.use, path)} returned ${describe(key)}, which is none of its cases: ${cases.join(', ')}`,
        {
          details: { path: fullPath(frame.use, path), key: String(key), cases },
        },
      )
    }
    return this.#node(frame, chosen[1], `${path}/${chosen[0]}`, inputFor())
  }

  async #loop(frame: Frame, node: LoopNode, path: string, input: unknown): Promise<unknown> {
    let state = input
    for (let pass = 1; pass <= node.maxCycles; pass += 1) {
      const output = await this.#node(frame, node.body, `${path}/${pass}`, state)
      const said = output as
        | { readonly kind?: unknown; readonly next?: unknown; readonly value?: unknown }
        | null
        | undefined
      if (said?.kind === 'done') return said.value
      if (said?.kind !== 'again') {
        throw new GraflowError(
          'LOOP_RESULT',
          `the last task of the loop at ${fullPath(frame.use, path)} must return again(next) or done(value), got ${describe(output)}`,
          {
            details: { path: fullPath(frame.use, path), pass },
          },
        )
      }
      state = said.next
    }
    throw cycleLimit(lastTask(node.body), fullPath(frame.use, path), node.maxCycles, node.maxCycles)
  }

  async #workflow(frame: Frame, node: WorkflowNode, path: string, input: unknown): Promise<unknown> {
    const { timeoutMs } = node.options
    if (timeoutMs === undefined) return this.#node(frame, node.body, `${path}/w`, input)
    const cancel = new Cancellation(frame.cancel)
    const disarm = this.#services.clock.after(timeoutMs, () => {
      cancel.abort(
        new GraflowError(
          'TIMEOUT',
          `workflow "${node.name}" (at ${fullPath(frame.use, path)}) ran longer than its timeoutMs of ${timeoutMs}`,
          {
            details: { workflow: node.name, path: fullPath(frame.use, path), timeoutMs },
          },
        ),
      )
    })
    try {
      return await this.#node({ ...frame, cancel }, node.body, `${path}/w`, input)
    } finally {
      disarm()
      cancel.leave()
    }
  }

  // ----------------------------------------------------------------------------------------------------------------- groups

  async #group(frame: Frame, node: GroupNode | EachNode, path: string, input: unknown): Promise<unknown> {
    const { execution, use } = frame
    const plan = planGroup(this.#dispatcher(execution), use, node, path, staticPath(use.graph, path) ?? path, input)
    const groupOutcomes = plan.spec.size === 0 ? new GroupOutcomes(plan) : await this.#supersteps.run(frame, plan)
    if (plan.join.kind === 'strict' && groupOutcomes.values !== undefined)
      return shaped(plan.keys, groupOutcomes.values)
    const group = { ...plan, outcomes: groupOutcomes.outcomes(), succeeded: groupOutcomes.succeeded }
    if (plan.join.kind !== 'policy') return joinResult({ ...group, join: plan.join })
    const policy = use.code.policy(plan.join.name)
    if (policy === undefined) {
      throw new GraflowError(
        'NO_SUCH_POLICY',
        `group ${plan.label} joins by policy "${plan.join.name}", which this process does not know: import the module that defines it`,
        {
          details: { policy: plan.join.name, path: plan.path },
        },
      )
    }
    try {
      const decided: unknown = await policy.decide(shaped(plan.keys, group.outcomes) as never) // the type is the policy's own
      return decode(
        encode(
          decided,
          `the result of policy "${policy.name}"`,
          this.#services.limits.runResultBytes,
          'runResultBytes',
        ),
      )
    } catch (thrown) {
      if (thrown instanceof GraflowError && (thrown.code === 'NOT_SERIALISABLE' || thrown.code === 'LIMIT_EXCEEDED'))
        throw thrown
      const message = thrown instanceof Error ? thrown.message : String(thrown)
      const failed = groupFailed(group, `policy "${policy.name}" refused: ${message}`)
      throw new GraflowError('GROUP_FAILED', failed.message, {
        cause: thrown,
        details: failed.details,
        errors: failed.errors,
      })
    }
  }

  /** A node dispatched by itself; its error is its own, not a group's. */
  async #one(frame: Frame, node: GraphNode, path: string, at: string, input: unknown): Promise<unknown> {
    const plan = planOne(this.#dispatcher(frame.execution), frame.use, node, path, at, input)
    const groupOutcomes = await this.#supersteps.run(frame, plan)
    const [outcome] = groupOutcomes.outcomes()
    if (outcome === undefined) throw new GraflowError('INTERNAL', `the group of one at ${plan.path} has no outcome`)
    if (outcome.status !== 'succeeded') throw outcome.error
    return outcome.value
  }

  #dispatcher(execution: Execution): Dispatcher {
    const { limits, backend } = this.#services
    return { runId: execution.facts.runId, depth: execution.facts.depth + 1, limits, ...backend.limits }
  }

  /** Does some work in a flow that a handler brought, which for that time is a graph at a place of the run. */
  async #within<T>(
    { execution, cancel }: Frame,
    base: string,
    expression: Expression,
    work: (inner: Frame) => Promise<T>,
  ): Promise<T> {
    const { graphs, registry } = this.#services
    const { runId } = execution.facts
    const graph = graphOf(expression)
    registry.tie(runId, base, expression)
    try {
      const use = { hash: graphs.keep(graph), graph, code: registry.codeOf(runId, base), base }
      return await work({ execution, use, cancel })
    } finally {
      registry.forget(runId, base)
    }
  }
}

/** Gives a value to several starts, a copy each, since handlers may change what they get. */
function copiesOf(value: unknown): () => unknown {
  if (typeof value !== 'object' || value === null) return () => value
  const bytes = encode(value)
  return () => decode(bytes)
}

const isUnwinding = (thrown: unknown): boolean =>
  thrown instanceof EndRun || thrown instanceof GotoTaken || thrown instanceof Unreported

/** Whose output it is. */
export interface OutputOf {
  readonly task: string
  /** In the run. */
  readonly place: string
}

const resultOf = ({ task, place }: OutputOf): string => `the result of task "${task}" (at ${place})`

function toldOf(error: unknown, of: OutputOf): unknown {
  if (!(error instanceof GraflowError) || error.code !== 'NOT_SERIALISABLE') return error
  return new GraflowError('NOT_SERIALISABLE', `${resultOf(of)}: ${error.message}`, {
    details: { ...error.details, task: of.task },
  })
}

/** Tells what a handler threw from what the engine found. */
export const originOf = (thrown: unknown): { readonly error: unknown; readonly isFromHandler: boolean } =>
  thrown instanceof HandlerThrew
    ? { error: thrown.thrown, isFromHandler: true }
    : { error: thrown, isFromHandler: false }

const cycleLimit = (task: string, path: string, count: number, limit: number): GraflowError =>
  new GraflowError(
    'CYCLE_LIMIT',
    `"${task}" (at ${path}) went round ${count} times, its limit: end it sooner, or raise maxCycles`,
    {
      details: { task, path, count, limit },
    },
  )

/** The task that a body ends with, for messages. */
function lastTask(node: GraphNode): string {
  switch (node.kind) {
    case 'task':
    case 'workflow':
      return node.name
    case 'sequence': {
      const last = node.steps.at(-1)
      return last === undefined ? 'the loop' : lastTask(last)
    }
    case 'loop':
      return lastTask(node.body)
    case 'choose':
    case 'group':
    case 'each':
      return `the ${node.kind}`
    default:
      return node satisfies never
  }
}
