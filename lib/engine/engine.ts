/**
 * The engine of one process: starts branches that the worker acquired, drives runs, and gives handlers what their context promises. The
 * worker decides what to acquire and when to settle; the engine knows what a branch is.
 */
import type { Backend, Grant, GroupSpec, SettleKind } from '../backend/backend.js'
import type { Emitter } from '../events.js'
import { GraflowError } from '../errors.js'
import type { ChannelAccess } from '../flow/context.js'
import type { Expression, TaskExpression, TaskOptions } from '../flow/expression.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { groupSegment, nodeAt } from '../graph/locate.js'
import type { Clock, Random } from '../time.js'
import { Arrivals } from './arrivals.js'
import { Dropped } from './cancellation.js'
import { channelOf } from './channels.js'
import { encode } from './codec.js'
import { HandlerContext, type Asked, type Pausable } from './context.js'
import { Execution, fullPath, type Frame, type GraphInUse, type Slot } from './execution.js'
import { isRetryable, retryDelayMs, taskError } from './failure.js'
import { GraphStore } from './graph-store.js'
import { EndRun, Interpreter, originOf } from './interpreter.js'
import type { Limits } from './limits.js'
import { decodeItem } from './packing.js'
import { isPlaced, isSamePlacement, placementOfTask } from './placement.js'
import { Registry } from './registry.js'
import { readResult } from './results.js'
import { isPending, noHandler, start, type StartServices } from './start.js'

/** What an engine is made of. */
export interface EngineParts {
  readonly backend: Backend
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
  readonly limits: Limits
  readonly workerId: string
  /** New random identifiers. */
  readonly newId: () => string
}

/** How one start ended. A branch that was withdrawn or lost meanwhile reports nothing. */
export interface BranchReport {
  readonly kind: SettleKind
  /** Result, or error as a value. */
  readonly value: Uint8Array
  readonly delayMs: number
  /** Of a failed start or a retry. */
  readonly error?: GraflowError
}

/** A grant, ready to start its branches. */
export interface PreparedGrant {
  readonly grant: Grant
  readonly use: GraphInUse
  /** The group's node; undefined when the branch is a whole graph. */
  readonly node: GraphNode | undefined
  /** The group's path in its graph, as in this run. */
  readonly path: string
}

/** One branch of a prepared grant. */
export interface PreparedBranch {
  readonly node: GraphNode | undefined
  readonly path: string
  readonly staticPath: string
  /** What events call it. */
  readonly label: string
}

export class Engine {
  readonly parts: EngineParts
  readonly registry = new Registry()
  readonly arrivals = new Arrivals()
  readonly graphs: GraphStore
  readonly interpreter: Interpreter
  #orphans = 0
  readonly #starts: StartServices

  constructor(parts: EngineParts) {
    this.parts = parts
    const { backend, clock, random, emitter, limits } = parts
    this.graphs = new GraphStore(backend, limits.graphBytes)
    const channels = new WeakMap<Execution, ChannelAccess>()
    this.#starts = {
      clock,
      emitter,
      countOrphan: (change) => {
        this.#orphans += change
      },
      channelOf: ({ execution }) => {
        let channel = channels.get(execution)
        if (channel === undefined)
          channels.set(execution, (channel = channelOf(backend, execution, limits.itemBytes, parts.newId)))
        return channel
      },
      result: (frame, target) => this.#resultFor(frame, target),
      fork: (frame: Frame, path: string, expression: Expression, input: unknown, timer: Pausable | undefined) =>
        this.interpreter.fork(frame, path, expression, input, timer),
    }
    this.interpreter = new Interpreter({
      ...this.#starts,
      backend,
      clock,
      random,
      emitter,
      limits,
      graphs: this.graphs,
      registry: this.registry,
      arrivals: this.arrivals,
    })
  }

  /** Handlers that go on although their deadline has passed. */
  get orphans(): number {
    return this.#orphans
  }

  /** The graph of a grant; at once when it is known here. @throws GraflowError NO_GRAPH, INTEGRITY */
  prepare(grant: Grant): PreparedGrant | Promise<PreparedGrant> {
    const known = this.graphs.peek(grant.spec.graph)
    return known === undefined
      ? this.graphs.load(grant.spec.graph).then((graph) => this.#prepared(grant, graph))
      : this.#prepared(grant, known)
  }

  branch(prepared: PreparedGrant, k: number): PreparedBranch {
    const { grant, node, path } = prepared
    const { spec } = grant
    const index = grant.indexes[k] as number // k is one of the grant's branches
    if (node === undefined) return { node, path: '', staticPath: '', label: fullPath(prepared.use, '') }
    if (node.kind === 'each')
      return { node: node.body, path: `${path}/${index}`, staticPath: `${spec.node}/*`, label: labelOf(node.body) }
    if (node.kind !== 'group') return { node, path, staticPath: spec.node, label: labelOf(node) }
    const segment = groupSegment(node, index)
    const branch = node.branches[index]
    return {
      node: branch,
      path: `${path}/${segment}`,
      staticPath: `${spec.node}/${segment}`,
      label: branch === undefined ? segment : labelOf(branch),
    }
  }

  /**
   * Starts branch k of the grant. `report` is called once when it is over, maybe before this returns; never once its `cancel` was aborted.
   */
  start(
    prepared: PreparedGrant,
    k: number,
    slot: Slot,
    report: (execution: Execution, report: BranchReport) => void,
  ): Execution {
    const { grant, use } = prepared
    const branch = this.branch(prepared, k)
    const { spec } = grant
    const execution = new Execution({
      runId: spec.runId,
      holder: { gid: spec.gid, index: grant.indexes[k] as number, token: grant.token }, // k is one of the grant's branches
      fence: grant.fence,
      errors: grant.errors[k] ?? 0,
      losses: grant.losses[k] ?? 0,
      depth: spec.depth,
      slot,
      workerId: this.parts.workerId,
      staticPath: branch.staticPath,
    })
    const frame: Frame = { execution, use, cancel: execution.cancel }
    if (branch.node?.kind === 'task' && isDirect(prepared, use.graph.tasks[branch.node.name] ?? {})) {
      this.#startTask(frame, grant, k, branch.node.name, branch.path, report)
    } else {
      void this.#startNode(frame, grant, k, branch, report)
    }
    return execution
  }

  /** A branch that is one task: started at once, without the interpreter. */
  #startTask(
    frame: Frame,
    grant: Grant,
    k: number,
    name: string,
    path: string,
    report: (execution: Execution, report: BranchReport) => void,
  ): void {
    const { execution, use } = frame
    const { errors, losses } = execution.facts
    const options = use.graph.tasks[name] ?? {}
    const definition = use.code.task(name)
    const fail = (thrown: unknown): void => {
      if (execution.cancel.reason !== undefined) return
      if (thrown instanceof EndRun) return void this.#endRun(execution, thrown)
      const { error, isFromHandler } = originOf(thrown)
      const failure = taskError(error, isFromHandler, { task: name, path: fullPath(use, path), errors: errors + 1 })
      const isOver = errors + 1 >= (options.retry?.attempts ?? 1) || !isRetryable(error, isFromHandler)
      const delayMs = isOver ? 0 : retryDelayMs(options.retry ?? {}, errors + 1, this.parts.random)
      report(execution, { kind: isOver ? 'failed' : 'retry', value: encode(failure), delayMs, error: failure })
    }
    const succeed = (output: unknown): void => {
      if (execution.cancel.reason !== undefined) return
      let value: Uint8Array
      try {
        value = this.interpreter.encodeOutput(name, fullPath(use, path), output)
      } catch (error) {
        fail(error)
        return
      }
      report(execution, { kind: 'succeeded', value, delayMs: 0 })
    }
    if (definition?.handler === undefined) {
      fail(noHandler(name, fullPath(use, path), [this.parts.workerId]))
      return
    }
    try {
      const attempt = 1 + errors + losses
      const { context, output } = start(
        this.#starts,
        frame,
        definition,
        { task: name, path, attempt, pass: 1 },
        decodeItem(grant.inputs, grant.spec.shared ? 0 : k),
        options.timeoutMs,
      )
      const finish = (returned: unknown): void => {
        const asked = HandlerContext.asked(context)
        if (asked === undefined) succeed(returned)
        else void this.#obey(frame, definition, path, attempt, returned, asked).then(succeed, fail)
      }
      if (isPending(output)) output.then(finish, fail)
      else finish(output)
    } catch (thrown) {
      fail(thrown)
    }
  }

  /** As a branch of its own, a task may also jump: its result is then the jump's. */
  #obey(
    frame: Frame,
    definition: TaskExpression,
    path: string,
    attempt: number,
    returned: unknown,
    asked: Asked,
  ): Promise<unknown> {
    return this.interpreter.asBranch(() => this.interpreter.obey(frame, definition, path, attempt, returned, asked))
  }

  /** A branch of several tasks, or one that must be dispatched on. */
  async #startNode(
    frame: Frame,
    grant: Grant,
    k: number,
    branch: PreparedBranch,
    report: (execution: Execution, report: BranchReport) => void,
  ): Promise<void> {
    const { execution } = frame
    try {
      if (execution.facts.errors + execution.facts.losses > 0)
        await this.restore(execution, fullPath(frame.use, branch.path))
      const input = decodeItem(grant.inputs, grant.spec.shared ? 0 : k)
      const output = await this.interpreter.runBranch(frame, branch.node, branch.path, input)
      if (execution.cancel.reason !== undefined) return
      report(execution, {
        kind: 'succeeded',
        value: this.interpreter.encodeOutput(branch.label, fullPath(frame.use, branch.path), output),
        delayMs: 0,
      })
    } catch (thrown) {
      if (execution.cancel.reason !== undefined || thrown instanceof Dropped) return
      if (thrown instanceof EndRun) return this.#endRun(execution, thrown)
      const { error, isFromHandler } = originOf(thrown)
      const failure = taskError(error, isFromHandler, {
        task: branch.label,
        path: fullPath(frame.use, branch.path),
        errors: execution.facts.errors + 1,
      })
      report(execution, { kind: 'failed', value: encode(failure), delayMs: 0, error: failure })
    }
  }

  /** Reads what earlier starts of a branch finished, so that it is not run again. */
  async restore(execution: Execution, path: string): Promise<void> {
    execution.restore(await this.parts.backend.inspect.saved(execution.facts.runId, path))
  }

  /** A branch's handler ended the whole run: the store withdraws this branch with the rest. */
  async #endRun(execution: Execution, end: EndRun): Promise<void> {
    const { runId, holder } = execution.facts
    await this.parts.backend.control({ kind: 'end-run', holder, runId, ...endOf(end, runId, this.parts.limits) })
  }

  async #resultFor(frame: Frame, target: string | Expression): Promise<unknown> {
    const { execution, use } = frame
    const isWhole = use.base === ''
    const graph = isWhole ? use.graph : await this.graphOfRun(execution.facts.runId)
    return readResult(this.parts.backend.inspect, graph, execution.facts.runId, target, (path) =>
      execution.savedOutput(path),
    )
  }

  /** @throws GraflowError RUN_NOT_FOUND, NO_GRAPH */
  async graphOfRun(runId: string): Promise<Graph> {
    const record = await this.parts.backend.inspect.run(runId)
    if (record === undefined)
      throw new GraflowError('RUN_NOT_FOUND', `there is no run "${runId}", or it is past its retention`, {
        details: { runId },
      })
    return this.graphs.load(record.graph)
  }

  #prepared(grant: Grant, graph: Graph): PreparedGrant {
    const { spec } = grant
    const place = spec.gid === spec.runId ? '' : spec.gid.slice(spec.runId.length + 1)
    const code = this.registry.codeOf(spec.runId)
    if (spec.node === '')
      return { grant, use: { hash: spec.graph, graph, code, base: place }, node: undefined, path: '' }
    const node = nodeAt(graph, spec.node)
    if (node === undefined)
      throw new GraflowError('INTEGRITY', `graph ${spec.graph} has nothing at ${spec.node}`, {
        details: { graph: spec.graph, path: spec.node },
      })
    const { base, path } = splitPlace(place, spec)
    return { grant, use: { hash: spec.graph, graph, code, base }, node, path }
  }
}

/** How a run that a handler ended is recorded. */
export function endOf(
  end: EndRun,
  runId: string,
  limits: Limits,
): { readonly state: 'completed' | 'cancelled'; readonly value: Uint8Array; readonly reason: string } {
  if (end.state === 'completed')
    return {
      state: 'completed',
      value: encode(end.value, 'the result given to finish', limits.runResultBytes),
      reason: '',
    }
  const reason = String(end.value)
  return { state: 'cancelled', value: encode(cancelled(runId, reason)), reason }
}

/** The error of a cancelled run. */
export const cancelled = (runId: string, reason: string): GraflowError =>
  new GraflowError('CANCELLED', `run ${runId} was cancelled: ${reason}`, { details: { runId, reason } })

/** A place in the run is where the graph stands, then a place in it; the latter has as many segments as its static path. */
function splitPlace(place: string, spec: GroupSpec): { readonly base: string; readonly path: string } {
  const segments = place.split('/')
  const own = spec.node.split('/').length
  return {
    base: segments.slice(0, segments.length - own).join('/'),
    path: segments.slice(segments.length - own).join('/'),
  }
}

/** Whether a task branch may run where it was acquired: it asks for nothing more than its group got. */
function isDirect({ grant, node }: PreparedGrant, options: TaskOptions): boolean {
  if (!isPlaced(options)) return true
  if (node?.kind !== 'group' && node?.kind !== 'each') return true
  const { queue, requires, affinity } = grant.spec
  const wanted = placementOfTask(options)
  return isSamePlacement({ ...wanted, queue: node.options.queue ?? wanted.queue }, { queue, requires, affinity })
}

const labelOf = (node: GraphNode): string =>
  node.kind === 'task' || node.kind === 'workflow' ? node.name : `(${node.kind})`
