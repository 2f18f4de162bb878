/**
 * A worker as an object: from its task modules and its session to its last outcome. Hides in which order it comes up and goes down; who
 * makes one says how a store is opened, and sees to signals and exit codes.
 *
 * This file is long because coming up and going down undo each other, step by step, and are read side by side.
 */
import { describeError, messageOf } from '../lib/describe.js'
import type { Backend } from '../lib/backend/backend.js'
import { Lifecycle } from '../lib/session/lifecycle.js'
import { openSession, type Session } from '../lib/session/open-session.js'
import { WorkflowRegistration } from '../lib/session/workflow-registration.js'
import { Cancellation, Unreported } from '../lib/engine/cancellation.js'
import { isInThread, notInAModule } from '../lib/engine/start-task.js'
import { GraflowError } from '../lib/errors.js'
import { Emitter, type Events, type WorkerStateName } from '../lib/events.js'
import { policyCode, waitCode } from '../lib/engine/routing.js'
import { policiesOf, tasksOf, waitsOf } from '../lib/flow/collect.js'
import type { Expression, TaskExpression } from '../lib/flow/expression.js'
import { expressionOf } from '../lib/flow/node.js'
import { isPolicy } from '../lib/flow/make.js'
import { type Later, logFailures } from '../lib/observe/failure-lines.js'
import { findTracer } from '../lib/observe/traces.js'
import { DEFAULT_LIMITS, defaultsOf, RUNS_QUEUE, WORKER_OPTIONS } from '../lib/options.js'
import { openThreads, type ThreadPool } from '../lib/threads/thread-pool.js'
import { systemClock, systemId, systemRandom, type Clock, type Random, withDeadline } from '../lib/time.js'
import { serveHealth, type HealthServer } from './health-server.js'
import { type WriteLog, writeToStandardError } from './standard-error.js'
import { leave } from './leaving.js'
import { waitCounts } from '../lib/admin/wait-counts.js'
import { soon, storeSources } from '../lib/server/store-sources.js'
import { checkNames, loadModules, type LoadedModule } from '../lib/modules/task-modules.js'
import { addressOf, checkWorkerOptions, isDriving, isServing, queuesOf, type WorkerOptions } from './worker-options.js'
import { Executor, type WorkerCounters } from '../lib/executor/executor.js'

/** What a worker gets from the code that puts the rooms together. */
export interface WorkerHost {
  readonly openStore: (
    address: string | undefined,
    options: { readonly keyPrefix: string; readonly clock: Clock; readonly random: Random },
  ) => Promise<Backend>
  /** Where log events go; lines on standard error without it. */
  readonly writeLog?: WriteLog
  /** Folder from which relative module paths count. */
  readonly folder: string
}

const DEFAULTS = defaultsOf(WORKER_OPTIONS)

/** What is there only between start and stop. */
interface Running {
  readonly session: Session
  readonly executor: Executor
}

const NO_COUNTERS: WorkerCounters = { tasksProcessed: 0, tasksSucceeded: 0, tasksFailed: 0, totalExecutionTimeMs: 0 }

/** Started once, stopped once. */
export class WorkerCore {
  readonly workerId: string
  readonly events: Events
  readonly #options: ReturnType<typeof checkWorkerOptions>
  readonly #host: WorkerHost
  /** The caller that made it gave an address of Redis that is undefined. */
  readonly #isAddressUnset: boolean
  readonly #clock: Clock
  readonly #random: Random
  readonly #emitter: Emitter
  readonly #lifecycle: Lifecycle
  readonly #ends: (() => Promise<void> | void)[] = []
  readonly #stopAsked = new Cancellation()
  #state: WorkerStateName = 'registering'
  #countWaits: ReturnType<typeof waitCounts> | undefined
  #running: Running | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #health: HealthServer | undefined
  #lastCounters: WorkerCounters = NO_COUNTERS
  readonly #steps = { succeeded: 0, failed: 0, durationMs: 0 }

  /** @throws GraflowError INVALID_OPTION */
  constructor(options: WorkerOptions, host: WorkerHost) {
    this.#options = checkWorkerOptions(options)
    this.#host = host
    const { redisUrl, redisHost, redisPort, redisDb } = this.#options
    this.#isAddressUnset =
      Object.hasOwn(options, 'redisUrl') && (redisUrl ?? redisHost ?? redisPort ?? redisDb) === undefined
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.workerId = this.#options.workerId ?? `worker-${systemId().slice(0, 8)}`
    this.#emitter = new Emitter(() => this.#clock.now())
    this.events = this.#emitter
    this.#lifecycle = new Lifecycle(this.#emitter, this.#clock)
  }

  /** True from when it is ready until `stop` is called. */
  get isRunning(): boolean {
    return this.#running !== undefined && this.#stopping === undefined && this.#state !== 'registering'
  }

  /** Whether it leads now: false as soon as another may. */
  get isLeader(): boolean {
    return this.#lifecycle.isLeader
  }

  /** Calls `fn` with the term whenever this worker becomes the leader, and soon if it is. Returns what ends that. @throws GraflowError INVALID_OPTION */
  onBecameLeader(fn: (term: number) => unknown): () => void {
    return this.#lifecycle.onBecameLeader(fn)
  }

  /** Calls `fn` with the term when this worker leads no more. Returns what ends that. @throws GraflowError INVALID_OPTION */
  onLostLeadership(fn: (term: number) => unknown): () => void {
    return this.#lifecycle.onLostLeadership(fn)
  }

  /** Calls `fn` with what goes wrong in the background, where no caller gets it. Returns what ends that. @throws GraflowError INVALID_OPTION */
  onError(fn: (error: Error) => unknown): () => void {
    return this.#lifecycle.onError(fn)
  }

  get state(): WorkerStateName {
    return this.#state
  }

  /** Branches that run now. */
  get inFlight(): number {
    return this.#running?.executor.inFlight ?? 0
  }

  /** Branches that succeeded or failed for good here. */
  get tasksProcessed(): number {
    return this.#counters.tasksProcessed
  }

  get tasksSucceeded(): number {
    return this.#counters.tasksSucceeded
  }

  get tasksFailed(): number {
    return this.#counters.tasksFailed
  }

  get totalExecutionTimeMs(): number {
    return this.#counters.totalExecutionTimeMs
  }

  /** Port of the health server, once it listens. */
  get metricsPort(): number | undefined {
    return this.#health?.port
  }

  /**
   * Loads the task modules, connects, registers, and takes work from then on. Repeating it gives the same promise.
   * @throws GraflowError TASK_MODULE, DUPLICATE_TASK; REDIS_UNAVAILABLE within 5 s, REDIS_UNSUITABLE; INVALID_OPTION for a port in use;
   * NOT_LEADER with the role leader, when it does not lead within leaderTtlMs and a second; CLOSED when it was stopped before, or is while it loads or connects
   */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /**
   * Takes nothing new, lets what runs finish for up to `timeoutMs`, and releases the rest, unspent. Resolves within `timeoutMs` while the store is
   * away, and within about 2 s after it else, however long handlers wait; one that keeps the event loop busy also keeps this from going on. Repeating it gives
   * the same promise.
   */
  stop(
    timeoutMs: number = this.#options.gracefulShutdownTimeoutMs ?? DEFAULTS.gracefulShutdownTimeoutMs,
  ): Promise<void> {
    this.#stopping ??= this.#stop(timeoutMs)
    return this.#stopping
  }

  /** Releases all that is in hand as far as that goes within `withinMs`: for a process that is about to exit in a hurry. */
  async abandon(withinMs: number): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    const { session, executor } = running
    const isIdle = executor.tasksInFlight.size === 0 && session.holdings.submittedRuns === 0
    const given = isIdle ? 'it has nothing in hand' : `and releases ${inHandOf(running)}; others start it again`
    this.#log('warn', `worker ${this.workerId} ends at once, ${given}`)
    const leave = session.holdings.release(isStopping(this.workerId)).then(() => session.close('stopped'))
    await this.#atMost(withinMs, leave)
  }

  /**
   * For a process that must exit because some handler's code threw where nothing could catch it. What was not started is released unspent and
   * outcomes are settled, as far as that goes within `withinMs`; what was started counts as lost, since it may do the same elsewhere.
   */
  async crash(withinMs: number): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    running.session.holdings.quiet()
    await this.#atMost(withinMs, running.executor.settled())
  }

  async #start(): Promise<void> {
    if (this.#stopping !== undefined)
      throw new GraflowError('CLOSED', `worker ${this.workerId} was stopped: make a new one`)
    const { logLevel = 'info', logFormat, tasks = [], moduleTimeoutMs = DEFAULTS.moduleTimeoutMs } = this.#options
    const writeLog = this.#host.writeLog ?? writeToStandardError({ workerId: this.workerId })
    this.#ends.push(writeLog(this.#emitter, logLevel, logFormat))
    if (logLevel !== 'silent' && logLevel !== 'error') {
      const later: Later = (ms, fn) => this.#clock.after(ms, fn, true)
      this.#ends.push(logFailures(this.#emitter, later))
    }
    this.#ends.push(
      this.#emitter.subscribe('step:settled', ({ status, durationMs }) => {
        this.#steps[status] += 1
        this.#steps.durationMs += durationMs
      }),
    )
    if (this.#isAddressUnset) {
      this.#log(
        'warn',
        `worker ${this.workerId} was given undefined for redisUrl (a variable that is not set?), so it takes ${addressOf(this.#options)}; ` +
          'if that is meant, leave redisUrl out',
      )
    }
    try {
      this.#emitter.tracer = await findTracer()
      const paths = tasks.filter((item) => typeof item === 'string')
      const time = { clock: this.#clock, timeoutMs: moduleTimeoutMs }
      const modules = await this.#stopAsked.race(loadModules(paths, this.#host.folder, time))
      const all = [...modules, ownOf(tasks)]
      const names = checkNames(all)
      const threads = this.#openThreads(modules, all)
      await this.#serve(names)
      await this.#join(all, names, threads)
    } catch (error) {
      await this.#end()
      throw error
    }
    this.#become('ready')
    const { workerId } = this
    const { metricsHost = DEFAULTS.metricsHost } = this.#options
    const health =
      this.#health === undefined ? '' : `; health and metrics on http://${metricsHost}:${this.#health.port}`
    this.#log('info', `worker ${workerId} is ready: ${this.#describe()}${health}`)
    const { session, executor } = this.#theRunning()
    if (isServing(this.#options)) session.serve(executor)
  }

  #describe(): string {
    const { maxConcurrentTasks = DEFAULTS.maxConcurrentTasks } = this.#options
    if (!isServing(this.#options))
      return this.#options.role === 'leader' ? 'it leads and takes no work' : 'it looks and takes no work'
    const { names, limits } = queuesOf(this.#options)
    const shown = names.map((name) => (limits.has(name) ? `${name}:${limits.get(name) ?? ''}` : name))
    const tasks = this.#theRunning().session.engine.registry.taskNames()
    return `${maxConcurrentTasks} at once from ${shown.join(', ')}; tasks ${tasks.join(', ')}`
  }

  /** The queues that it serves; that of submitted runs is one of them where it drives runs. */
  #served(): readonly string[] {
    const own = queuesOf(this.#options).names.filter((name) => name !== RUNS_QUEUE)
    return isDriving(this.#options) ? [...own, RUNS_QUEUE] : own
  }

  /** @throws GraflowError NOT_AVAILABLE for a task that no thread could load */
  #openThreads(modules: readonly LoadedModule[], all: readonly LoadedModule[]): ThreadPool | undefined {
    const { maxConcurrentTasks = DEFAULTS.maxConcurrentTasks } = this.#options
    const threads = openThreads(modules, { ...this.#options, maxConcurrentTasks, emitter: this.#emitter })
    for (const { name, handler, options } of all.flatMap(({ expressions }) => expressions.flatMap(tasksIn))) {
      if (handler !== undefined && isInThread(options) && threads?.has(name) !== true) throw notInAModule(name)
    }
    if (threads !== undefined) this.#ends.push(() => threads.close())
    return threads
  }

  /** Connects and registers. */
  async #join(
    modules: readonly LoadedModule[],
    tasks: readonly string[],
    threads: ThreadPool | undefined,
  ): Promise<void> {
    const [clock, random] = [this.#clock, this.#random]
    const housekeeping = { ...DEFAULTS, ...this.#options }
    const { keyPrefix, leaderTtlMs, heartbeatIntervalMs } = housekeeping
    const { capabilities = [], role = WORKER_OPTIONS.role.default, hostname, buildId } = this.#options
    const mustLead = role === 'leader'
    const limits = { ...DEFAULT_LIMITS, ...this.#options.limits }
    const queues = isServing(this.#options) ? this.#served() : []
    const session = await openSession({
      ...{ clock, random, limits, emitter: this.#emitter, newId: systemId },
      ...(threads !== undefined && { threads }),
      ...{ lifecycle: this.#lifecycle },
      ...((role === 'auto' || mustLead) && { leadership: { ttlMs: leaderTtlMs, mustLead, housekeeping } }),
      heartbeat: { intervalMs: heartbeatIntervalMs, state: () => this.#state },
      store: await this.#openStore(),
      onDrain: () => {
        this.#log('info', `worker ${this.workerId} was asked to leave`)
        this.stop().catch((error: unknown) =>
          this.#log('error', `worker ${this.workerId} could not leave: ${describeError(error)}`),
        )
      },
      info: {
        baseId: this.workerId,
        role,
        queues,
        capabilities,
        tasks: codeOf(modules, tasks),
        metadata: this.#metadata(),
        ...(hostname !== undefined && { hostname }),
        ...(buildId !== undefined && { buildId }),
      },
      storeFlags: keyPrefix === DEFAULTS.keyPrefix ? [] : ['--redis-key-prefix', keyPrefix],
    })
    this.#ends.push(() => session.close())
    const { registry, graphs } = session.engine
    for (const { expressions, policies } of modules) {
      for (const expression of expressions) registry.learn(expression)
      for (const policy of policies) registry.learnPolicy(policy)
    }
    if (isServing(this.#options)) {
      const workflows = new Map(registry.workflows)
      const parts = { backend: session.store, graphs, clock, random, emitter: this.#emitter }
      const registration = new WorkflowRegistration({ ...parts, workflows, buildId })
      this.#ends.push(() => registration.stop())
      await registration.begin()
    }
    this.#running = { session, executor: this.#executorOf(session, queues) }
  }

  /** @throws GraflowError CLOSED when it is stopped meanwhile: a store that is opened all the same is closed again */
  async #openStore(): Promise<Backend> {
    const [clock, random] = [this.#clock, this.#random]
    const { keyPrefix = DEFAULTS.keyPrefix } = this.#options
    const opening = this.#host.openStore(addressOf(this.#options), { keyPrefix, clock, random })
    try {
      return await this.#stopAsked.race(opening)
    } catch (error) {
      opening.then(
        (store) => store.close(),
        () => undefined, // why it failed is thrown here
      )
      throw error
    }
  }

  #executorOf(session: Session, queues: readonly string[]): Executor {
    const { maxConcurrentTasks = DEFAULTS.maxConcurrentTasks, timings = DEFAULTS.timings } = this.#options
    return new Executor({
      ...session.forExecutor,
      ...{ distant: { random: this.#random }, runsHoldSlots: true },
      ...{ maxConcurrentTasks, timings, queues, queueLimits: queuesOf(this.#options).limits },
      driveRun: (grant, k, slot) => void session.holdings.driveTaken(grant, k, slot),
      onBusy: (isBusy) => this.#become(isBusy ? 'busy' : 'ready'),
      onError: (error) => {
        this.#log('error', `worker ${this.workerId} met ${describeError(error)}`)
        this.#lifecycle.failed(error)
      },
    })
  }

  #metadata(): Readonly<Record<string, string>> {
    const { metadata, buildId } = this.#options
    return { ...metadata, ...(buildId !== undefined && { buildId }) }
  }

  /** What waits costs the store some calls, so of all workers the one that leads says it. */
  async #waits(): Promise<Readonly<Record<string, number>> | undefined> {
    const session = this.#running?.session
    if (session === undefined || !this.isLeader) return undefined
    this.#countWaits ??= waitCounts({ backend: session.store, engine: session.engine })
    return this.#countWaits()
  }

  /** @param tasks what it has handlers for */
  async #serve(tasks: readonly string[]): Promise<void> {
    const { metricsPort, metricsHost = DEFAULTS.metricsHost, keyPrefix = DEFAULTS.keyPrefix } = this.#options
    if (metricsPort === undefined) return
    const { Metrics } = await import('../lib/observe/metrics.js') // what it loads, few need
    const ownQueues = isServing(this.#options) ? queuesOf(this.#options).names : []
    const store = storeSources(
      keyPrefix,
      ownQueues,
      (question) => this.#probe(({ session }) => question(session.store)),
      (message) => this.#log('warn', message),
      () => this.#waits(),
    )
    const metrics = new Metrics({
      process: {
        ...{ events: this.#emitter, now: () => this.#clock.now() },
        inFlight: () => this.inFlight,
        graphHits: () => this.#running?.session.engine.graphs.hits ?? 0,
        tasks: isServing(this.#options) ? tasks : [],
        isLeader: () => this.isLeader,
      },
      store,
    })
    this.#ends.push(() => metrics.close())
    this.#health = await serveHealth(metricsHost, metricsPort, {
      ...{ program: 'worker', name: { workerId: this.workerId } },
      contentType: metrics.contentType,
      metrics: () => metrics.text(),
      state: () => this.#state,
      unreadiness: () => this.#unreadiness(),
    })
    this.#ends.push(() => this.#health?.close())
  }

  async #unreadiness(): Promise<string | undefined> {
    const running = this.#running
    if (this.#state === 'draining' || this.#state === 'stopped') return `the worker is ${this.#state}`
    if (running === undefined || this.#state === 'registering') return 'the worker is not registered yet'
    if (running.session.state !== 'registered') return 'the store took the worker for dead; it registers again'
    try {
      await this.#probe(({ session }) => session.store.ping())
      return undefined
    } catch (error) {
      return `the store does not answer: ${messageOf(error)}`
    }
  }

  /** Asks the store how it is now: what is not answered soon fails. */
  async #probe<T>(ask: (running: Running) => Promise<T>): Promise<T> {
    return soon(this.#clock, ask(this.#theRunning()))
  }

  async #stop(timeoutMs: number): Promise<void> {
    // What is still loading or connecting has nothing in hand.
    this.#stopAsked.abort(new GraflowError('CLOSED', `worker ${this.workerId} was stopped before it was ready`))
    await this.#starting?.catch(() => undefined) // what failed to start has ended itself
    const running = this.#running
    if (running !== undefined) {
      const { session, executor } = running
      this.#become('draining')
      const count = executor.inFlight
      this.#log('info', `worker ${this.workerId} is draining: ${count} in flight, up to ${timeoutMs} ms`)
      const onRelease = (): void => {
        this.#log(
          'warn',
          `worker ${this.workerId} releases what did not finish within ${timeoutMs} ms: ${inHandOf(running)}; others start it again`,
        )
      }
      await leave({ clock: this.#clock, session, reason: isStopping(this.workerId), onRelease }, timeoutMs)
      this.#lastCounters = executor.counters
      this.#running = undefined
    }
    this.#become('stopped')
    this.#log('info', `worker ${this.workerId} has stopped`)
    await this.#end()
  }

  /** What was begun is ended, in reverse order. */
  async #end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
  }

  /** Of branches, and of the steps of the runs that it drives. */
  get #counters(): WorkerCounters {
    const branches = this.#running?.executor.counters ?? this.#lastCounters
    const { succeeded, failed, durationMs } = this.#steps
    return {
      tasksProcessed: branches.tasksProcessed + succeeded + failed,
      tasksSucceeded: branches.tasksSucceeded + succeeded,
      tasksFailed: branches.tasksFailed + failed,
      totalExecutionTimeMs: branches.totalExecutionTimeMs + durationMs,
    }
  }

  #theRunning(): Running {
    if (this.#running === undefined) throw new GraflowError('CLOSED', `worker ${this.workerId} is not connected`)
    return this.#running
  }

  #become(state: WorkerStateName): void {
    const from = this.#state
    const isOver = from === 'stopped' || (from === 'draining' && state !== 'stopped')
    if (from === state || isOver) return
    this.#state = state
    if (state === 'draining' || from === 'registering') this.#running?.session.beat()
    if (this.#emitter.has('worker:state'))
      this.#emitter.emit('worker:state', { workerId: this.workerId, from, to: state })
  }

  #log(level: 'info' | 'warn' | 'error', message: string): void {
    this.#emitter.emit('log', { level, message })
  }

  /** Waits for it, but no longer than this. */
  async #atMost(ms: number, promise: Promise<unknown>): Promise<void> {
    await withDeadline(this.#clock, ms, promise, () => undefined)
  }
}

const tasksIn = (expression: Expression): readonly TaskExpression[] => [...tasksOf(expression).values()]

/** Names that a message has; a worker may run thousands of tasks. */
const MOST_NAMED = 10

/** What a worker has begun and not finished, for a message: `3 tasks (resize 2 times, fetch) and 1 run that it drives`. */
function inHandOf({ executor, session: { holdings } }: Running): string {
  const tasks = [...executor.tasksInFlight].sort(([, a], [, b]) => b - a)
  const count = tasks.reduce((sum, [, n]) => sum + n, 0)
  const named = tasks.slice(0, MOST_NAMED).map(([task, n]) => (n === 1 ? task : `${task} ${n} times`))
  const more = tasks.length > MOST_NAMED ? ', …' : ''
  const shown = count === 0 ? 'no task' : `${count} ${count === 1 ? 'task' : 'tasks'} (${named.join(', ')}${more})`
  const runs = holdings.submittedRuns
  return runs === 0 ? shown : `${shown} and ${runs} ${runs === 1 ? 'run' : 'runs'} that it drives`
}

/** What handlers see whose time is up. */
const isStopping = (workerId: string): Unreported =>
  new Unreported(`worker ${workerId} is stopping: the branch is released, and started again elsewhere`, 'CLOSED')

/** Names of all code that the modules have: tasks, join policies, and schemas of waits. */
function codeOf(modules: readonly LoadedModule[], tasks: readonly string[]): readonly string[] {
  const policies = modules.flatMap((module) => [
    ...module.policies.map(({ name }) => name),
    ...module.expressions.flatMap((expression) => [...policiesOf(expression).keys()]),
  ])
  const waits = modules.flatMap((module) =>
    module.expressions.flatMap((expression) => [...waitsOf(expression).values()].filter(({ schema }) => schema)),
  )
  return [
    ...tasks,
    ...[...new Set(policies)].map(policyCode),
    ...[...new Set(waits.map(({ name }) => name))].map(waitCode),
  ]
}

/** Of the option `tasks`, what is no path. */
function ownOf(tasks: NonNullable<WorkerOptions['tasks']>): LoadedModule {
  const expressions = []
  const policies = []
  for (const [i, item] of tasks.entries()) {
    if (typeof item === 'string') continue
    if (isPolicy(item)) policies.push(item)
    else expressions.push(expressionOf(item, `worker: tasks[${i}]`))
  }
  return { path: 'tasks', expressions, policies }
}
