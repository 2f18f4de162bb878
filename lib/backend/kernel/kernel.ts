/**
 * Every atomic operation of the backend, synchronous and deterministic: time and nonces are arguments, nothing but its own state
 * changes, and notices and activities are reported as effects. The memory backend is this with a clock; the Redis scripts are
 * compared with it. One file an operation; those beside them have what operations share, each with a Lua part of its name.
 */
import { GraflowError } from '../../errors.js'
import type {
  AcquireAnswer,
  AcquireRequest,
  BackendLimits,
  ChannelAnswer,
  ChannelRequest,
  ControlAnswer,
  ControlRequest,
  DecideAnswer,
  Decision,
  DocumentsAnswer,
  DocumentsRequest,
  Holder,
  LeadAnswer,
  LeadRequest,
  LockAnswer,
  LockRequest,
  OpenAnswer,
  OpenRequest,
  ProgressRequest,
  ReopenAnswer,
  ReopenRequest,
  RunEventsAnswer,
  RunEventsRequest,
  SessionAnswer,
  SessionRequest,
  SettleAnswer,
  SettleRequest,
  SignalAnswer,
  SignalRequest,
  StepAnswer,
  StepRequest,
  StoredWorkflow,
  SweepAnswer,
  TakeAnswer,
  TakeRequest,
  TendAnswer,
  TendRequest,
} from '../backend.js'
import { GRAPH_RETENTION_MS } from '../kept.js'
import { acquire } from './acquire.js'
import { channel, lock } from './channel.js'
import { decide } from './by-hand.js'
import { control } from './control.js'
import { writeDocuments } from './documents.js'
import { appendRunEvents, keepEvents } from './event-log.js'
import { inspectorOf, type KernelInspector } from './inspect.js'
import { lead } from './leader.js'
import { open } from './open.js'
import { noteProgress } from './progress.js'
import { reopen } from './reopen.js'
import { handleSession } from './session.js'
import { settle } from './settle.js'
import { type Effects, type KernelOptions, KernelState } from './state.js'
import { step } from './step.js'
import { awaitedDueAt, backgroundDueAt, sweep } from './sweep.js'
import { take } from './take.js'
import { tend } from './tend.js'
import { signal } from './waits.js'

export class Kernel {
  readonly limits: BackendLimits
  readonly #state: KernelState
  readonly #inspector: KernelInspector

  constructor(options: KernelOptions, effects: Effects) {
    this.#state = new KernelState(options, effects)
    this.#inspector = inspectorOf(this.#state)
    const { itemsPerCall, bytesPerCall } = this.#state.options
    this.limits = Object.freeze({ itemsPerCall, bytesPerCall })
  }

  /**
   * From now on people see a time that is so far before the one that operations get. A few milliseconds more or less are how clocks are read: a time that
   * was shown once stays as it is.
   */
  showTimeAhead(ms: number): void {
    if (Math.abs(ms - this.#state.wallAhead) > READING_MS) this.#state.wallAhead = ms
  }

  /** Stores a graph under its hash and keeps it for another while. Repeating it is safe. */
  putGraph(now: number, hash: string, bytes: Uint8Array): 'ok' | 'backpressure' {
    const state = this.#at(now)
    let graph = state.graphs.get(hash)
    if (graph === undefined) {
      if (state.isFull(bytes.length)) return 'backpressure'
      graph = { hash, bytes, dueAt: 0, place: -1, order: 0 }
      state.graphs.set(hash, graph)
      state.bytes += bytes.length
    }
    state.graphPurges.add(graph, state.now + GRAPH_RETENTION_MS)
    return 'ok'
  }

  /** The graph; asking keeps it for another while. */
  getGraph(now: number, hash: string): Uint8Array | undefined {
    const state = this.#at(now)
    const graph = state.graphs.get(hash)
    if (graph !== undefined) state.graphPurges.add(graph, state.now + GRAPH_RETENTION_MS)
    return graph?.bytes
  }

  /** Whether the graph is there; asking keeps it for another while. */
  hasGraph(now: number, hash: string): boolean {
    return this.getGraph(now, hash) !== undefined
  }

  /** Registers a workflow under its name. Repeating it is safe. */
  putWorkflow(now: number, workflow: StoredWorkflow): 'ok' {
    this.#at(now).workflows.set(workflow.name, workflow)
    return 'ok'
  }

  open(now: number, request: OpenRequest): OpenAnswer {
    return open(this.#at(now), request)
  }

  step(now: number, request: StepRequest): StepAnswer {
    return step(this.#at(now), request)
  }

  acquire(now: number, request: AcquireRequest): AcquireAnswer {
    return acquire(this.#at(now), request)
  }

  take(now: number, request: TakeRequest): TakeAnswer {
    return take(this.#at(now), request)
  }

  reopen(now: number, request: ReopenRequest): ReopenAnswer {
    return reopen(this.#at(now), request)
  }

  decide(now: number, runId: string, decision: Decision): DecideAnswer {
    return decide(this.#at(now), runId, decision)
  }

  settle(now: number, request: SettleRequest): readonly SettleAnswer[] {
    return settle(this.#at(now), request)
  }

  session(now: number, request: SessionRequest): SessionAnswer {
    return handleSession(this.#at(now), request)
  }

  lead(now: number, request: LeadRequest): LeadAnswer {
    return lead(this.#at(now), request)
  }

  tend(now: number, request: TendRequest): TendAnswer {
    return tend(this.#at(now), request)
  }

  /** `isForced`: also within 100 ms of the last one, for a timer that knows that something is due. */
  sweep(now: number, isForced = false): SweepAnswer {
    return sweep(this.#at(now), isForced)
  }

  control(now: number, request: ControlRequest): ControlAnswer {
    return control(this.#at(now), request)
  }

  signal(now: number, request: SignalRequest): SignalAnswer {
    return signal(this.#at(now), request)
  }

  progress(now: number, request: ProgressRequest): 'ok' | 'gone' {
    return noteProgress(this.#at(now), request)
  }

  keepEvents(now: number, forMs: number): void {
    keepEvents(this.#at(now), forMs)
  }

  appendRunEvents(now: number, request: RunEventsRequest): RunEventsAnswer {
    return appendRunEvents(this.#at(now), request)
  }

  deleteDeadLetters(now: number, which: { readonly id: string } | { readonly before: number }): number {
    const { deadLetters } = this.#at(now)
    return deadLetters.delete((letter) => ('id' in which ? letter.id === which.id : letter.at < which.before))
  }

  writeDocuments(now: number, request: DocumentsRequest): DocumentsAnswer {
    return writeDocuments(this.#at(now), request)
  }

  channel(now: number, runId: string, holder: Holder | undefined, request: ChannelRequest): ChannelAnswer {
    return channel(this.#at(now), runId, holder, request)
  }

  lock(now: number, runId: string, holder: Holder, request: LockRequest): LockAnswer {
    return lock(this.#at(now), runId, holder, request)
  }

  inspect(now: number): KernelInspector {
    this.#at(now)
    return this.#inspector
  }

  /** Milliseconds from `now` until something is due, and whether a run or session may be waiting for anything that is planned. */
  due(now: number): { readonly inMs: number; readonly isAwaited: boolean } | undefined {
    const state = this.#at(now)
    const awaitedAt = awaitedDueAt(state)
    const dueAt = Math.min(awaitedAt, backgroundDueAt(state))
    if (dueAt === Number.POSITIVE_INFINITY) return undefined
    return { inMs: Math.max(0, dueAt - state.now), isAwaited: awaitedAt < Number.POSITIVE_INFINITY }
  }

  #at(now: number): KernelState {
    if (!Number.isFinite(now)) throw new GraflowError('INTERNAL', `expected a time in milliseconds, got ${now}`)
    this.#state.tick(now)
    return this.#state
  }
}
/** Two clocks that are read one after the other differ by less. */
const READING_MS = 20
