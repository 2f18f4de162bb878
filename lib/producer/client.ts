/**
 * The client: starts runs, and drives those that its own session holds.
 *
 * The file is long because every method of the client stands here, most of them a few lines.
 */
import type { Grant, OpenAnswer, OpenRequest, RunRecord, Token } from '../backend/backend.js'
import { Cancellation, Unreported } from '../engine/cancellation.js'
import { isEnded, type Drive, type HeldRun } from '../engine/driver.js'
import { mustBeDurable, openedDurably } from '../engine/durability.js'
import { asError } from '../engine/failure.js'
import { missingPolicy } from '../engine/joins.js'
import { codeFrom, policyOfCode, waitOfCode } from '../engine/routing.js'
import { unlessSlow } from '../engine/schemas.js'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import type { Events, Span } from '../events.js'
import { expressionOf } from '../flow/node.js'
import type { Expression } from '../flow/expression.js'
import type { Graph } from '../graph/graph.js'
import { nextTurn } from '../session/holdings.js'
import type { Session } from '../session/open-session.js'
import { AwaitingHandlers, type CallingHandler } from './awaiting-handlers.js'
import { BuildList, checkBuild } from './builds.js'
import { ClientMetrics } from './client-metrics.js'
import { isDistant } from './follow-run.js'
import { runNotFound, type HandleServices } from './handle-services.js'
import { workflowNamed } from './named-workflows.js'
import { RunOpening } from './opening.js'
import { DeadLetterBox } from './dead-letters.js'
import type { Deployments } from './deployment-types.js'
import type { Builds, Queues } from './operator-types.js'
import type { OperatorServices, OperatorsOf } from './operators.js'
import {
  flowToRun,
  prepareRun,
  prepareStored,
  reasonOf,
  type FlowToRun,
  type PreparedRun,
  type StoredWork,
  type Where,
} from './prepare-run.js'
import { mayBeKnown, refusalOf } from './refused-run.js'
import { isLost, Resumer } from './resumer.js'
import { RunHandle } from './run-handle.js'
import { RunStates } from './run-states.js'
import { checkFlow, openedRun, orKnown } from './same-flow.js'
import { waitsOfRun } from './run-waits.js'
import type { ServerInfo } from './server-types.js'
import { tieTo } from './signal-ties.js'
import type { DeadLetters, Graflow, Run, RunOptions, Runs, RunWaits, Workers } from './types.js'
import { workersOf } from './workers.js'

export interface ClientOptions {
  /** The client's from now on: closed with it. */
  readonly session: Session
  /** How long records and results of runs are kept after their end. */
  readonly retentionMs: number
  /** What operators read and do: `operatorsOf` of lib/admin. */
  readonly operators: OperatorsOf
  /** Ends what else was started with the client, after its session. */
  readonly onClose?: () => Promise<void>
}

export class Client implements Graflow {
  readonly instanceId: string
  readonly events: Events
  readonly workers: Workers
  readonly waits: RunWaits
  readonly runs: Runs
  readonly queues: Queues
  readonly deadLetters: DeadLetters
  readonly builds: Builds
  #server: (ServerInfo & { close(): Promise<void> }) | undefined
  readonly deployments: Deployments
  readonly #options: ClientOptions
  readonly #session: Session
  readonly #handles: HandleServices
  readonly #metrics: ClientMetrics
  #isRunning = true
  #closing: Promise<void> | undefined
  readonly #closed = new Cancellation()
  /** Runs that this process takes up when nobody drives them. */
  readonly #resumers = new Map<string, Resumer>()

  constructor(options: ClientOptions) {
    const { session } = options
    this.#options = options
    this.#session = session
    this.#metrics = new ClientMetrics(session)
    this.instanceId = session.baseId
    this.events = session.emitter
    this.workers = workersOf(session.backend)
    const operators = options.operators(this.#operatorServices())
    this.runs = operators.runs
    this.queues = operators.queues
    this.waits = operators.waits
    this.deployments = operators.deployments
    this.builds = new BuildList(session.backend.inspect)
    const { backend, engine, emitter, holdings } = session
    this.deadLetters = new DeadLetterBox({ backend, engine, submit: (work) => this.#submitStored(work) })
    this.#handles = {
      ...{ backend, engine, emitter, closed: this.#closed, states: new RunStates(session, session.id) },
      awaiting: new AwaitingHandlers(session),
      driven: (runId) => holdings.driven(runId)?.ended,
      watchRun: (runId) => session.watchRun(runId),
      standsBy: (runId) => this.#resumers.has(runId),
    }
  }

  #operatorServices(): OperatorServices {
    const { backend, engine, newId } = this.#session
    return {
      ...{ backend, engine, clock: engine.parts.clock, newId, session: this.#session.id },
      retentionMs: this.#options.retentionMs,
      checkOpen: () => this.#checkOpen(),
      handleOf: (runId) => new RunHandle(runId, this.#handles, 'no handler'),
      submit: (flow, input, options) => this.#open(flow, [input, options], 'driven anywhere', 'no handler'),
      waitsOf: (runId) => {
        checkRunId('waits.of', runId)
        return waitsOfRun(this.#handles, runId)
      },
      goesOn: (record, graph, step) => this.#goesOn(record, graph, step),
    }
  }

  get server(): ServerInfo | undefined {
    return this.#server && { url: this.#server.url, port: this.#server.port }
  }

  /** From now on a server stands over this client: it is closed with it, and before it. */
  servedBy(server: ServerInfo & { close(): Promise<void> }): void {
    this.#server = server
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  get isLeader(): boolean {
    return this.#session.lifecycle.isLeader
  }

  onBecameLeader(fn: (term: number) => unknown): () => void {
    return this.#session.lifecycle.onBecameLeader(fn)
  }

  onLostLeadership(fn: (term: number) => unknown): () => void {
    return this.#session.lifecycle.onLostLeadership(fn)
  }

  onError(fn: (error: Error) => unknown): () => void {
    return this.#session.lifecycle.onError(fn)
  }

  async run(node: unknown, ...rest: [input?: unknown, options?: RunOptions]): Promise<never> {
    // The caller gets no handle: what waits for the run is known now.
    const caller = this.#handles.awaiting.caller ?? 'no handler'
    const started = await this.#open(flowToRun(expressionOf(node, 'run')), rest, 'driven at once', caller)
    return started.result() // the flow says what its result is
  }

  async start(node: unknown, ...rest: [input?: unknown, options?: RunOptions]): Promise<Run<never>> {
    return await this.#open(flowToRun(expressionOf(node, 'start')), rest, 'driven here') // as above
  }

  async submit(node: unknown, ...rest: [input?: unknown, options?: RunOptions]): Promise<Run<never>> {
    const { caller } = this.#handles.awaiting
    const flow = typeof node === 'string' ? await this.#flowNamed(node) : flowToRun(expressionOf(node, 'submit'))
    return await this.#open(flow, rest, 'driven anywhere', caller) // as above
  }

  async #flowNamed(name: string): Promise<FlowToRun> {
    this.#checkOpen()
    const { backend, engine } = this.#session
    return workflowNamed(backend.inspect, engine, name)
  }

  async metrics(): Promise<string> {
    this.#checkOpen()
    return this.#metrics.text()
  }

  async attach(runId: string, node?: unknown): Promise<Run<never>> {
    this.#checkOpen()
    const { caller } = this.#handles.awaiting
    checkRunId('attach', runId)
    const expression = node === undefined ? undefined : expressionOf(node, 'attach')
    const record = await this.#recordOf(runId)
    if (record.state === 'pending') this.#session.watchUntilTaken(runId)
    if (expression === undefined) return new RunHandle(runId, this.#handles, caller) // as above
    await checkFlow(this.#session.engine.graphs, 'attach', record, expression)
    // Its handlers are not for a run of another flow.
    this.#session.engine.registry.learn(expression)
    return new RunHandle(runId, this.#handles, caller) // as above
  }

  async resume(runId: string, node?: unknown): Promise<Run<never>> {
    this.#checkOpen()
    const { caller } = this.#handles.awaiting
    checkRunId('resume', runId)
    const expression = node === undefined ? undefined : expressionOf(node, 'resume')
    const record = await this.#recordOf(runId)
    checkBuild(runId, record.build, this.#session.buildId)
    if (expression !== undefined) {
      const { graphs, registry } = this.#session.engine
      await checkFlow(graphs, 'resume', record, expression)
      registry.learn(expression)
    }
    if (!isEnded(record) && this.#handles.driven(runId) === undefined) {
      await this.#checkPolicies(record)
      await this.#closed.race(this.#standBy(runId, record.workflow, expression).asked)
    }
    return new RunHandle(runId, this.#handles, caller) // as above
  }

  async #recordOf(runId: string): Promise<RunRecord> {
    const record = await this.#session.backend.inspect.run(runId)
    if (record === undefined) throw runNotFound(runId)
    return record
  }

  /** Without a policy of one of its groups this process would fail the run. @throws GraflowError NO_SUCH_POLICY, NO_GRAPH */
  async #checkPolicies({ runId, graph: hash }: RunRecord): Promise<void> {
    const { graphs, registry } = this.#session.engine
    const code = registry.codeOf(runId)
    for (const name of codeFrom(await graphs.load(hash), 0)) {
      const policy = policyOfCode(name)
      if (policy !== undefined && code.policy(policy) === undefined) throw missingPolicy(policy, runId)
    }
  }

  /** A run was reopened. One that was started is driven here, where its code is known; any other by a worker. */
  async #goesOn({ runId, workflow, hasOpener }: RunRecord, graph: Graph, step: number): Promise<void> {
    const code = this.#session.engine.registry.codeOf(runId)
    const isKnown = (name: string): boolean => {
      const [policy, signal] = [policyOfCode(name), waitOfCode(name)]
      if (policy !== undefined) return code.policy(policy) !== undefined
      return signal === undefined ? code.task(name)?.handler !== undefined : code.wait(signal)?.schema !== undefined
    }
    if (hasOpener && codeFrom(graph, step).every(isKnown)) {
      await this.#closed.race(this.#standBy(runId, workflow, undefined).asked)
    } else this.#session.watchUntilTaken(runId)
  }

  /** From now on this process drives the run whenever nobody else does, until the run is over. */
  #standBy(runId: string, workflow: string | undefined, expression: Expression | undefined): Resumer {
    const known = this.#resumers.get(runId)
    if (known !== undefined) return known
    const { registry } = this.#session.engine
    if (expression !== undefined && !registry.knows(runId)) registry.tie(runId, '', expression)
    const resumer = new Resumer({
      ...{ session: this.#session, runId },
      drive: (grant) => this.#driveTaken(grant, workflow),
      onEnd: () => {
        this.#resumers.delete(runId)
        registry.forget(runId)
      },
    })
    this.#resumers.set(runId, resumer)
    return resumer
  }

  async #driveTaken(grant: Grant, workflow: string | undefined): Promise<Drive | undefined> {
    if (!this.#isRunning) return undefined // the session is closed with what it holds
    const { runId } = grant.spec
    let unreadable: GraflowError | undefined
    const drive = await this.#session.holdings.driveTaken(grant, 0, undefined, (error) => {
      unreadable = error
    })
    if (unreadable !== undefined) throw unreadable
    if (drive === undefined) return undefined
    this.#handles.states.resumed({ runId, workflow, over: () => undefined }, drive.ended)
    return drive
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const { instanceId } = this
    await this.#server?.close() // first: its requests are answered by what closes here
    this.#isRunning = false
    const reason = new GraflowError('CLOSED', `client ${instanceId} was closed while the run was in flight`)
    this.#closed.abort(reason)
    for (const resumer of this.#resumers.values()) resumer.stop()
    await this.#session.holdings.stop(reason, new Unreported(`client ${instanceId} was closed`, 'CLOSED'))
    this.#handles.states.close()
    this.#metrics.close()
    await this.#session.close()
    await this.#options.onClose?.()
  }

  async #open(
    flow: FlowToRun,
    rest: readonly [input?: unknown, options?: RunOptions],
    where: Where,
    caller: CallingHandler | 'no handler' | undefined = this.#handles.awaiting.caller,
  ): Promise<RunHandle> {
    this.#checkOpen()
    let run = prepareRun(this.#session, flow, rest, where, this.#options.retentionMs)
    const looking = refusalOf(run)
    const { clock } = this.#session.engine.parts
    const refusal = looking === undefined ? undefined : await unlessSlow(clock, looking, undefined)
    if (refusal !== undefined) {
      if (!mayBeKnown(rest[1])) throw refusal
      // A run that is there already is given. A new one is driven here, where it is refused.
      where = 'driven here'
      run = prepareRun(this.#session, flow, rest, where, this.#options.retentionMs)
    }
    const { registry, graphs } = this.#session.engine
    const { runId, graph: hash } = run.request
    // Known before the run is: a worker may be faster. A run that is under way here keeps its own code, whatever comes of this start.
    const isUnderWay = registry.knows(runId)
    if (!isUnderWay && run.expression !== undefined) registry.tie(runId, '', run.expression)
    const durability = run.request.terms?.durability
    let answer: OpenAnswer | undefined
    try {
      // Who asks for a result of the run needs it, also where no group is ever dispatched.
      if (!graphs.isUploaded(hash)) await graphs.upload(hash, run.graph)
      await mustBeDurable(this.#session.backend, durability)
      answer = await this.#launch(run, where, isUnderWay)
    } finally {
      // This began no run: the next start of its id brings its own code.
      if (!isUnderWay && answer?.status !== 'ok') registry.forget(runId, '', run.expression)
    }
    const opened = openedRun(await orKnown({ backend: this.#session.backend, graphs }, answer, run), run.request)
    if (where === 'driven anywhere') this.#session.watchUntilTaken(opened)
    await openedDurably(this.#session.backend, opened, durability)
    const handle = new RunHandle(opened, this.#handles, caller)
    // also where the run was there already
    if (run.signal !== undefined) this.#tie(run.signal, new RunHandle(opened, this.#handles, 'no handler'))
    return handle
  }

  /** Opens a run and, if this process holds it then, drives it. */
  async #launch(run: PreparedRun, where: Where, isUnderWay: boolean): Promise<OpenAnswer> {
    const { holdings, announcer } = this.#session
    const { request } = run
    const { runId } = request
    const isDurable = request.terms?.durability !== undefined
    const arrived = holdings.expectGrant()
    this.#handles.states.expect(runId)
    let early: Drive | undefined
    let answer: OpenAnswer | undefined
    try {
      if (where === 'driven at once' && !isUnderWay && run.beginsWithGroup && !isDurable && this.#isUnobserved()) {
        const opening = new RunOpening((first) => this.#send({ ...request, ...(first !== undefined && { first }) }))
        announcer?.learn(runId, false) // no process watches a run that is not opened yet
        early = holdings.drive(this.#heldRun(run, opening))
        answer = await opening.answer()
      } else answer = await (where === 'driven anywhere' ? this.#submit(run) : this.#send(request))
      if (answer.status === 'ok') {
        // another start of this id, with another flow, may have begun before, and come to nothing
        if (isUnderWay && run.expression !== undefined) this.#session.engine.registry.tie(runId, '', run.expression)
        this.#session.emitter.emit('workflow:execution', { runId, change: 'started' })
        this.#begin(run, answer.token, where, early)
      }
      return answer
    } finally {
      arrived()
      if (answer?.status !== 'ok') {
        this.#handles.states.dismiss(runId)
        early?.execution.cancel.abort(new Unreported(`run ${runId} was not opened`))
      }
    }
  }

  /** Who drives it makes its span below this one. Without a span not even a turn is between the answer and the caller that waits for it. */
  #submit({ request, workflow }: PreparedRun): Promise<OpenAnswer> {
    const span = this.#session.emitter.tracer?.start('submit', { runId: request.runId, workflow })
    return span === undefined ? this.#send(request) : this.#submitTraced(request, span)
  }

  async #submitTraced(request: OpenRequest, span: Span): Promise<OpenAnswer> {
    try {
      return await this.#send({ ...request, trace: span.traceparent })
    } catch (error) {
      span.fail(asError(error))
      throw error
    } finally {
      span.end()
    }
  }

  async #submitStored(work: StoredWork): Promise<RunHandle> {
    const { graphs } = this.#session.engine
    const request = prepareStored(this.#session, work, this.#options.retentionMs)
    await graphs.upload(request.graph, work.graph)
    const opened = openedRun(await this.#send(request), request)
    this.#session.watchUntilTaken(opened)
    return new RunHandle(opened, this.#handles, this.#handles.awaiting.caller)
  }

  async #send(request: OpenRequest): Promise<OpenAnswer> {
    const { backend } = this.#session
    const answer = await backend.open(request)
    if (answer.status !== 'nosession') return answer
    // The store took this process for dead, as after a long pause; nothing was opened.
    await this.#session.reopen()
    return backend.open(request)
  }

  #heldRun(run: PreparedRun, token: HeldRun['token']): HeldRun {
    const { request, graph, timeoutMs } = run
    const { runId, graph: hash, input, requires = [], terms } = request
    const code = this.#session.engine.registry.codeOf(runId)
    const { workflow } = run
    const named = workflow === undefined ? {} : { workflow }
    const asked = terms === undefined ? {} : { terms }
    return {
      ...named,
      ...asked,
      runId,
      token,
      input,
      timeoutMs,
      requires,
      losses: 0,
      use: { hash, graph, code, base: '' },
    }
  }

  /** Tracks a new run and, if this process holds it, drives it. A caller that gets its handle can subscribe before its first event. */
  #begin(run: PreparedRun, token: Token | undefined, where: Where, early: Drive | undefined): void {
    const { runId } = run.request
    const { states } = this.#handles
    const track = (): void => {
      if (!this.#isRunning) return
      const isDrivenHere = token !== undefined
      const over = (): void => {
        if (!this.#resumers.has(runId)) this.#session.engine.registry.forget(runId)
      }
      const known = isDrivenHere ? 'running' : 'pending'
      states.track({ runId, workflow: run.workflow, known, isDrivenHere, over })
    }
    if (where === 'driven at once') track()
    const begin = where === 'driven at once' ? undefined : nextTurn().then(track)
    if (token === undefined) return
    // No process watches a run that is only just there: that is asked when it takes longer.
    this.#session.announcer?.learn(runId, false)
    const held = { ...this.#heldRun(run, token), ...(begin !== undefined && { begin }) }
    const drive = early ?? this.#session.holdings.drive(held)
    states.ends(runId, drive.ended)
    drive.ended.then(
      (end) => {
        if (this.#isRunning && isLost(drive, end)) this.#standBy(runId, run.workflow, run.expression)
      },
      () => undefined, // it is logged
    )
  }

  /**
   * Whether the store is elsewhere, so that a call is worth saving, and there is no listener for what would happen in a run before it is
   * known to be opened.
   */
  #isUnobserved(): boolean {
    const { emitter, backend } = this.#session
    return isDistant(backend) && !emitter.has('run:state') && !emitter.has('group:dispatched')
  }

  /** Cancels the run when the signal aborts, as long as it runs. */
  #tie(signal: AbortSignal, handle: RunHandle): void {
    const cancel = (): void => {
      handle.cancel(reasonOf(signal)).catch(() => undefined) // over, or closed: nothing to cancel
    }
    if (signal.aborted) cancel()
    const untie = tieTo(signal, cancel)
    handle.result().then(untie, untie)
  }

  #checkOpen(): void {
    if (!this.#isRunning) throw new GraflowError('CLOSED', `client ${this.instanceId} is closed: connect again`)
  }
}

/** Callers may have no types. @throws GraflowError INVALID_OPTION */
function checkRunId(what: string, runId: unknown): void {
  if (typeof runId === 'string') return
  throw new GraflowError('INVALID_OPTION', `${what} takes the id of a run, a string, got ${describe(runId)}`, {
    details: { option: 'runId' },
  })
}
