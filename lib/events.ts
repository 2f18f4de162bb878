/**
 * What can be observed: one typed map of events and the emitter that carries them. Logs, metrics and tests subscribe to it and have no other
 * source. Events of single branches are made only while there is a listener, so they cost nothing otherwise. docs/events.md is compared with EVENTS
 * by a test.
 *
 * The file is long because every event stands here with its fields and their docstrings.
 */
import { describe, describeError } from './describe.js'
import { GraflowError } from './errors.js'

/** What a run is called, in every store. */
export const RUN_STATES = Object.freeze([
  ...(['pending', 'running', 'paused', 'waiting', 'completed', 'failed', 'cancelled', 'abandoned'] as const),
])
export type RunStateName = (typeof RUN_STATES)[number]
/** Those of runs that are not over. */
export const UNFINISHED_STATES: readonly RunStateName[] = Object.freeze([
  'pending',
  'running',
  'paused',
  'waiting',
  'abandoned',
])
export type OutcomeStatus = 'succeeded' | 'failed' | 'dead' | 'cancelled' | 'skipped'

/**
 * `stopped` has closed its session. `stale` and `dead` are how other processes see a worker that does not renew its session
 * (`graflow.workers`): a worker does not get into them itself, so `worker:state` never carries them.
 */
export type WorkerStateName = 'registering' | 'ready' | 'busy' | 'draining' | 'stopped' | 'stale' | 'dead'

/** Counts of one task in a batch. */
export interface TaskCounts {
  readonly task: string
  readonly succeeded: number
  readonly failed: number
  readonly retried: number
  /** Of all these starts, summed up; measured by the batch. */
  readonly durationMs: number
}

/** Events and what each carries. */
export interface EventMap {
  'run:state': {
    readonly runId: string
    readonly workflow: string | undefined
    readonly from: RunStateName | undefined
    readonly to: RunStateName
    readonly error?: GraflowError
  }
  'run:progress': {
    readonly runId: string
    readonly path: string
    readonly task: string
    readonly label?: string
    readonly fraction: number
    readonly message?: string
  }
  'run:omitted': { readonly runId: string; readonly count: number }
  'group:dispatched': {
    readonly runId: string
    readonly path: string
    readonly name: string | undefined
    readonly width: number
  }
  'group:released': {
    readonly runId: string
    readonly path: string
    readonly name: string | undefined
    readonly succeeded: number
    readonly failed: number
    readonly withdrawn: number
    readonly durationMs: number
  }
  'branch:started': {
    readonly runId: string
    readonly path: string
    readonly task: string
    readonly label?: string
    readonly index: number
    readonly workerId: string
    readonly attempt: number
  }
  'branch:settled': {
    readonly runId: string
    readonly path: string
    readonly task: string
    readonly label?: string
    readonly index: number
    readonly workerId: string
    readonly attempt: number
    readonly status: OutcomeStatus
  }
  'branch:retrying': {
    readonly runId: string
    readonly path: string
    readonly task: string
    readonly label?: string
    readonly index: number
    readonly attempt: number
    readonly delayMs: number
    readonly error: Error
  }
  'branches:settled': {
    readonly workerId: string
    readonly succeeded: number
    readonly failed: number
    readonly retried: number
    readonly fenced: number
    /** The same by task, without those that were fenced. */
    readonly tasks: readonly TaskCounts[]
  }
  'branches:granted': { readonly count: number; readonly waitedMs: number }
  'barrier:released': { readonly runId: string; readonly path: string; readonly releasedAt: number }
  'step:started': {
    readonly runId: string
    readonly path: string
    readonly task: string
    readonly workerId: string
    readonly attempt: number
  }
  'step:settled': {
    readonly runId: string
    readonly path: string
    readonly task: string
    readonly workerId: string
    readonly attempt: number
    readonly status: 'succeeded' | 'failed'
    readonly durationMs: number
    readonly error?: Error
  }
  'step:retrying': {
    readonly runId: string
    readonly path: string
    readonly task: string
    readonly workerId: string
    readonly attempt: number
    readonly delayMs: number
    readonly error: Error
  }
  'step:ended': {
    readonly runId: string
    readonly path: string
    readonly task: string
    readonly workerId: string
    readonly attempt: number
    readonly outcome: 'succeeded' | 'failed' | 'retried'
    readonly durationMs: number
  }
  'start:failed': {
    readonly runId: string
    readonly path: string
    readonly task: string
    readonly label?: string
    readonly workerId: string
    readonly attempt: number
    readonly what: 'branch' | 'step'
    /** Until the next start; absent where there is none. */
    readonly delayMs?: number
    readonly error: Error
  }
  'workflow:execution': {
    readonly runId: string
    readonly change: 'started' | 'completed' | 'paused' | 'resumed'
  }
  'worker:registered': {
    readonly workerId: string
    readonly hostname: string
    readonly capabilities: readonly string[]
    /** Names of tasks that it has handlers for. */
    readonly tasks: readonly string[]
    readonly metadata: Readonly<Record<string, string>>
    readonly buildId?: string
    /** It was taken for dead before, or marked as stale. */
    readonly isReturned: boolean
  }
  'worker:deregistered': { readonly workerId: string; readonly reason: string }
  'worker:stale': { readonly workerId: string; readonly silentMs: number }
  'leader:changed': { readonly leaderId: string; readonly term: number }
  'worker:state': { readonly workerId: string; readonly from: WorkerStateName; readonly to: WorkerStateName }
  'worker:lost': { readonly workerId: string; readonly session: string; readonly grants: number }
  'wakeup:missed': { readonly count: number }
  'queue:unserved': {
    readonly queue: string
    readonly runId: string
    readonly requires: readonly string[]
    readonly tasks: readonly string[]
    /** Live workers of the queue, none of which can do it. */
    readonly workers: number
    readonly waitedMs: number
  }
  log: {
    readonly level: 'debug' | 'info' | 'warn' | 'error'
    readonly message: string
    readonly runId?: string
    readonly task?: string
    readonly path?: string
    readonly attempt?: number
    readonly workerId?: string
    readonly details?: object
  }
}

export type EventName = keyof EventMap
/** An event as listeners get it; `at` is when it was emitted, by the clock of the process in which it happened. */
export type EventOf<K extends EventName> = { [P in K]: { readonly type: P; readonly at: Date } & EventMap[P] }[K]
/** The events that belong to one run. */
export type RunEvent = EventOf<
  Extract<EventName, `${'run' | 'group' | 'branch'}:${string}` | 'step:started' | 'step:settled' | 'step:retrying'>
>

/** The events of a run that only the process knows in which they happen; the states of a run are read from the store. */
export const FORWARDED = [
  'run:progress',
  'group:dispatched',
  'group:released',
  'branch:started',
  'branch:settled',
  'branch:retrying',
  'step:started',
  'step:settled',
  'step:retrying',
] as const satisfies readonly RunEvent['type'][]
export type ForwardedEvent = EventOf<(typeof FORWARDED)[number]>

/** What happens among the processes of a store: all of them hear of it, from the store. */
export const CLUSTER_EVENTS = [
  'worker:registered',
  'worker:deregistered',
  'worker:stale',
  'leader:changed',
] as const satisfies readonly EventName[]

const FORWARDED_NAMES: ReadonlySet<unknown> = new Set(FORWARDED)

/** Whether a value from another process is such an event, as far as carrying it on goes. */
export function isForwarded(value: unknown): value is ForwardedEvent {
  if (typeof value !== 'object' || value === null) return false
  const { type, at, runId } = value as Partial<Record<string, unknown>>
  return FORWARDED_NAMES.has(type) && at instanceof Date && typeof runId === 'string'
}

/** Takes events of runs to other processes. */
export interface Forwarder {
  /** Whether events of this run are worth building. Asked for every branch. */
  wants(runId: string): boolean
  take(event: ForwardedEvent): void
}

/** Every event with what it says: the one list that docs and subscriptions are checked against. */
export const EVENTS: Readonly<Record<EventName, string>> = Object.freeze({
  'run:state': 'A run changed its state.',
  'run:progress': 'A handler called ctx.progress.',
  'run:omitted': 'So many events were left out here, since a reader of run.events() was slow.',
  'group:dispatched': 'A group was opened: its branches can be acquired.',
  'group:released': 'A group’s barrier released, and its holder has read the outcomes.',
  'branch:started': 'A branch was started.',
  'branch:settled': 'A branch has its final outcome.',
  'branch:retrying': 'A task failed and will be started again.',
  'branches:settled': 'A batch of branches was settled: counts only, for metrics.',
  'branches:granted': 'Branches came to this process for their first start: counts only, for metrics.',
  'barrier:released': 'The outcomes of a group were read in this process: for metrics.',
  'step:started': 'The driver of a run has started a step.',
  'step:settled': 'A step of the driver is over.',
  'step:retrying': 'A step of the driver failed and will be started again.',
  'step:ended': 'A step that this process runs itself is over, or will be started again: for metrics.',
  'start:failed': 'A start of a branch or step failed in this process: for the log.',
  'workflow:execution': 'This process started a run, drove it to a result, paused or resumed it: for metrics.',
  'worker:registered': 'A worker joined.',
  'worker:deregistered': 'A worker left.',
  'worker:stale': 'Nothing was heard of a worker for staleAfterMs.',
  'leader:changed': 'A process has become the leader.',
  'worker:state': 'A worker of this process changed its state.',
  'worker:lost': 'The store took this process for dead: what it held was reclaimed, and it registers again.',
  'wakeup:missed': 'The slow check found what a notice should have said.',
  'queue:unserved':
    'A group or a submitted run has waited 5 s, and no live worker could take it: none of its queue, or none with what it asks for.',
  log: 'A line for the log.',
})

/** Where listeners subscribe. */
export interface Events {
  /**
   * Calls `listener` for every event of that name until the returned function is called. A listener that throws does not disturb
   * the run: its error becomes a `log` event; the first one of a listener of `log` becomes a warning of the process.
   * @throws GraflowError INVALID_NAME when there is no event of that name; INVALID_OPTION when the listener is no function
   */
  subscribe<const K extends EventName>(name: K, listener: (event: EventOf<K>) => void): () => void
}

/** The error for a name that no event has. */
export const noSuchEvent = (name: unknown): GraflowError =>
  new GraflowError(
    'INVALID_NAME',
    `expected the name of an event (${Object.keys(EVENTS).join(', ')}), got ${describe(name)}`,
  )

/** What spans of a trace are of: a run that is driven, the submission of one, a group until its outcomes are read, one start of a branch or step. */
export type SpanName = 'run' | 'submit' | 'group' | 'branch' | 'step'

/** What a span says of itself. */
export interface SpanFacts {
  readonly runId?: string
  readonly workflow?: string | undefined
  readonly path?: string
  readonly name?: string | undefined
  readonly width?: number
  readonly failed?: number
  readonly withdrawn?: number
  readonly task?: string
  readonly attempt?: number
  /** How many workers were lost with it before: this start, or this driver, has taken over. */
  readonly losses?: number
  readonly worker?: string
  readonly outcome?: string
  readonly retryInMs?: number
  readonly queue?: string
}

/** A span that is recorded. */
export interface Span {
  /** With this other processes go on below it: W3C Trace Context. */
  readonly traceparent: string
  /** Calls `fn` with the span as the current one, so that what it calls makes spans below this. */
  run<T>(fn: () => T): T
  set(facts: SpanFacts): void
  fail(error: Error): void
  /** Repeating it is safe. */
  end(): void
}

/** Makes spans, where the application has a tracer. */
export interface Tracer {
  /**
   * A span that begins now; undefined where it is not recorded, and then nothing below it is.
   * @param parent a span of this process, or the `traceparent` of another's; without one, what is current
   */
  start(name: SpanName, facts: SpanFacts, parent?: Span | string): Span | undefined
}

/** Emits events; one a client. */
export class Emitter implements Events {
  readonly #listeners = new Map<EventName, Set<(event: never) => unknown>>()
  readonly #onFirstListener = new Map<EventName, () => void>()
  /** Of the application, where it has one. */
  tracer: Tracer | undefined
  #forwarder: Forwarder | undefined
  /** It was reported that a listener of the log fails. */
  #isLogBlamed = false
  readonly #now: () => number

  /** @param now milliseconds since the epoch, from the injected clock */
  constructor(now: () => number) {
    this.#now = now
  }

  subscribe<const K extends EventName>(name: K, listener: (event: EventOf<K>) => void): () => void {
    if (typeof name !== 'string' || !Object.hasOwn(EVENTS, name)) throw noSuchEvent(name)
    if (typeof listener !== 'function')
      throw new GraflowError(
        'INVALID_OPTION',
        `subscribe('${name}', …) takes a function that is called with each event, got ${describe(listener)}`,
        { details: { option: 'listener' } },
      )
    // Returned, since an async listener fails by its promise.
    const own = (event: EventOf<K>): unknown => listener(event)
    const set = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, set.add(own))
    if (set.size === 1) this.#onFirstListener.get(name)?.()
    return () => {
      set.delete(own)
    }
  }

  /** Calls `fn` whenever an event without listeners gets its first one: from then on it is worth observing. One `fn` an event. */
  onSubscribed(name: EventName, fn: () => void): void {
    this.#onFirstListener.set(name, fn)
  }

  /** From now on events of runs that happen in this process go to others, too. Called once at most. */
  forwardTo(forwarder: Forwarder): void {
    this.#forwarder = forwarder
  }

  /** Whether a listener for this event is in this process. */
  has(name: EventName): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0
  }

  /** Whether a listener is here, or a process that watches the run is elsewhere: ask before building an event that is made per branch. */
  isSubscribed(name: (typeof FORWARDED)[number], runId: string): boolean {
    return this.has(name) || this.#forwarder?.wants(runId) === true
  }

  emit<const K extends EventName>(name: K, data: EventMap[K]): void {
    const forwarder =
      this.#forwarder !== undefined &&
      FORWARDED_NAMES.has(name) &&
      this.#forwarder.wants((data as EventMap['run:progress']).runId) // every one of those has it
        ? this.#forwarder
        : undefined
    if (!this.has(name) && forwarder === undefined) return
    const event = Object.freeze({ type: name, at: new Date(this.#now()), ...data })
    this.#deliver(name, event)
    forwarder?.take(event as never) // its name is among those
  }

  /** Tells the listeners in this process of what happened in another. */
  relay(event: ForwardedEvent): void {
    this.#deliver(event.type, Object.freeze(event))
  }

  #deliver(name: EventName, event: object): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        const returned = listener(event as never)
        if (returned instanceof Promise) returned.catch((error: unknown) => this.#blame(name, error))
      } catch (error) {
        this.#blame(name, error)
      }
    }
  }

  /** A listener that throws is at fault, not the run: its error goes to the log; that of a log listener becomes a warning of Node.js, once. */
  #blame(name: EventName, error: unknown): void {
    if (name === 'log') {
      if (this.#isLogBlamed) return
      this.#isLogBlamed = true
      const message = `a listener of log failed: ${describeError(error)}. Lines of the log may be missing; further errors of its listeners are not reported`
      process.emitWarning(message, { type: 'GraflowWarning', code: 'LOG_LISTENER' })
      return
    }
    const details = error instanceof Error ? error : { thrown: describeError(error) }
    this.emit('log', { level: 'error', message: `a listener of ${name} failed: ${describeError(error)}`, details })
  }
}
