/**
 * The kernel with a clock: the backend of embedded runs. Notices are delivered in a microtask, never from inside an operation. One
 * timer waits for whatever is due next; it keeps the process alive only while a run may be waiting for what is planned, such as a retry's
 * delay.
 */
import { GraflowError } from '../../errors.js'
import { elapsedMs, type Clock } from '../../time.js'
import type { Backend, ClusterEvent, Inspector, KeepAlive, Notice, RunActivity, RunChange } from '../backend.js'
import { Listeners } from '../listeners.js'
import { Kernel } from './kernel.js'
import type { Effects, KernelOptions } from './state.js'

export interface MemoryBackendOptions extends KernelOptions {
  readonly clock: Clock
}

/** Opens a store in this process. It is gone when it is closed. */
export function openMemoryBackend(options: MemoryBackendOptions): MemoryBackend {
  return new Memory(options)
}

/** A store in this process. */
export interface MemoryBackend extends Backend {
  /** The session is lost, as with its process: what it held is reclaimed at once. For tests of flows. */
  loseSession(session: string): Promise<void>
}

/** Who looks in a loop, and awaits nothing else, leaves timers and sockets a turn after so many looks. */
const MOST_LOOKS_A_TURN = 100

class Memory implements MemoryBackend {
  readonly limits: Backend['limits']
  readonly inspect: Inspector
  readonly #clock: Clock
  /** Kernel time less what the clock has measured: the time at which the store was opened, and from there on time never steps. */
  readonly #epoch: number
  readonly #kernel: Kernel
  readonly #mail: Mail
  #isClosed = false
  #cancelTimer: (() => void) | undefined
  /** When the timer fires, by the clock, and whether it keeps the process alive. */
  #timerAt = Number.POSITIVE_INFINITY
  #timerIsAwaited = false
  /** In this turn of the event loop. */
  #looks = 0

  constructor(options: MemoryBackendOptions) {
    const { clock, ...kernelOptions } = options
    this.#clock = clock
    this.#epoch = clock.now() - elapsedMs(clock)
    this.#mail = new Mail()
    this.#kernel = new Kernel(kernelOptions, this.#mail)
    this.limits = this.#kernel.limits
    this.inspect = this.#inspector()
  }

  putGraph(hash: string, bytes: Uint8Array): ReturnType<Backend['putGraph']> {
    return this.#do((now) => this.#kernel.putGraph(now, hash, bytes))
  }

  getGraph(hash: string): ReturnType<Backend['getGraph']> {
    return this.#do((now) => this.#kernel.getGraph(now, hash))
  }

  hasGraph(hash: string): ReturnType<Backend['hasGraph']> {
    return this.#do((now) => this.#kernel.hasGraph(now, hash))
  }

  open(request: Parameters<Backend['open']>[0]): ReturnType<Backend['open']> {
    return this.#do((now) => this.#kernel.open(now, request))
  }

  putWorkflow(workflow: Parameters<Backend['putWorkflow']>[0]): ReturnType<Backend['putWorkflow']> {
    return this.#do((now) => this.#kernel.putWorkflow(now, workflow))
  }

  step(request: Parameters<Backend['step']>[0]): ReturnType<Backend['step']> {
    return this.#do((now) => this.#kernel.step(now, request))
  }

  acquire(request: Parameters<Backend['acquire']>[0]): ReturnType<Backend['acquire']> {
    return this.#do((now) => this.#kernel.acquire(now, request))
  }

  take(request: Parameters<Backend['take']>[0]): ReturnType<Backend['take']> {
    return this.#do((now) => this.#kernel.take(now, request))
  }

  reopen(request: Parameters<Backend['reopen']>[0]): ReturnType<Backend['reopen']> {
    return this.#do((now) => this.#kernel.reopen(now, request))
  }

  decide(...[runId, decision]: Parameters<Backend['decide']>): ReturnType<Backend['decide']> {
    return this.#do((now) => this.#kernel.decide(now, runId, decision))
  }

  settle(request: Parameters<Backend['settle']>[0]): ReturnType<Backend['settle']> {
    return this.#do((now) => this.#kernel.settle(now, request))
  }

  session(request: Parameters<Backend['session']>[0]): ReturnType<Backend['session']> {
    return this.#do((now) => this.#kernel.session(now, request))
  }

  lead(request: Parameters<Backend['lead']>[0]): ReturnType<Backend['lead']> {
    return this.#do((now) => this.#kernel.lead(now, request))
  }

  tend(request: Parameters<Backend['tend']>[0]): ReturnType<Backend['tend']> {
    return this.#do((now) => this.#kernel.tend(now, request))
  }

  loseSession(session: string): Promise<void> {
    return this.#do((now) => {
      this.#kernel.session(now, { kind: 'renew', session, ttlMs: 0 })
      this.#kernel.sweep(now, true)
    })
  }

  sweep(_session: string): ReturnType<Backend['sweep']> {
    return this.#do((now) => this.#kernel.sweep(now))
  }

  control(request: Parameters<Backend['control']>[0]): ReturnType<Backend['control']> {
    return this.#do((now) => this.#kernel.control(now, request))
  }

  signal(request: Parameters<Backend['signal']>[0]): ReturnType<Backend['signal']> {
    return this.#do((now) => this.#kernel.signal(now, request))
  }

  progress(request: Parameters<Backend['progress']>[0]): ReturnType<Backend['progress']> {
    return this.#do((now) => this.#kernel.progress(now, request))
  }

  keepEvents(forMs: number): ReturnType<Backend['keepEvents']> {
    return this.#do((now) => this.#kernel.keepEvents(now, forMs))
  }

  appendRunEvents(request: Parameters<Backend['appendRunEvents']>[0]): ReturnType<Backend['appendRunEvents']> {
    return this.#do((now) => this.#kernel.appendRunEvents(now, request))
  }

  deleteDeadLetters(which: Parameters<Backend['deleteDeadLetters']>[0]): ReturnType<Backend['deleteDeadLetters']> {
    return this.#do((now) => this.#kernel.deleteDeadLetters(now, which))
  }

  writeDocuments(request: Parameters<Backend['writeDocuments']>[0]): ReturnType<Backend['writeDocuments']> {
    return this.#do((now) => this.#kernel.writeDocuments(now, request))
  }

  channel(...[runId, holder, request]: Parameters<Backend['channel']>): ReturnType<Backend['channel']> {
    return this.#do((now) => this.#kernel.channel(now, runId, holder, request))
  }

  lock(...[runId, holder, request]: Parameters<Backend['lock']>): ReturnType<Backend['lock']> {
    return this.#do((now) => this.#kernel.lock(now, runId, holder, request))
  }

  listen(session: string, listener: (notice: Notice) => void): () => void {
    this.#checkOpen()
    return this.#mail.notices.add(session, listener)
  }

  watch(runId: string, listener: (activity: RunActivity) => void): () => void {
    this.#checkOpen()
    return this.#mail.activities.add(runId, listener)
  }

  watchCluster(listener: (event: ClusterEvent) => void): () => void {
    this.#checkOpen()
    return this.#mail.cluster.add('', listener)
  }

  /** Notices are delivered in a microtask that is planned already. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      queueMicrotask(resolve)
    })
  }

  /** There are no other processes, and watchers in this one have its events. */
  announce(): Promise<number> {
    return Promise.resolve(0)
  }

  /** The store is this process: while a session could be renewed, it need not be. */
  keepAlive(): KeepAlive {
    return { ready: Promise.resolve(), stop: () => Promise.resolve(), lastRenewedAt: Number.POSITIVE_INFINITY }
  }

  ping(): Promise<void> {
    return new Promise((resolve) => {
      this.#checkOpen()
      resolve()
    })
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#mail.close()
    return Promise.resolve()
  }

  /** Does an operation at once; what it throws rejects the promise. */
  #do<T>(operation: (now: number) => T): Promise<T> {
    return new Promise((resolve) => {
      this.#checkOpen()
      const now = this.#now()
      try {
        resolve(operation(now))
      } finally {
        this.#arm(now)
      }
    })
  }

  /** Kernel time. What people are shown follows the machine's clock when that is set. */
  #now(): number {
    const now = this.#epoch + elapsedMs(this.#clock)
    this.#kernel.showTimeAhead(this.#clock.now() - now)
    return now
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new GraflowError('CLOSED', 'expected an open backend, got a call after close()')
  }

  /** Sets the timer, where what is due next has come nearer; a timer that turns out too early sets the next one. */
  #arm(now: number): void {
    const due = this.#kernel.due(now)
    if (due === undefined) {
      this.#setTimer(undefined)
      return
    }
    const dueAt = now + due.inMs
    if (this.#cancelTimer !== undefined && this.#timerAt <= dueAt && this.#timerIsAwaited === due.isAwaited) return
    this.#setTimer({ dueAt, inMs: due.inMs, isAwaited: due.isAwaited })
  }

  #setTimer(next: { readonly dueAt: number; readonly inMs: number; readonly isAwaited: boolean } | undefined): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (next === undefined) return
    this.#timerAt = next.dueAt
    this.#timerIsAwaited = next.isAwaited
    this.#cancelTimer = this.#clock.after(next.inMs, () => this.#fire(), !next.isAwaited)
  }

  #fire(): void {
    this.#cancelTimer = undefined
    const now = this.#now()
    this.#kernel.sweep(now, true)
    this.#arm(now)
  }

  #inspector(): Inspector {
    const look = <T>(read: (inspector: ReturnType<Kernel['inspect']>) => T): Promise<T> =>
      new Promise((resolve) => {
        this.#checkOpen()
        const found = read(this.#kernel.inspect(this.#now()))
        if (this.#looks === 0) setImmediate(() => (this.#looks = 0))
        this.#looks += 1
        if (this.#looks > MOST_LOOKS_A_TURN) setImmediate(() => resolve(found))
        else resolve(found)
      })
    return {
      run: (runId) => look((inspector) => inspector.run(runId)),
      runOfKey: (key) => look((inspector) => inspector.runOfKey(key)),
      runs: (request) => look((inspector) => inspector.runs(request)),
      groups: (runId) => look((inspector) => inspector.groups(runId)),
      outcomes: (gid, after) => look((inspector) => inspector.outcomes(gid, after)),
      output: (runId, path) => look((inspector) => inspector.output(runId, path)),
      input: (gid, index) => look((inspector) => inspector.input(gid, index)),
      outputs: (runId, paths) => look((inspector) => inspector.outputs(runId, paths)),
      saved: (runId, prefix) => look((inspector) => inspector.saved(runId, prefix)),
      held: (gid, most) => look((inspector) => inspector.held(gid, most)),
      openWaits: (runId, address) => look((inspector) => inspector.openWaits(runId, address)),
      queues: () => look((inspector) => inspector.queues()),
      pinned: () => look((inspector) => inspector.pinned()),
      workflow: (name) => look((inspector) => inspector.workflow(name)),
      workflowNames: () => look((inspector) => inspector.workflowNames()),
      waiting: (queue) => look((inspector) => inspector.waiting(queue)),
      sessions: () => look((inspector) => inspector.sessions()),
      nodes: () => look((inspector) => inspector.nodes()),
      serving: () => look((inspector) => inspector.serving()),
      lead: () => look((inspector) => inspector.lead()),
      now: () => look((inspector) => inspector.now()),
      deadLetters: (limit, before) => look((inspector) => inspector.deadLetters(limit, before)),
      deadLetter: (id) => look((inspector) => inspector.deadLetter(id)),
      totals: () => look((inspector) => inspector.totals()),
      events: (after, limit) => look((inspector) => inspector.events(after, limit)),
      runEvents: (runId, after, limit) => look((inspector) => inspector.runEvents(runId, after, limit)),
      documents: (collection, names) => look((inspector) => inspector.documents(collection, names)),
      documentNames: (collection) => look((inspector) => inspector.documentNames(collection)),
    }
  }
}

/** Effects on their way: kept while an operation runs, delivered in the next microtask, in order. */
class Mail implements Effects {
  readonly notices = new Listeners<Notice>()
  readonly activities = new Listeners<RunActivity>()
  readonly cluster = new Listeners<ClusterEvent>()
  #waiting: (() => void)[] = []

  notice(session: string, notice: Notice): void {
    if (this.notices.has(session)) this.#post(() => this.notices.notify(session, notice))
  }

  activity(runId: string, kind: RunChange, gid: string): void {
    if (this.activities.has(runId)) this.#post(() => this.activities.notify(runId, { kind, gid }))
  }

  isWatched(runId: string): boolean {
    return this.activities.has(runId)
  }

  clusterEvent(event: ClusterEvent): void {
    if (this.cluster.has('')) this.#post(() => this.cluster.notify('', event))
  }

  close(): void {
    this.#waiting = []
    this.notices.clear()
    this.activities.clear()
    this.cluster.clear()
  }

  #post(delivery: () => void): void {
    this.#waiting.push(delivery)
    if (this.#waiting.length === 1) queueMicrotask(() => this.#deliver())
  }

  #deliver(): void {
    const deliveries = this.#waiting
    this.#waiting = []
    for (const deliver of deliveries) deliver()
  }
}
