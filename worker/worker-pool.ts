/** Several workers in this process, each with a session of its own, as one: for tests, small services, and handlers that wait more than they compute. */
import { describe } from '../lib/describe.js'
import { GraflowError } from '../lib/errors.js'
import { CLUSTER_EVENTS, EVENTS, type EventName, type EventOf, type Events, noSuchEvent } from '../lib/events.js'
import type { WorkerCounters } from '../lib/executor/executor.js'
import { POOL_OPTIONS } from '../lib/options.js'
import { systemId } from '../lib/time.js'
import type { WorkerCore } from './worker.js'
import type { WorkerOptions } from './worker-options.js'

export interface WorkerPoolOptions extends WorkerOptions {
  /** How many workers the pool starts with: 0 to 1000. Default: 1. */
  readonly workers?: number
}

const CLUSTER_NAMES: ReadonlySet<EventName> = new Set(CLUSTER_EVENTS)
const { default: DEFAULT_WORKERS, max: MOST_WORKERS } = POOL_OPTIONS.workers

/** Started once, stopped once; `scale` in between. */
export class WorkerPoolCore {
  readonly #make: (options: WorkerOptions) => WorkerCore
  readonly #options: WorkerOptions
  readonly #name: string
  readonly #events = new PoolEvents()
  readonly #workers: WorkerCore[] = []
  /** Those that stop now. */
  readonly #leaving = new Set<WorkerCore>()
  /** What those did that have stopped. */
  #past: WorkerCounters = { tasksProcessed: 0, tasksSucceeded: 0, tasksFailed: 0, totalExecutionTimeMs: 0 }
  #wanted: number
  #made = 0
  #isStarted = false
  #isStopped = false
  #change: Promise<void> = Promise.resolve()

  /** @throws GraflowError INVALID_OPTION */
  constructor(given: WorkerPoolOptions, make: (options: WorkerOptions) => WorkerCore) {
    const { workers = DEFAULT_WORKERS, ...options } = optionsIn(given)
    this.#wanted = countOf(workers)
    if (options.metricsPort !== undefined) {
      throw new GraflowError(
        'INVALID_OPTION',
        'worker pool: metricsPort: give it to a worker: those of a pool would share it',
        {
          details: { option: 'metricsPort' },
        },
      )
    }
    this.#make = make
    this.#options = options
    this.#name = options.workerId ?? `pool-${systemId().slice(0, 8)}`
    make({ ...options, workerId: `${this.#name}-0` }) // wrong options throw now
  }

  /** What happens in its workers, in those to come, too. */
  get events(): Events {
    return this.#events
  }

  /** The workers that run, oldest first. */
  get workers(): readonly WorkerCore[] {
    return [...this.#workers]
  }

  get size(): number {
    return this.#workers.length
  }

  get tasksProcessed(): number {
    return this.#sum('tasksProcessed')
  }

  get tasksSucceeded(): number {
    return this.#sum('tasksSucceeded')
  }

  get tasksFailed(): number {
    return this.#sum('tasksFailed')
  }

  get totalExecutionTimeMs(): number {
    return this.#sum('totalExecutionTimeMs')
  }

  /** Resolves when all are ready; rejects, with none left, when one cannot start. */
  async start(): Promise<void> {
    if (this.#isStopped) throw isClosed()
    this.#isStarted = true
    try {
      await this.#adjust()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** So many from now on: new ones are started, the youngest are drained. Resolves when it is so. */
  async scale(workers: number): Promise<void> {
    if (this.#isStopped) throw isClosed()
    this.#wanted = countOf(workers)
    if (this.#isStarted) await this.#adjust()
  }

  /** Drains all. Repeating it is safe. */
  async stop(timeoutMs?: number): Promise<void> {
    this.#isStopped = true
    this.#wanted = 0
    // Those that still load or connect would keep the change that began them.
    for (const worker of this.#workers) {
      if (worker.state === 'registering') worker.stop(timeoutMs).catch(() => undefined) // asked again below
    }
    await this.#adjust(timeoutMs)
  }

  /** One change after the other. */
  #adjust(timeoutMs?: number): Promise<void> {
    const change = this.#change.then(async () => {
      const leaving = this.#workers.splice(this.#wanted)
      for (const worker of leaving) this.#leaving.add(worker)
      const coming: WorkerCore[] = []
      while (this.#workers.length < this.#wanted) {
        this.#made += 1
        const worker = this.#make({ ...this.#options, workerId: `${this.#name}-${this.#made}` })
        this.#workers.push(worker)
        this.#events.add(worker)
        coming.push(worker)
      }
      const leave = async (worker: WorkerCore): Promise<void> => {
        await worker.stop(timeoutMs)
        this.#events.remove(worker.events)
        this.#leaving.delete(worker)
        this.#past = sumOf(this.#past, worker)
      }
      await Promise.all([...leaving.map(leave), ...coming.map((worker) => worker.start())])
    })
    this.#change = change.catch(() => undefined)
    return change
  }

  #sum(count: keyof WorkerCounters): number {
    return [...this.#workers, ...this.#leaving].reduce((sum, worker) => sum + worker[count], this.#past[count])
  }
}

const sumOf = (a: WorkerCounters, b: WorkerCounters): WorkerCounters => ({
  tasksProcessed: a.tasksProcessed + b.tasksProcessed,
  tasksSucceeded: a.tasksSucceeded + b.tasksSucceeded,
  tasksFailed: a.tasksFailed + b.tasksFailed,
  totalExecutionTimeMs: a.totalExecutionTimeMs + b.totalExecutionTimeMs,
})

/** JavaScript may give anything, or nothing. @throws GraflowError INVALID_OPTION */
function optionsIn(given: unknown): WorkerPoolOptions {
  if (typeof given === 'object' && given !== null) return given
  throw new GraflowError(
    'INVALID_OPTION',
    `worker pool: expected options such as { workers: 4, tasks: ['./tasks.js'] }, got ${describe(given)}`,
  )
}

/** One subscription, and what ends it at each worker. */
interface Subscription {
  at(events: Events): () => void
  readonly offs: Map<Events, () => void>
}

/** The events of several, who come and go, as one. */
class PoolEvents implements Events {
  /** With the ids of the workers whose they are. */
  readonly #sources = new Map<Events, string>()
  readonly #subscriptions = new Set<Subscription>()

  subscribe<const K extends EventName>(name: K, listener: (event: EventOf<K>) => void): () => void {
    if (!Object.hasOwn(EVENTS, name)) throw noSuchEvent(name)
    const at = (events: Events): (() => void) =>
      events.subscribe(name, (event) => (this.#isToldBy(events, event) ? listener(event) : undefined))
    const subscription: Subscription = { at, offs: new Map() }
    this.#subscriptions.add(subscription)
    for (const events of this.#sources.keys()) subscription.offs.set(events, subscription.at(events))
    return () => {
      this.#subscriptions.delete(subscription)
      for (const off of subscription.offs.values()) off()
      subscription.offs.clear()
    }
  }

  /** What happens among all processes, each worker tells: it is passed on once, by the worker that it is about or else by the first. */
  #isToldBy(
    events: Events,
    event: { readonly type: EventName; readonly workerId?: string; readonly leaderId?: string },
  ): boolean {
    if (!CLUSTER_NAMES.has(event.type)) return true
    const about = event.workerId ?? event.leaderId
    const [teller] = [...this.#sources].find(([, workerId]) => workerId === about) ?? [...this.#sources][0] ?? [events]
    return teller === events
  }

  add({ events, workerId }: { readonly events: Events; readonly workerId: string }): void {
    this.#sources.set(events, workerId)
    for (const subscription of this.#subscriptions) subscription.offs.set(events, subscription.at(events))
  }

  remove(events: Events): void {
    this.#sources.delete(events)
    for (const { offs } of this.#subscriptions) {
      offs.get(events)?.()
      offs.delete(events)
    }
  }
}

function countOf(workers: unknown): number {
  if (Number.isSafeInteger(workers) && (workers as number) >= 0 && (workers as number) <= MOST_WORKERS)
    return workers as number
  throw new GraflowError(
    'INVALID_OPTION',
    `worker pool: workers: expected an integer from 0 to ${MOST_WORKERS}, got ${describe(workers)}`,
    { details: { option: 'workers' } },
  )
}

const isClosed = (): GraflowError => new GraflowError('CLOSED', 'the pool was stopped: make a new one')
