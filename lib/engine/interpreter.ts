/**
 * Interprets a graph for one branch (or a run's driver): sequential steps here, groups through the backend. What is finished is kept in
 * the execution and saved with the next write, so that another start goes on where this one stopped. One recursion over the kinds of nodes;
 * how a task is started and retried is inline-tasks.ts's, what a handler directs directive-follower.ts's, what a policy decides
 * policy-decision.ts's. The file is long because every kind of node is interpreted here, and each may hold any other.
 */
import type { Backend } from '../backend/backend.js'
import type { Emitter } from '../events.js'
import { GraflowError } from '../errors.js'
import { describe } from '../describe.js'
import type { Expression } from '../flow/expression.js'
import { graphOf } from '../graph/graph-of.js'
import type {
  ChooseNode,
  EachNode,
  Graph,
  GraphJoin,
  GraphNode,
  GroupNode,
  LaterNode,
  LoopNode,
  TaskNode,
  WaitNode,
  WorkflowNode,
} from '../graph/graph.js'
import { isLastAt, pathUnder, staticPath, stepsOf } from '../graph/locate.js'
import { elapsedMs, type Clock, type Random } from '../time.js'
import { givenPacked } from '../values/captured.js'
import { copiesOf, decode, encode } from '../values/codec.js'
import { packedOf, PackedValue, unpacked } from '../values/packed-arrays.js'
import { GroupOutcomes } from './group-outcomes.js'
import { itemAt, type Pausable } from './context.js'
import { Deadlines } from './deadlines.js'
import { checkHandedTo, refusingPlan } from './declared-inputs.js'
import { DirectiveFollower } from './directive-follower.js'
import { asBranch, gotoTaken, reportingGoto } from './directives.js'
import { runPathOf, type Execution, type Frame, type GraphInUse } from './execution.js'
import { asError, cycleLimit } from './failure.js'
import { decidedOutput, isSkipMark, isSkippedByHand, markOf } from './by-hand.js'
import { planGroup, planOne, type Dispatcher, type GroupPlan } from './group-plan.js'
import { InlineTasks } from './inline-tasks.js'
import { joinResult, shaped } from './joins.js'
import type { StillHeldOptions } from './still-held.js'
import { type Limits } from '../options.js'
import type { Pauses } from './pauses.js'
import { decisionOf } from './policy-decision.js'
import { refuseOwnTasks } from './own-tasks.js'
import { isRepeatedWait, isRouted } from './routing.js'
import { linkFlow, linkResult } from './result-links.js'
import type { Registry } from './registry.js'
import type { StartOptions } from './start.js'
import type { StepsSeen } from './steps-seen.js'
import { isInThread } from './start-task.js'
import { Supersteps, type SuperstepsOptions } from './superstep.js'
import { optionsOf } from './task-terms.js'
import { deadlineMark } from './wait-marks.js'
import { Waits } from './waits.js'

/** What the interpreter needs of the process. */
export interface InterpreterOptions extends StartOptions, SuperstepsOptions, StillHeldOptions {
  readonly backend: Backend
  readonly clock: Clock
  readonly emitter: Emitter
  readonly random: Random
  readonly limits: Limits
  readonly registry: Registry
  readonly pauses: Pauses
  readonly stepsSeen: StepsSeen
  /** As of the engine. */
  readonly offered?: ReadonlySet<string>
  readonly graphOfRun: (runId: string) => Promise<Graph>
}

/** Decided here; what a policy decides is policy-decision.ts's. */
type OtherJoin = Exclude<GraphJoin, { kind: 'policy' }>

/** Behind the last outcome of any group: asked only whether a group is there. */
const NO_OUTCOMES = 2 ** 31 - 1

/** Interprets graphs; one a process. */
export class Interpreter {
  readonly #options: InterpreterOptions
  readonly #supersteps: Supersteps
  readonly #deadlines: Deadlines
  readonly #tasks: InlineTasks
  /** Also those that handlers make. */
  readonly waits: Waits
  /** Also for tasks that are branches of their own. */
  readonly follower: DirectiveFollower

  constructor(options: InterpreterOptions) {
    this.#options = options
    this.#supersteps = new Supersteps(options)
    this.#deadlines = new Deadlines(options)
    this.waits = new Waits(options)
    this.follower = new DirectiveFollower({
      ...options,
      runFlow: (frame, path, segment, expression, input) =>
        this.#within(frame, path, segment, expression, (inner) => {
          linkFlow(inner)
          return this.runGraph(inner, this.#copied(inner, input))
        }),
    })
    this.#tasks = new InlineTasks({ ...options, follower: this.follower })
  }

  /** A captured input of a flow that a handler goes on with, as it would arrive from another process. */
  #copied({ use }: Frame, input: unknown): unknown {
    const { sharedInputBytes } = this.#options.limits
    return decode(
      packedOf(givenPacked(input), `the input of the flow at ${use.base}`, sharedInputBytes, 'sharedInputBytes'),
    )
  }

  /** A whole graph: a run, or what a handler forks or goes to. Gives the last step's output. */
  async runGraph(frame: Frame, input: unknown): Promise<unknown> {
    return unpacked(await this.#steps(frame, stepsOf(frame.use.graph), '', input))
  }

  /** A run, from its packed input. Its output may be packed, too. */
  async runPacked(frame: Frame, input: PackedValue): Promise<unknown> {
    return asBranch(() => this.#steps(frame, stepsOf(frame.use.graph), '', input))
  }

  /**
   * A branch: the node at `path`. Gives its output; a goto inside ends it with the result of its target.
   * @param queue where a task goes that was to run here and whose handler is not here
   */
  async runBranch(
    frame: Frame,
    node: GraphNode | undefined,
    path: string,
    input: unknown,
    queue?: string,
  ): Promise<unknown> {
    if (node === undefined) return asBranch(() => this.runGraph(frame, input))
    return asBranch(async () =>
      unpacked(
        await (node.kind === 'task'
          ? this.#task(frame, node, path, input, { queue }) // it would run without the interpreter if it were to run here
          : this.#node(frame, node, path, input)),
      ),
    )
  }

  /** A branch that is one task, which is started here and retried here; as a step of another branch, it reports a goto. */
  runTask(
    frame: Frame,
    { name, isStep }: { readonly name: string; readonly isStep: boolean },
    path: string,
    input: unknown,
  ): Promise<unknown> {
    const saved = frame.execution.savedOutput(runPathOf(frame.use, path))
    const work = async (): Promise<unknown> =>
      saved === undefined
        ? await this.#tasks.run(frame, { kind: 'task', name }, path, input)
        : outputOrGoto(decode(saved))
    return isStep ? reportingGoto(work) : asBranch(work)
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
    const { number, errors } = execution.nextFork(runPathOf(frame.use, path))
    const segment = `~${number}`
    try {
      await timer?.pause() // whatever comes of it, the time goes on in the end
      return unpacked(await this.#forkAt(frame, path, segment, expression, input))
    } catch (error) {
      // The handler is started again because this fork failed before: a released group never reopens, so it gets a fresh one.
      if (errors === 0 || !execution.hasMet(`${runPathOf(frame.use, path)}/${segment}`)) throw error
      return unpacked(await this.#forkAt(frame, path, `${segment}.${errors}`, expression, input))
    } finally {
      await timer?.unpause()
    }
  }

  #forkAt(frame: Frame, path: string, segment: string, expression: Expression, input: unknown): Promise<unknown> {
    return this.#within(frame, path, segment, expression, async (inner) => {
      const [only, ...more] = stepsOf(inner.use.graph)
      if (only !== undefined && more.length === 0 && (only.kind === 'group' || only.kind === 'each')) {
        const output = await this.#group(inner, only, '0', input)
        // It was empty, or a policy has decided.
        if (inner.execution.savedOutput(runPathOf(inner.use, '0')) !== undefined) linkResult(inner, '', '0')
        return output
      }
      const looking = only && checkHandedTo(inner, only, '0', input)
      if (looking !== undefined) await looking
      if (only?.kind === 'task' && more.length === 0) return this.#forkTask(inner, only, input)
      return this.#one(inner, { kind: 'sequence', steps: stepsOf(inner.use.graph) }, '', '', input)
    })
  }

  /** As a routed step of a flow would be: with the task's own queue, attempts, losses and deadline. */
  async #forkTask(frame: Frame, node: TaskNode, input: unknown): Promise<unknown> {
    const output = await this.#one(frame, node, '0', '0', input)
    // Its path is in no graph that readers of results know: they find it among what is saved.
    frame.execution.save(runPathOf(frame.use, '0'), encode(output))
    return output
  }

  async #steps(frame: Frame, steps: readonly GraphNode[], path: string, input: unknown): Promise<unknown> {
    let value = input
    for (const [i, step] of steps.entries()) value = await this.#node(frame, step, pathUnder(path, i), value)
    linkResult(frame, path, pathUnder(path, steps.length - 1))
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
      case 'wait':
        return this.#wait(frame, node, path)
      case 'later':
        return this.#later(frame, node, path, input)
      default:
        return node satisfies never
    }
  }

  // ------------------------------------------------------------------------------------------------------------------ tasks

  async #task(frame: Frame, node: TaskNode, path: string, input: unknown, forwarded?: Forwarded): Promise<unknown> {
    const { execution, use } = frame
    const saved = execution.savedOutput(runPathOf(use, path))
    if (saved !== undefined) return outputOrGoto(decode(saved))
    const decided = execution.isTakenUp ? execution.savedOutput(markOf(runPathOf(use, path))) : undefined
    if (decided !== undefined) return this.#decided(frame, node.name, path, decided, input)
    // What is forwarded is a branch, which the dispatcher of its group has looked at.
    const looking = forwarded === undefined ? checkHandedTo(frame, node, path, input) : undefined
    if (looking !== undefined) await looking
    const isElsewhere = isRouted(use.graph.tasks[node.name] ?? {})
    const isDispatched =
      isElsewhere ||
      !this.#canStart(use, node.name) ||
      (mayHaveGroup(frame) && (await this.#wasDispatched(frame, path)))
    if (isDispatched) {
      const to = forwarded ?? { queue: isElsewhere ? undefined : queueOfSteps(frame), isStep: true }
      return this.#one(frame, node, path, staticPath(use.graph, path) ?? path, input, to)
    }
    return this.#tasks.run(frame, node, path, input)
  }

  /** A person has decided the step. What it gives is kept as if it had run. */
  #decided({ execution, use }: Frame, task: string, path: string, mark: Uint8Array, input: unknown): unknown {
    const place = runPathOf(use, path)
    try {
      const output = decidedOutput(mark, unpacked(input))
      execution.steps?.decided(place, task, isSkipMark(mark) ? 'skipped' : 'succeeded')
      execution.save(place, encode(output))
      return output
    } catch (error) {
      execution.steps?.decided(place, task, 'failed', asError(error))
      throw error
    }
  }

  /** Whether its handler is here and, if it wants a thread, can be loaded into one; else it is dispatched to a worker that can. */
  #canStart(use: GraphInUse, name: string): boolean {
    if (use.code.task(name)?.handler === undefined) return false
    return !isInThread(optionsOf(use, name)) || this.#options.threads?.has(name) === true
  }

  /**
   * Whether the driver before had no handler for the step and dispatched it: then its group is met, and the step does not run twice. Asked once
   * of a run that was taken over, for the first step that is not finished.
   */
  async #wasDispatched({ execution }: Frame, path: string): Promise<boolean> {
    const { runId } = execution.facts
    return (await this.#options.backend.inspect.outcomes(`${runId}/${path}`, NO_OUTCOMES)) !== undefined
  }

  // ----------------------------------------------------------------------------------------------------- choose, loop, workflow

  async #choose(frame: Frame, node: ChooseNode, path: string, input: unknown): Promise<unknown> {
    const inputFor = input instanceof PackedValue ? () => input : copiesOf(input)
    const key = unpacked(await this.#node(frame, node.decide, `${path}/?`, inputFor()))
    const chosen = node.cases.find(([name]) => name === key)
    if (chosen === undefined) {
      const cases = node.cases.map(([name]) => name)
      throw new GraflowError(
        'NO_SUCH_CASE',
        `the decision at ${runPathOf(frame.use, path)} returned ${describe(key)}, which is none of its cases: ${cases.join(', ')}`,
        {
          details: { path: runPathOf(frame.use, path), key: typeof key === 'string' ? key : describe(key), cases },
        },
      )
    }
    const output = await this.#node(frame, chosen[1], `${path}/${chosen[0]}`, inputFor())
    linkResult(frame, path, `${path}/${chosen[0]}`)
    return output
  }

  async #loop(frame: Frame, node: LoopNode, path: string, input: unknown): Promise<unknown> {
    let state = input
    for (let pass = 1; pass <= node.maxCycles; pass += 1) {
      const output = unpacked(await this.#node(frame, node.body, `${path}/${pass}`, state))
      const said = output as
        | { readonly kind?: unknown; readonly next?: unknown; readonly value?: unknown }
        | null
        | undefined
      if (said?.kind === 'done') {
        linkResult(frame, path, `${path}/${pass}`, true)
        return said.value
      }
      if (said?.kind !== 'again') {
        throw new GraflowError(
          'LOOP_RESULT',
          `the last task of the loop at ${runPathOf(frame.use, path)} must return again(next) or done(value), got ${describe(output)}`,
          {
            details: { path: runPathOf(frame.use, path), pass },
          },
        )
      }
      state = said.next
    }
    throw cycleLimit(lastTask(node.body), runPathOf(frame.use, path), node.maxCycles, node.maxCycles)
  }

  async #workflow(frame: Frame, node: WorkflowNode, path: string, input: unknown): Promise<unknown> {
    const { timeoutMs } = node.options
    const body = async (inner: Frame): Promise<unknown> => {
      const output = await this.#node(inner, node.body, `${path}/w`, input)
      linkResult(frame, path, `${path}/w`)
      return output
    }
    if (timeoutMs === undefined) return body(frame)
    const runPath = runPathOf(frame.use, path)
    const late = (): GraflowError => workflowTimeout(node.name, runPath, timeoutMs)
    return this.#deadlines.keep(frame, { place: deadlineMark(runPath), timeoutMs, late }, body)
  }

  // ------------------------------------------------------------------------------------------------------------------ waits

  async #wait(frame: Frame, { name, options, isChecked }: WaitNode, path: string): Promise<unknown> {
    const { execution, use } = frame
    const place = runPathOf(use, path)
    const saved = execution.savedOutput(place)
    if (saved !== undefined) return decode(saved)
    const schema = isChecked ? use.code.wait(name)?.schema : undefined
    if (isChecked && schema === undefined) throw noSchema(name, place)
    const isRepeated = use.base !== '' || isRepeatedWait(use.graph, name)
    const payload = await this.waits.signal(frame, path, {
      ...{ name, options, isRepeated },
      ...(schema !== undefined && { schema }),
    })
    execution.save(place, encode(payload))
    return payload
  }

  async #later(frame: Frame, node: LaterNode, path: string, input: unknown): Promise<unknown> {
    let given = input
    if (node.due !== undefined) {
      const inputFor = input instanceof PackedValue ? () => input : copiesOf(input)
      const dueAt = unpacked(await this.#node(frame, node.due, `${path}/?`, inputFor())) as number // the task gives nothing else
      await this.waits.time(frame, path, { dueAt })
      given = inputFor()
    } else if (node.ms !== undefined && node.ms > 0) await this.waits.time(frame, path, { dueMs: node.ms })
    const output = await this.#node(frame, node.body, `${path}/w`, given)
    linkResult(frame, path, `${path}/w`)
    return output
  }

  // ----------------------------------------------------------------------------------------------------------------- groups

  async #group(frame: Frame, node: GroupNode | EachNode, path: string, input: unknown): Promise<unknown> {
    const { execution, use } = frame
    const decided = node.join.kind === 'policy' ? execution.savedOutput(runPathOf(use, path)) : undefined
    if (decided !== undefined) return decode(decided)
    const isLast = execution.mayEndAtBarrier && use.base === '' && isLastAt(use.graph, path)
    const at = staticPath(use.graph, path) ?? path
    const given = planGroup(this.#dispatcher(execution), use, node, path, at, input, isLast)
    const looking = refusingPlan(frame, node, given, input)
    const plan = looking === undefined ? given : await looking
    const startedAt = elapsedMs(this.#options.clock)
    if (frame.use.outer !== undefined) await refuseOwnTasks(this.#options, frame.use, plan)
    const { join } = plan
    const joined = async (outcomes: GroupOutcomes): Promise<unknown> => {
      if (join.kind !== 'policy') return resultOfGroup({ ...plan, join }, outcomes)
      return await decisionOf(this.#options, frame, plan, join.name, outcomes, startedAt)
    }
    if (plan.spec.size > 0) return this.#supersteps.joined(frame, plan, joined)
    const result = await joined(new GroupOutcomes(plan))
    // The store has no group of which this could be read again. What a policy decides is kept by itself.
    if (join.kind !== 'policy') execution.save(plan.path, encode(result))
    return result
  }

  /** A node dispatched by itself; its error is its own, not a group's. */
  async #one(
    frame: Frame,
    node: GraphNode,
    path: string,
    at: string,
    input: unknown,
    { queue, isStep = false }: Forwarded = { isStep: true },
  ): Promise<unknown> {
    const plan = planOne(this.#dispatcher(frame.execution), frame.use, node, path, at, input, queue, !isStep)
    if (frame.use.outer !== undefined) await refuseOwnTasks(this.#options, frame.use, plan)
    const joined = (groupOutcomes: GroupOutcomes): unknown => {
      const [outcome] = groupOutcomes.outcomes()
      if (outcome === undefined) throw new GraflowError('INTERNAL', `the group of one at ${plan.path} has no outcome`)
      if (isStep && outcome.status === 'skipped' && isSkippedByHand(outcome.error))
        return this.#left(frame, plan, input)
      if (outcome.status !== 'succeeded') throw outcome.error
      return outcome.value
    }
    return outputOrGoto(await this.#supersteps.joined(frame, plan, joined, isStep))
  }

  /** A person has left the step out. As `#decided`: its result is what it would have got. */
  #left({ execution }: Frame, { path }: GroupPlan, input: unknown): unknown {
    const given = unpacked(input)
    execution.save(path, encode(given))
    return given
  }

  #dispatcher(execution: Execution): Dispatcher {
    const { limits, backend } = this.#options
    const { runId, depth, requires, run } = execution.facts
    return {
      ...{ runId, depth: depth + 1, limits, ...backend.limits },
      ...(requires !== undefined && { requires }),
      ...(run !== undefined && { run }),
    }
  }

  /** Does some work in a flow that the handler at `path` brought, which for that time is a graph at a path of the run, one segment below. */
  async #within<T>(
    { execution, use: outer, cancel }: Frame,
    path: string,
    segment: string,
    expression: Expression,
    work: (inner: Frame) => Promise<T>,
  ): Promise<T> {
    const { graphs, registry } = this.#options
    const { runId } = execution.facts
    const base = `${runPathOf(outer, path)}/${segment}`
    const item = itemAt({ use: outer }, path)
    const graph = graphOf(expression)
    registry.tie(runId, base, expression)
    try {
      const code = registry.codeOf(runId, base)
      const use = {
        hash: graphs.keep(graph),
        graph,
        code,
        base,
        outer: { use: outer, path },
        ...(item !== undefined && { item }),
      }
      const inner = { execution, use, cancel, isHeld: true }
      // The graph of a workflow is that of its body: what bounds the whole is not in it.
      const timeoutMs = expression.kind === 'workflow' ? expression.options.timeoutMs : undefined
      if (expression.kind !== 'workflow' || timeoutMs === undefined) return await work(inner)
      const late = (): GraflowError => workflowTimeout(expression.name, base, timeoutMs)
      // a start after one that failed has time of its own
      const place = deadlineMark(base, execution.errorsAt(runPathOf(outer, path)))
      return await this.#deadlines.keep(inner, { place, timeoutMs, late }, work)
    } finally {
      registry.forget(runId, base)
    }
  }
}

/** How a node is dispatched by itself. */
interface Forwarded {
  /** Where it waits, if not where its own options say. */
  readonly queue?: string | undefined
  /** Whether it has the events of a group of its own; one that is a branch has those of its group. */
  readonly isStep?: boolean
}

/**
 * Where a step waits that asks for no workers and has no handler here: where its branch was taken from, since other workers of that queue were
 * asked for it as well. Of a run, and of a flow that a handler brought, that is the queue of tasks without one.
 */
const queueOfSteps = ({ execution, use }: Frame): string | undefined =>
  use.outer === undefined ? execution.facts.queue : undefined

/** What a join other than a policy makes of a group. @throws GraflowError GROUP_FAILED */
function resultOfGroup(plan: GroupPlan & { readonly join: OtherJoin }, groupOutcomes: GroupOutcomes): unknown {
  const { join, keys } = plan
  const packed = keys === undefined ? packedResult(join, groupOutcomes) : undefined
  if (packed !== undefined) return packed
  if (join.kind === 'strict' && groupOutcomes.values !== undefined) return shaped(keys, groupOutcomes.values)
  const { succeeded } = groupOutcomes
  return joinResult({ ...plan, outcomes: groupOutcomes.outcomes(), succeeded })
}

/** The result of the group as it came, where the join takes it so; undefined where values or errors are to be looked at. */
function packedResult(join: OtherJoin, groupOutcomes: GroupOutcomes): PackedValue | undefined {
  if (join.kind === 'strict') return groupOutcomes.packed
  const isDecided = join.kind === 'settled' || (join.kind === 'atLeast' && groupOutcomes.succeeded.length >= join.count)
  return isDecided ? groupOutcomes.packedOutcomes : undefined
}

/** A task's output. @throws GotoTaken where it reports one */
function outputOrGoto(output: unknown): unknown {
  const went = gotoTaken(output)
  if (went !== undefined) throw went
  return output
}

const workflowTimeout = (workflow: string, path: string, timeoutMs: number): GraflowError =>
  new GraflowError('TIMEOUT', `workflow "${workflow}" (at ${path}) ran longer than its timeoutMs of ${timeoutMs}`, {
    details: { workflow, path, timeoutMs },
  })

const noSchema = (signal: string, path: string): GraflowError =>
  new GraflowError(
    'NO_HANDLER',
    `this process has no schema for the signal "${signal}" (awaited at ${path}), and its payload is to be checked by one: give it the flow, or start ` +
      'a worker with its module',
    { details: { signal, path } },
  )

/** Whether a driver before may have dispatched the next step of the run: asked once of a run that was taken over. */
const mayHaveGroup = ({ execution, use }: Frame): boolean =>
  execution.facts.depth === 0 && use.base === '' && execution.mayBeDispatched()

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
    case 'later':
      return lastTask(node.body)
    case 'choose':
    case 'group':
    case 'each':
    case 'wait':
      return `the ${node.kind}`
    default:
      return node satisfies never
  }
}
