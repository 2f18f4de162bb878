/**
 * The engine of one process: starts branches, interprets graphs, and gives handlers what their context promises. The executor decides what
 * to acquire and when to settle; the engine knows what a branch is.
 */
import type { Backend, Grant } from '../backend/backend.js'
import type { Emitter, Span } from '../events.js'
import { GraflowError } from '../errors.js'
import type { Expression } from '../flow/expression.js'
import type { Graph } from '../graph/graph.js'
import type { Clock, Random } from '../time.js'
import { BarrierWaits } from './barrier-waits.js'
import type { BranchKeeper } from './branch-keeper.js'
import { Unreported } from './cancellation.js'
import { channelOf } from './channels.js'
import { checkedOutputs, faultLine, type CheckedOutputs } from './checksums.js'
import { givenPacked } from '../values/captured.js'
import { encodeFailure } from '../values/codec.js'
import { reasonText } from '../values/error-record.js'
import { packedOf } from '../values/packed-arrays.js'
import type { Pausable } from './context.js'
import { Execution, runPathOf, type Frame, type GraphInUse } from './execution.js'
import { endOfBranch, taskError } from './failure.js'
import { GraphStore } from './graph-store.js'
import { EndRun } from './directives.js'
import { Interpreter } from './interpreter.js'
import { Locks } from './locks.js'
import { type Limits } from '../options.js'
import { Parking } from './parking.js'
import { Pauses } from './pauses.js'
import { PreparedGrant, type PreparedBranch } from './prepared-grant.js'
import { Registry, type Code } from './registry.js'
import type { RunFlows } from './result-paths.js'
import { readResult } from './results.js'
import { ProgressNotes } from './progress-notes.js'
import { StepsSeen } from './steps-seen.js'
import { originOf, type StartOptions } from './start.js'
import { reportOutput } from './task-output.js'
import { optionsOf, reportStart } from './task-terms.js'
import { TaskStart, type TaskStartOptions } from './task-start.js'
import type { ThreadRunner } from './thread-runner.js'

/** What an engine is made of. */
export interface EngineOptions {
  readonly backend: Backend
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
  readonly limits: Limits
  readonly workerId: string
  /** New random identifiers. */
  readonly newId: () => string
  /** For tasks with `isolation: 'thread'`. */
  readonly threads?: ThreadRunner
  /** Names of code that this process says that it has, where it takes work beside other workers. */
  readonly offered?: ReadonlySet<string>
  /** As of `StillHeldOptions`. */
  readonly mayBeLost?: () => boolean
  /** What stands between runs and the code of flows, in a test. */
  readonly codeThrough?: (code: Code) => Code
}

export class Engine {
  readonly parts: EngineOptions
  readonly registry: Registry
  readonly barrierWaits = new BarrierWaits()
  readonly graphs: GraphStore
  readonly interpreter: Interpreter
  readonly pauses: Pauses
  /** What drivers have done of their runs. */
  readonly stepsSeen: StepsSeen
  readonly progress: ProgressNotes
  #orphans = 0
  readonly #starts: TaskStartOptions

  constructor(parts: EngineOptions) {
    this.parts = parts
    this.registry = new Registry(parts.codeThrough)
    const { backend, clock, random, emitter, limits } = parts
    this.graphs = new GraphStore({ ...parts, graphBytes: limits.graphBytes, graphs: limits.graphs })
    this.pauses = new Pauses(backend, clock)
    this.stepsSeen = new StepsSeen(parts)
    this.progress = new ProgressNotes(parts)
    const locks = new Locks(parts)
    const starts: StartOptions = {
      clock,
      emitter,
      limits,
      ...(parts.threads !== undefined && { threads: parts.threads }),
      countOrphan: (change) => {
        this.#orphans += change
      },
      channelOf: ({ execution }, cancel) => channelOf(backend, { execution, cancel }, limits, parts.newId, locks),
      result: (frame, path, target) => this.#resultFor(frame, path, target),
      fork: (frame: Frame, path: string, expression: Expression, input: unknown, timer: Pausable | undefined) =>
        this.interpreter.fork(frame, path, expression, input, timer),
      noteProgress: (execution, progress) => this.progress.note(execution, progress),
      wait: (frame, path, wait, start) => this.interpreter.waits.inHandler(frame, path, wait, start),
      reportLeft: (frame, { task, path, attempt }, leftMs) => {
        const { losses } = frame.execution.facts
        const terms = { options: optionsOf(frame.use, task), errors: Math.max(0, attempt - 1 - losses), losses }
        return reportStart(backend, frame, { task, path: runPathOf(frame.use, path), ...terms, leftMs })
      },
    }
    this.interpreter = new Interpreter({
      ...starts,
      backend,
      clock,
      random,
      emitter,
      limits,
      graphs: this.graphs,
      registry: this.registry,
      ...(parts.offered !== undefined && { offered: parts.offered }),
      ...(parts.mayBeLost !== undefined && { mayBeLost: parts.mayBeLost }),
      pauses: this.pauses,
      stepsSeen: this.stepsSeen,
      barrierWaits: this.barrierWaits,
      graphOfRun: (runId) => this.graphOfRun(runId),
    })
    this.#starts = {
      ...starts,
      follower: this.interpreter.follower,
      limits,
      random,
      reportStart: (frame, report) => reportStart(backend, frame, report),
      endRun: (execution, end) => this.#endRun(execution, end),
    }
  }

  /** Handlers that go on although their deadline has passed. */
  get orphans(): number {
    return this.#orphans
  }

  /** The graph of a grant; at once when it is known here. @throws GraflowError NO_GRAPH, INTEGRITY */
  prepare(grant: Grant): PreparedGrant | Promise<PreparedGrant> {
    const known = this.graphs.peek(grant.spec.graph)
    return known === undefined
      ? this.graphs.loadForWork(grant.spec.graph).then((graph) => this.#prepared(grant, graph))
      : this.#prepared(grant, known)
  }

  #prepared(grant: Grant, graph: Graph): PreparedGrant {
    const { runId } = grant.spec
    const { offered, workerId } = this.parts
    const hasOthers = offered !== undefined
    return new PreparedGrant(grant, graph, (base) => this.registry.codeOf(runId, base), workerId, hasOthers)
  }

  /** Starts branch k of the grant, for `keeper`. */
  start(prepared: PreparedGrant, k: number, keeper: BranchKeeper): Execution {
    const branch = prepared.branch(k)
    const execution = new Execution(branch, keeper)
    const { trace } = prepared.grant.spec
    if (trace !== undefined) {
      const span = this.#spanOf(branch, prepared.grant.spec.queue, trace)
      execution.span = span
      if (span !== undefined) {
        span.run(() => this.#begin(prepared, branch, execution, keeper))
        return execution
      }
    }
    this.#begin(prepared, branch, execution, keeper)
    return execution
  }

  /** A span for this start of the branch, below that of its group. */
  #spanOf(branch: PreparedBranch, queue: string, trace: string): Span | undefined {
    const { runId, runPath: path, label: task, errors, losses, workerId: worker } = branch
    const facts = { runId, path, task, attempt: 1 + errors + losses, losses, worker, queue }
    return this.parts.emitter.tracer?.start('branch', facts, trace)
  }

  #begin(prepared: PreparedGrant, branch: PreparedBranch, execution: Execution, keeper: BranchKeeper): void {
    const task = prepared.directTask(branch.node)
    if (task === undefined) {
      void this.#startNode(prepared.use, branch, execution, keeper, (frame) =>
        this.interpreter.runBranch(frame, branch.node, branch.path, branch.input(), prepared.queueFor(branch.node)),
      )
    } else if (task.hasOwnTerms) {
      void this.#startNode(prepared.use, branch, execution, keeper, (frame) =>
        this.interpreter.runTask(frame, task, branch.path, branch.input()),
      )
    } else new TaskStart(this.#starts, execution, prepared.use, branch, task, keeper).begin()
  }

  /** A branch of several tasks, or one that must be forwarded, or one with other terms than its group. */
  async #startNode(
    use: GraphInUse,
    branch: PreparedBranch,
    execution: Execution,
    keeper: BranchKeeper,
    work: (frame: Frame) => Promise<unknown>,
  ): Promise<void> {
    try {
      if (branch.isAgain) await this.restore(execution, branch.runPath)
      const frame: Frame = { execution, use, cancel: execution.cancel }
      const output = await work(frame)
      if (execution.cancel.reason !== undefined) return
      const of = { task: branch.label, runPath: branch.runPath }
      reportOutput(keeper, execution, output, of, this.parts.limits.resultBytes)
    } catch (thrown) {
      await this.#failNode(branch, execution, keeper, thrown)
    }
  }

  async #failNode(branch: PreparedBranch, execution: Execution, keeper: BranchKeeper, thrown: unknown): Promise<void> {
    if (execution.cancel.reason !== undefined) return
    if (thrown instanceof Parking) {
      keeper.parked(execution, thrown.park)
      return
    }
    if (thrown instanceof Unreported) return
    if (thrown instanceof EndRun) {
      // What it was to end with may be something that cannot be carried: then the branch fails with that.
      return this.#endRun(execution, thrown).catch((error: unknown) => this.#failNode(branch, execution, keeper, error))
    }
    const { error, isFromHandler } = originOf(thrown)
    const { label: task, runPath: path, errors, itemLabel: label } = branch
    const failure = taskError(error, isFromHandler, { task, path, label, errors: errors + 1 })
    keeper.failed(execution, { kind: endOfBranch(error, isFromHandler), delayMs: 0, error: failure })
  }

  /** Reads what earlier starts of a branch finished, so that it is not run again. */
  async restore(execution: Execution, path: string): Promise<void> {
    execution.restore(await this.savedOf(execution.facts.runId, path))
  }

  /** What was saved at this path of a run and below it, checked; what is damaged is logged. @throws GraflowError CHECKPOINT_VERSION */
  async savedOf(runId: string, path: string): Promise<CheckedOutputs> {
    const { backend, emitter } = this.parts
    const checked = checkedOutputs(runId, path, await backend.inspect.saved(runId, path))
    for (const fault of checked.faults) {
      emitter.emit('log', { level: 'warn', message: faultLine(runId, fault), runId, path: fault.path })
    }
    return checked
  }

  /** A branch's handler ended the whole run: the store withdraws this branch with the rest. */
  async #endRun(execution: Execution, end: EndRun): Promise<void> {
    const { runId, holder } = execution.facts
    await this.parts.backend.control({ kind: 'end-run', holder, runId, ...endOf(end, runId, this.parts.limits) })
  }

  async #resultFor(frame: Frame, path: string, target: string | Expression): Promise<unknown> {
    const { execution, use } = frame
    const { runId } = execution.facts
    const layers: GraphInUse[] = []
    let whole: Graph | undefined
    for (let at: GraphInUse | undefined = use; at !== undefined; at = at.outer?.use) {
      if (at.base === '') whole = at.graph
      else layers.push(at)
    }
    const asker = { path: runPathOf(use, path), layers, saved: () => execution.savedOutputs() }
    const local = (path: string): Uint8Array | undefined => execution.savedOutput(path)
    return readResult(this.flowsOf(runId), whole ?? (await this.graphOfRun(runId)), target, local, asker)
  }

  /** Where results of a run are looked up. */
  flowsOf(runId: string): RunFlows {
    return { inspect: this.parts.backend.inspect, runId, load: (hash) => this.graphs.load(hash) }
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
      value: packedOf(givenPacked(end.value), 'the result given to finish', limits.runResultBytes, 'runResultBytes'),
      reason: '',
    }
  const reason = reasonText(end.value)
  return { state: 'cancelled', value: encodeFailure(cancelled(runId, reason)), reason }
}

/** The error of a cancelled run. */
export const cancelled = (runId: string, reason: string): GraflowError =>
  new GraflowError('CANCELLED', `run ${runId} was cancelled: ${reason}`, { details: { runId, reason } })
