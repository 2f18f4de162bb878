/** Puts the rooms together: chooses the backend and gives a client over it. The one place in lib that knows which backends there are. */
import { operatorsOf } from './admin/operators.js'
import type { Backend } from './backend/backend.js'
import { openMemoryBackend } from './backend/kernel/memory-backend.js'
import { parseAddress } from './backend/redis/address.js'
import { openSession, type Session, type SessionOptions } from './session/open-session.js'
import type { Engine } from './engine/engine.js'
import { describe, describeError } from './describe.js'
import { GraflowError, lookingAt } from './errors.js'
import { Emitter } from './events.js'
import { isPolicy } from './flow/make.js'
import { expressionOf } from './flow/node.js'
import { loadModules, type LoadedModule } from './modules/task-modules.js'
import { writeLogLines } from './observe/log-lines.js'
import { findTracer } from './observe/traces.js'
import { CONNECT_OPTIONS, checkOptions, DEFAULT_LIMITS, defaultsOf, LIMIT_OPTIONS, WORKER_OPTIONS } from './options.js'
import { Client } from './producer/client.js'
import type { ServerOptions } from './producer/server-types.js'
import type { Address, ConnectOptions, Graflow } from './producer/types.js'
import type { RunningServer, ServerParts } from './server/start-server.js'
import { openThreads, type ThreadPool } from './threads/thread-pool.js'
import { type Clock, type Random, systemClock, systemId, systemRandom } from './time.js'
import { Executor } from './executor/executor.js'

const DEFAULTS = defaultsOf(CONNECT_OPTIONS)

/**
 * Connects to a store. Without an address, or with `memory:`, it is this process: the same engine and the same semantics, no server. A task in any
 * queue and with any `requires` runs here. With the address of a Redis (`redis://`, `rediss://`, `unix://`) sequential tasks run here, and groups
 * on worker processes that have the same key prefix. If the address is given but undefined, such as a variable that is not set, the client is
 * embedded and logs a warning.
 *
 * @example
 * const graflow = await connect()
 * await graflow.run(task('double', (n: number) => n * 2), 21) // → 42
 *
 * @throws GraflowError INVALID_OPTION; TASK_MODULE, DUPLICATE_TASK; REDIS_UNAVAILABLE within 5 s; REDIS_UNSUITABLE; NOT_AVAILABLE for an address that this version cannot
 * connect to
 */
export function connect(address?: Address, options?: ConnectOptions): Promise<Graflow>
export function connect(options: ConnectOptions): Promise<Graflow>
export async function connect(...given: [first?: Address | ConnectOptions, second?: ConnectOptions]): Promise<Graflow> {
  const [first, second] = given
  const address = typeof first === 'object' ? undefined : first
  refuseAddressIn(first)
  const options = checkOptions<ConnectOptions>('connect', CONNECT_OPTIONS, typeof first === 'object' ? first : second)
  const isForgotten = given.length > 0 && first === undefined
  return openClient(address, options, { writeLog: toStandardError, isForgotten })
}

/** How a process shows what its client does. */
export interface ClientHost {
  /** Writes log events from a level up; returns what ends that. */
  readonly writeLog: (emitter: Emitter, level: NonNullable<ConnectOptions['logLevel']>) => () => void
  /** Whether an address was given that is undefined. */
  readonly isForgotten?: boolean
  /** For tests: puts a control plane over the client in another way. Default: it listens. */
  readonly startServer?: (parts: ServerParts, options: ServerOptions) => Promise<RunningServer>
}

const toStandardError: ClientHost['writeLog'] = (emitter, level) =>
  writeLogLines(emitter, level, (line) => {
    process.stderr.write(`${line}\n`)
  })

/** `connect`, for a process with a log of its own. @throws GraflowError as connect */
export async function openClient(
  address: Address | undefined,
  options: ConnectOptions,
  { writeLog, isForgotten = false, startServer }: ClientHost,
): Promise<Graflow> {
  const {
    clock = systemClock,
    retentionMs = DEFAULTS.retentionMs,
    logLevel = CONNECT_OPTIONS.logLevel.default,
  } = options
  const modules = await modulesOf(options.tasks ?? [])
  const learn = [...modules.map(learnerOfModule), ...(options.tasks ?? []).flatMap(learnersOf)]
  const emitter = new Emitter(() => clock.now())
  emitter.tracer = await findTracer()
  const stopLog = writeLog(emitter, logLevel)
  if (isForgotten) warnOfUndefinedAddress(emitter)
  const { maxConcurrentTasks = DEFAULTS.maxConcurrentTasks, timings = DEFAULTS.timings } = options
  const threads = openThreads(modules, { ...options, maxConcurrentTasks, emitter })
  const session = await openClientSession(address, options, { emitter, clock, threads }).catch((error: unknown) => {
    stopLog()
    throw error
  })
  for (const learnFrom of learn) learnFrom(session.engine)
  const onClose = async (): Promise<void> => {
    await threads?.close()
    stopLog()
  }
  const client = new Client({ session, operators: operatorsOf, retentionMs, onClose })
  if (isMemory(address)) session.serve(executorOf(session, maxConcurrentTasks, timings))
  if (options.serve !== undefined) await serve(client, session, address, options, startServer)
  return client // its methods' types are the interface's: the class has them untyped
}

/** Puts the control plane over a client, which is closed where that fails. @throws GraflowError INVALID_OPTION */
async function serve(
  client: Client,
  session: Session,
  address: Address | undefined,
  options: ConnectOptions,
  start: ClientHost['startServer'],
): Promise<void> {
  const { keyPrefix = DEFAULTS.keyPrefix, clock = systemClock, random = systemRandom } = options
  try {
    // with the libraries that it needs, which no other client loads
    const { startServer } = await import('./server/start-server.js')
    const shown = address === undefined || isMemory(address) ? {} : { address: parseAddress(address).shown }
    const parts = { graflow: client, session, keyPrefix, ...shown, clock, random, newId: systemId }
    client.servedBy(await (start ?? startServer)(parts, options.serve ?? {}))
  } catch (error) {
    await client.close()
    throw error
  }
}

/** An address among the options, as other clients of Redis take it. @throws GraflowError INVALID_OPTION, NOT_AVAILABLE */
function refuseAddressIn(options: unknown): void {
  if (typeof options !== 'object' || options === null) return
  const names = lookingAt('connect', 'INVALID_OPTION', () => Object.keys(options))
  const several = names.find((name) => name === 'cluster' || name === 'sentinels')
  if (several !== undefined) {
    const message = `connect: this version cannot connect by { ${several} }: give the address of one server, connect('redis://localhost:6379')`
    throw new GraflowError('NOT_AVAILABLE', message, { details: { option: several } })
  }
  const found = names.find((name) => ADDRESS_NAMES.has(name))
  if (found === undefined) return
  throw new GraflowError(
    'INVALID_OPTION',
    `connect: ${found}: there is no such option; the address comes first: connect('redis://localhost:6379', { … })`,
    { details: { option: found } },
  )
}

const ADDRESS_NAMES: ReadonlySet<string> = new Set([
  ...[
    'redisUrl',
    'redisHost',
    'redisPort',
    'redisDb',
    'redis',
    'url',
    'uri',
    'address',
    'host',
    'port',
    'socket',
    'connection',
  ],
])

/** @throws GraflowError TASK_MODULE, DUPLICATE_TASK */
function modulesOf(tasks: NonNullable<ConnectOptions['tasks']>): Promise<readonly LoadedModule[]> {
  const paths = tasks.filter((item) => typeof item === 'string')
  if (paths.length === 0) return Promise.resolve([])
  return loadModules(paths, process.cwd(), { clock: systemClock, timeoutMs: WORKER_OPTIONS.moduleTimeoutMs.default })
}

const learnerOfModule =
  ({ expressions, policies }: LoadedModule) =>
  ({ registry }: Engine): void => {
    for (const expression of expressions) registry.learn(expression)
    for (const policy of policies) registry.learnPolicy(policy)
  }

/** Checks one of the tasks that a client is given; what it gives makes them known. @throws GraflowError INVALID_OPTION */
function learnersOf(item: NonNullable<ConnectOptions['tasks']>[number], i: number): ((engine: Engine) => void)[] {
  if (typeof item === 'string') return [] // a module, of which all is learnt
  if (isPolicy(item)) return [({ registry }) => registry.learnPolicy(item)]
  const expression = expressionOf(item, `connect: tasks[${i}]`)
  return [({ registry }) => registry.learn(expression)]
}

function warnOfUndefinedAddress(emitter: Emitter): void {
  emitter.emit('log', {
    level: 'warn',
    message:
      'embedded: connect was given undefined for an address (a variable that is not set?), so all runs stay in this process; ' +
      "if that is meant, write connect() or connect('memory:')",
  })
}

async function openClientSession(
  address: Address | undefined,
  options: ConnectOptions,
  { emitter, clock, threads }: Pick<SessionOptions, 'emitter' | 'clock'> & { readonly threads: ThreadPool | undefined },
): Promise<Session> {
  const { random = systemRandom, maxBytes, hostname, metadata } = options
  const { keyPrefix, role, leaderTtlMs } = { ...DEFAULTS, ...options }
  const limits = { ...DEFAULT_LIMITS, ...checkOptions('connect: limits', LIMIT_OPTIONS, options.limits) }
  const isEmbedded = isMemory(address)
  const served = isEmbedded ? 'all' : []
  const metadataGiven = metadataOf(metadata)
  const baseId = options.instanceId ?? `${isEmbedded ? 'embedded' : 'client'}-${systemId().slice(0, 8)}`
  const store = await openStore(address, { keyPrefix, clock, random, ...(maxBytes !== undefined && { maxBytes }) })
  return openSession({
    ...{ store, isEmbedded, limits, clock, random, emitter, newId: systemId },
    ...(threads !== undefined && { threads }),
    ...(role === 'auto' && { leadership: { ttlMs: leaderTtlMs, housekeeping: { ...DEFAULTS, ...options } } }),
    info: {
      baseId,
      role: 'client',
      metadata: metadataGiven,
      ...(hostname !== undefined && { hostname }),
      ...(options.buildId !== undefined && { buildId: options.buildId }),
      queues: served,
      capabilities: served,
      tasks: served,
    },
    storeFlags: typeof address === 'string' && !isEmbedded ? storeFlagsOf(address, keyPrefix) : [],
  })
}

/** @throws GraflowError INVALID_OPTION */
function metadataOf(given: ConnectOptions['metadata'] = {}): NonNullable<ConnectOptions['metadata']> {
  for (const [key, value] of Object.entries<unknown>(given)) {
    if (/^[A-Za-z0-9_.-]{1,128}$/.test(key) && typeof value === 'string' && value.length <= 1_024) continue
    const fault = `expected texts by name, such as { zone: "eu-1" }, got ${describe(value)} for ${describe(key)}`
    throw new GraflowError('INVALID_OPTION', `connect: metadata: ${fault}`, { details: { option: 'metadata' } })
  }
  return { ...given }
}

/** What runs branches in this process (embedded): tasks of any queue, with any `requires`. */
const executorOf = (session: Session, maxConcurrentTasks: number, timings: boolean): Executor =>
  new Executor({
    ...session.forExecutor,
    ...{ maxConcurrentTasks, timings, queues: 'all' },
    driveRun: (grant, k) => void session.holdings.driveTaken(grant, k),
    onError: (error) => {
      session.emitter.emit('log', {
        level: 'error',
        message: `an error in the embedded worker: ${describeError(error)}`,
      })
      session.lifecycle.failed(error)
    },
  })

/** With which a worker finds the same store, as messages show it: without user and password. */
export function storeFlagsOf(address: string, keyPrefix: string): readonly string[] {
  const { shown, username, password } = parseAddress(address)
  const login = username === undefined && password === undefined ? '' : '<user:password>@'
  return [
    ...['--redis-url', shown.replace('://', `://${login}`)],
    ...(keyPrefix === DEFAULTS.keyPrefix ? [] : ['--redis-key-prefix', keyPrefix]),
  ]
}

export interface StoreOptions {
  readonly keyPrefix: string
  readonly clock: Clock
  readonly random: Random
  /** Of a store in this process. */
  readonly maxBytes?: number
}

/**
 * Opens the store at an address: in this process without one, else Redis. The caller closes it.
 * @throws GraflowError INVALID_OPTION for an address that is none; REDIS_UNAVAILABLE, REDIS_UNSUITABLE; NOT_AVAILABLE for a kind of address
 * that this version cannot connect to
 */
export async function openStore(address: Address | undefined, options: StoreOptions): Promise<Backend> {
  const { keyPrefix, clock, random, maxBytes } = options
  if (isMemory(address)) return openMemoryBackend({ clock, ...(maxBytes !== undefined && { maxBytes }) })
  if (typeof address !== 'string') {
    throw new GraflowError(
      'NOT_AVAILABLE',
      `expected an address such as redis://localhost:6379 or unix:///run/redis.sock, got ${describe(address)}: this version knows neither Cluster nor Sentinel`,
    )
  }
  // with its client library, which is half of what there is to load, and needed only here
  const { openRedisBackend } = await import('./backend/redis/redis-backend.js')
  return openRedisBackend({ address, keyPrefix, random })
}

const isMemory = (address: Address | undefined): boolean => address === undefined || address === 'memory:'
