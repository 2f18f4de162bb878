/** The client: starts runs, drives those it started, and lends this process's worker executor to what they dispatch. */
import { createHash, hash as hashOnce } from 'node:crypto'
import type { OpenAnswer, OpenRequest } from '../backend/backend.js'
import { Cancellation, Unreported } from '../engine/cancellation.js'
import { encode } from '../values/codec.js'
import type { Drive, DriveEnd, HeldRun } from '../engine/driver.js'
import { fullStore } from '../engine/graph-store.js'
import { beginsWithGroup, tasksInPlace } from '../engine/routing.js'
import { GraflowError } from '../errors.js'
import type { Events } from '../events.js'
import { tasksOf } from '../flow/collect.js'
import type { Expression } from '../flow/expression.js'
import { expressionOf } from '../flow/node.js'
import type { AnyNode } from '../flow/types.js'
import type { Graph } from '../graph/graph.js'
import { graphOf } from '../graph/graph-of.js'
import { checkOptions, RUN_OPTIONS } from '../options.js'
import { nextTurn } from '../session/holdings.js'
import type { Session } from '../session/open-session.js'
import { runNotFound, type HandleServices } from './handle-services.js'
import { RunHandle } from './run-handle.js'
import { RunStates } from './run-states.js'
import type { Graflow, Run, RunOptions } from './types.js'

export interface ClientOptions {
  /** The client's from now on: closed with it. */
  readonly session: Session
  /** How long records and results of runs are kept after their end. */
  readonly retentionMs: number
  /** Ends what else was started with the client, after its session. */
  readonly onClose?: () => void
}

/** Drivers that a run may lose before it has failed. */
const DRIVER_MAX_LOSSES = 1_000

/** `at once` where nobody gets a handle of the run. */
type Where = 'driven at once' | 'driven here' | 'driven anywhere'

export class Client implements Graflow {
  readonly instanceId: string
  readonly events: Events
  readonly #options: ClientOptions
  readonly #session: Session
  readonly #handles: HandleServices
  #isRunning = true
  #closing: Promise<void> | undefined
  readonly #closed = new Cancellation()

  constructor(options: ClientOptions) {
    const { session } = options
    this.#options = options
    this.#session = session
    this.instanceId = session.baseId
    this.events = session.emitter
    const { backend, engine, emitter, holdings } = session
    this.#handles = {
      ...{ backend, engine, emitter, closed: this.#closed, states: new RunStates(session, session.id) },
      driven: (runId) => holdings.driven(runId)?.ended,
    }
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  async run(node: AnyNode, ...rest: [input?: unknown, options?: RunOptions]): Promise<never> {
    const started = await this.#open(node, rest, 'driven at once')
    return started.result() // the flow says what its result is
  }

  async start(node: AnyNode, ...rest: [input?: unknown, options?: RunOptions]): Promise<Run<never>> {
    return await this.#open(node, rest, 'driven here') // as above
  }

  async submit(node: AnyNode, ...rest: [input?: unknown, options?: RunOptions]): Promise<Run<never>> {
    return await this.#open(node, rest, 'driven anywhere') // as above
  }

  async attach(runId: string, node?: AnyNode): Promise<Run<never>> {
    this.#checkOpen()
    const { backend, engine } = this.#session
    const expression = node === undefined ? undefined : expressionOf(node)
    const given = expression === undefined ? undefined : engine.graphs.keep(graphOf(expression))
    const record = await backend.inspect.run(runId)
    if (record === undefined) throw runNotFound(runId)
    if (given !== undefined && given !== record.graph) {
      throw new GraflowError(
        'GRAPH_MISMATCH',
        `run "${runId}" was started with another flow, or with other options in it, than attach was given: leave the flow out, or give that one`,
        { details: { runId, graph: record.graph, given } },
      )
    }
    // Its handlers are not for a run of another flow.
    if (expression !== undefined) engine.registry.learn(expression)
    return new RunHandle(runId, this.#handles) // as above
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
    this.#isRunning = false
    const reason = new GraflowError('CLOSED', `client ${instanceId} was closed while the run was in flight`)
    this.#closed.abort(reason)
    await this.#session.holdings.stop(reason, new Unreported(`client ${instanceId} was closed`, 'CLOSED'))
    this.#handles.states.close()
    await this.#session.close()
    this.#options.onClose?.()
  }

  async #open(
    node: AnyNode,
    [input, options]: readonly [input?: unknown, options?: RunOptions],
    where: Where,
  ): Promise<RunHandle> {
    this.#checkOpen()
    const { retentionMs } = this.#options
    const { backend, engine, newId, id: session } = this.#session
    const given = checkOptions<RunOptions>('run', RUN_OPTIONS, options)
    if (given.signal?.aborted === true) {
      throw new GraflowError('CANCELLED', `the run was not started: its signal is aborted: ${reasonOf(given.signal)}`, {
        cause: given.signal.reason,
      })
    }
    const expression = expressionOf(node)
    refuseThreads(expression)
    const graph = graphOf(expression)
    const hash = engine.graphs.keep(graph)
    const bytes = encode(input, 'the input of the run', engine.parts.limits.sharedInputBytes, 'sharedInputBytes')
    const runId = given.id ?? newId()
    const workflow = expression.kind === 'workflow' ? expression.name : undefined
    const timeoutMs = given.timeoutMs ?? (expression.kind === 'workflow' ? expression.options.timeoutMs : undefined)
    // Known before the run is: a worker may be faster. A run that is under way here keeps its own code, whatever comes of this start.
    const isUnderWay = engine.registry.knows(runId)
    if (!isUnderWay) engine.registry.tie(runId, '', expression)
    if (where === 'driven anywhere') await engine.graphs.upload(hash, graph)
    const request: OpenRequest = {
      runId,
      ...(workflow !== undefined && { workflow }),
      graph: hash,
      digest: digestOf(hash, bytes),
      ...(given.idempotencyKey !== undefined && { idempotencyKey: given.idempotencyKey }),
      input: bytes,
      ...(where !== 'driven anywhere' && { session }),
      nonce: newId(),
      tasks: ownTasks(graph),
      maxLosses: DRIVER_MAX_LOSSES,
      timeoutMs: timeoutMs ?? 0,
      retentionMs,
    }
    const { states } = this.#handles
    const run = {
      ...{ runId, input: bytes, timeoutMs, losses: 0 },
      use: { hash, graph, code: engine.registry.codeOf(runId), base: '' },
    }
    const isEarly =
      where === 'driven at once' &&
      !isUnderWay &&
      beginsWithGroup(graph.root) &&
      !isEmptyList(input) &&
      this.#isUnheard()
    let answer: OpenAnswer | undefined
    let early: Drive | undefined
    const arrived = this.#session.holdings.expectGrant()
    states.expect(runId)
    try {
      const opening = backend.open(request)
      const token = isEarly ? backend.earlyToken?.(request.nonce) : undefined
      // The first group travels right behind: where the run is not opened, it is refused.
      if (token !== undefined) {
        this.#session.announcer?.learn(runId, false) // nobody watches a run that is not opened yet
        early = this.#session.holdings.drive({ ...run, token })
      }
      answer = await opening
      if (answer.status === 'nosession') {
        // The store took this process for dead, as after a long pause; nothing was opened.
        await this.#session.reopen()
        answer = await backend.open(request)
      }
      if (answer.status === 'ok' && answer.token !== undefined) early?.hold(answer.token)
    } finally {
      arrived()
      if (answer?.status !== 'ok') {
        states.dismiss(runId)
        early?.execution.cancel.abort(new Unreported(`run ${runId} was not opened`))
      }
    }
    switch (answer.status) {
      case 'ok':
        this.#begin(run, answer.token, workflow, where, early)
        break
      case 'exists':
        if (!isUnderWay) engine.registry.forget(runId)
        return new RunHandle(answer.runId, this.#handles)
      case 'conflict':
        if (!isUnderWay) engine.registry.forget(runId)
        throw new GraflowError(
          'RUN_EXISTS',
          `run "${answer.runId}" exists with another flow or input: take another id or idempotencyKey, or attach to it`,
          { details: { runId: answer.runId } },
        )
      case 'nosession':
        throw new GraflowError('INTERNAL', `session ${session} is gone`)
      case 'backpressure':
        throw fullStore('the run')
      default:
        answer satisfies never
    }
    const handle = new RunHandle(runId, this.#handles)
    if (given.signal !== undefined) this.#tie(given.signal, handle)
    return handle
  }

  /** Tells of a new run and, if this process holds it, drives it. Whoever gets its handle can subscribe before its first event. */
  #begin(
    run: Omit<HeldRun, 'token'>,
    token: HeldRun['token'] | undefined,
    workflow: string | undefined,
    where: Where,
    early: Drive | undefined,
  ): void {
    const tell = (): void => {
      if (!this.#isRunning) return
      const isDrivenHere = token !== undefined
      const over = (): void => this.#session.engine.registry.forget(run.runId)
      const known = isDrivenHere ? 'running' : 'pending'
      this.#handles.states.track({ runId: run.runId, workflow, known, isDrivenHere, over })
    }
    if (where === 'driven at once') tell()
    const begin = where === 'driven at once' ? undefined : nextTurn().then(tell)
    if (token === undefined) return
    // Nobody watches a run that is only just there: it is asked after when it takes longer.
    this.#session.announcer?.learn(run.runId, false)
    if (early === undefined) {
      const { ended } = this.#session.holdings.drive({ ...run, token, ...(begin !== undefined && { begin }) })
      this.#handles.states.ends(run.runId, ended)
      return
    }
    this.#handles.states.ends(run.runId, this.#endOfEarly(early, { ...run, token }))
  }

  /** A first step that overtook the opening of its run, as after a lost connection, was refused: the run is driven anew. */
  async #endOfEarly(early: Drive, run: HeldRun): Promise<DriveEnd> {
    const end = await early.ended
    if (end.state !== 'lost' || early.execution.cancel.reason !== undefined || !this.#isRunning) return end
    return this.#session.holdings.drive(run).ended
  }

  /** Whether nobody would hear of what a run does before it is known to be opened. */
  #isUnheard(): boolean {
    const { emitter } = this.#session
    return !emitter.has('run:state') && !emitter.has('group:dispatched')
  }

  /** Cancels the run when the signal aborts, as long as it runs. */
  #tie(signal: AbortSignal, handle: RunHandle): void {
    const cancel = (): void => {
      handle.cancel(reasonOf(signal)).catch(() => undefined) // over, or closed: nothing to cancel
    }
    if (signal.aborted) cancel()
    signal.addEventListener('abort', cancel, { once: true })
    const untie = (): void => {
      signal.removeEventListener('abort', cancel)
    }
    handle.result().then(untie, untie)
  }

  #checkOpen(): void {
    if (!this.#isRunning) throw new GraflowError('CLOSED', `client ${this.instanceId} is closed: connect again`)
  }
}

/** Runs of one id are the same run where flow and input are. */
function digestOf(hash: string, input: Uint8Array): string {
  const text = Buffer.from(hash)
  if (input.length > MOST_COPIED_BYTES) return createHash('sha256').update(text).update(input).digest('hex')
  return hashOnce('sha256', Buffer.concat([text, input]))
}

/** Below this, copying an input is faster than making an object that hashes it piece by piece. */
const MOST_COPIED_BYTES = 16 * 1024

const ownTasksOf = new WeakMap<Graph, readonly string[]>()

/** Names of the tasks that a run's driver starts itself, sorted; found once a graph. */
function ownTasks(graph: Graph): readonly string[] {
  let names = ownTasksOf.get(graph)
  if (names === undefined) ownTasksOf.set(graph, (names = [...tasksInPlace(graph, graph.root)].sort()))
  return names
}

/** A flow over nothing dispatches nothing: what comes next runs at once. */
const isEmptyList = (input: unknown): boolean => Array.isArray(input) && input.length === 0

/** Why a signal was aborted, as text. */
const reasonOf = ({ reason }: AbortSignal): string => (reason instanceof Error ? reason.message : String(reason))

/** Threads come with worker processes: running such a task inline would block what it asked not to block. */
function refuseThreads(expression: Expression): void {
  for (const { name, options } of tasksOf(expression).values()) {
    if (options.isolation === 'thread') {
      throw new GraflowError(
        'NOT_AVAILABLE',
        `task "${name}" asks for isolation 'thread', which this version does not have: leave it out, or use 'inline'`,
        {
          details: { task: name },
        },
      )
    }
  }
}
