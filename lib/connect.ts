/** Puts the rooms together: chooses the backend and gives a client over it. The one place in lib that knows which backends there are. */
import { hostname } from 'node:os'
import type { Backend } from './backend/backend.js'
import { openMemoryBackend } from './backend/kernel/memory-backend.js'
import { retrying } from './backend/retrying.js'
import { parseAddress } from './backend/redis/address.js'
import { openRedisBackend } from './backend/redis/redis-backend.js'
import { Announcer } from './session/announcer.js'
import { Membership } from './session/membership.js'
import { Engine } from './engine/engine.js'
import { describe, describeError } from './describe.js'
import { GraflowError } from './errors.js'
import { Emitter } from './events.js'
import { isPolicy } from './flow/make.js'
import { expressionOf } from './flow/node.js'
import { writeLogLines } from './observe/log-lines.js'
import { CONNECT_OPTIONS, checkOptions, DEFAULT_LIMITS, defaultsOf, LIMIT_OPTIONS, SESSION_TTL_MS } from './options.js'
import { Client } from './producer/client.js'
import type { Address, ConnectOptions, Graflow } from './producer/types.js'
import { type Clock, type Random, systemClock, systemId, systemRandom } from './time.js'
import { Executor } from './executor/executor.js'

const DEFAULTS = defaultsOf(CONNECT_OPTIONS)

/**
 * Connects to a store. Without an address, or with `memory:`, it is this process: the same engine and the same semantics, no server; an
 * address that is there but undefined, as of a variable that is not set, is told in the log. A
 * task in any queue and with any `requires` runs here. With the address of a Redis (`redis://`, `rediss://`, `unix://`) sequential tasks
 * run here, and groups on worker processes that have the same key prefix.
 *
 * @example
 * const graflow = await connect()
 * await graflow.run(task('double', (n: number) => n * 2), 21) // → 42
 *
 * @throws GraflowError INVALID_OPTION; REDIS_UNAVAILABLE within 5 s; REDIS_UNSUITABLE; NOT_AVAILABLE for an address that this version cannot
 * connect to
 */
export function connect(address?: Address, options?: ConnectOptions): Promise<Graflow>
export function connect(options: ConnectOptions): Promise<Graflow>
export async function connect(...given: [first?: Address | ConnectOptions, second?: ConnectOptions]): Promise<Graflow> {
  const [first, second] = given
  const address = typeof first === 'object' ? undefined : first
  const options = checkOptions<ConnectOptions>('connect', CONNECT_OPTIONS, typeof first === 'object' ? first : second)
  const limits = { ...DEFAULT_LIMITS, ...checkOptions('connect: limits', LIMIT_OPTIONS, options.limits) }
  const isEmbedded = isMemory(address)
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const emitter = new Emitter(() => clock.now())
  const instanceId = options.instanceId ?? `${isEmbedded ? 'embedded' : 'client'}-${systemId().slice(0, 8)}`
  const { keyPrefix = DEFAULTS.keyPrefix, maxBytes, retentionMs = DEFAULTS.retentionMs } = options
  const near = await openStore(address, { keyPrefix, clock, random, ...(maxBytes !== undefined && { maxBytes }) })
  const backend = isEmbedded ? near : retrying(near, { clock, random })
  const session = `${instanceId}:${systemId()}`
  const engine = new Engine({ backend, clock, random, emitter, limits, workerId: instanceId, newId: systemId })
  for (const [i, item] of (options.tasks ?? []).entries()) {
    if (isPolicy(item)) engine.registry.learnPolicy(item)
    else engine.registry.learn(expressionOf(item, `connect: tasks[${i}]`))
  }
  const stopLog = writeLogLines(emitter, options.logLevel ?? CONNECT_OPTIONS.logLevel.default, (line) => {
    process.stderr.write(`${line}\n`)
  })
  if (given.length > 0 && first === undefined)
    emitter.emit('log', {
      level: 'warn',
      message:
        'embedded: connect was given undefined for an address (a variable that is not set?), so all runs stay in this process; ' +
        "if that is meant, write connect() or connect('memory:')",
    })
  const onClose: (() => Promise<void> | void)[] = []
  const announcer = isEmbedded ? undefined : new Announcer({ backend: near, clock, sender: session })
  if (announcer !== undefined) {
    emitter.forwardTo(announcer)
    onClose.push(() => announcer.close())
  }
  const parts = {
    ...{ backend, engine, emitter, session, instanceId, retentionMs, newId: systemId, onClose },
    ...(announcer !== undefined && { announcer }),
    reopen: () => membership.reopen(),
  }
  const client = new Client(parts)
  const served = isEmbedded ? 'all' : []
  const membership: Membership = await Membership.open({
    ...{ backend: near, session, clock, random, emitter, barrierWaits: engine.barrierWaits, graphs: engine.graphs },
    storeFlags: typeof address === 'string' && !isEmbedded ? storeFlagsOf(address, keyPrefix) : [],
    // A store in this process cannot be lost to itself.
    ttlMs: isEmbedded ? Number.POSITIVE_INFINITY : SESSION_TTL_MS,
    info: {
      ...{ baseId: instanceId, hostname: hostname(), pid: process.pid, role: 'client', metadata: {} },
      ...{ queues: served, capabilities: served, tasks: served },
    },
    holdings: {
      known: () => client.grants,
      reclaimed: ({ gid, token }) => client.held.handleNotice({ kind: 'lost', gid, token }),
    },
  }).catch(async (error: unknown) => {
    stopLog()
    await near.close()
    throw error
  })
  onClose.push(() => membership.close(), stopLog)
  if (isEmbedded) {
    client.work(
      new Executor({
        ...{ backend, engine, clock, emitter, session, workerId: instanceId, newId: systemId },
        maxConcurrentTasks: options.maxConcurrentTasks ?? DEFAULTS.maxConcurrentTasks,
        ...{ queues: 'all', capabilities: 'all' },
        driveRun: (grant, k) => {
          client.driveSubmitted(grant, k)
        },
        onError: (error) => {
          emitter.emit('log', { level: 'error', message: `the embedded worker met ${describeError(error)}` })
        },
      }),
    )
  }
  return client // its methods' types are the interface's: the class has them untyped
}

/** With which a worker finds the same store, as messages show it: without the password. */
const storeFlagsOf = (address: string, keyPrefix: string): readonly string[] => [
  ...['--redis-url', parseAddress(address).shown],
  ...(keyPrefix === DEFAULTS.keyPrefix ? [] : ['--redis-key-prefix', keyPrefix]),
]

export interface StoreOptions {
  readonly keyPrefix: string
  readonly clock: Clock
  readonly random: Random
  /** Of a store in this process. */
  readonly maxBytes?: number
}

/**
 * Opens the store at an address: in this process without one, else Redis. Whoever opens it closes it.
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
  return openRedisBackend({ address, keyPrefix, random })
}

const isMemory = (address: Address | undefined): boolean => address === undefined || address === 'memory:'
