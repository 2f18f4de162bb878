/**
 * What a fault test plays on: a Redis, a prefix of its own, a ledger, worker processes, clients, and a fault proxy where it wants one.
 * Everything is ended after the test, in reverse order.
 */
import { join } from 'node:path'
import { connect, type ConnectOptions, type Graflow } from 'graflow'
import { type Backend } from '../../lib/backend/backend.js'
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { type Keys, keysOf, tagOf } from '../../lib/backend/redis/keys.js'
import { Redis } from 'ioredis'
import { FaultProxy, type Match } from '../support/fault-proxy.js'
import { Ledger } from '../support/ledger.js'
import { type Child, endChildren, spawnWorker, startWorker, type WorkerOptions } from '../support/processes.js'
import type { RedisServer, RedisServerOptions } from '../support/redis-server.js'
import { freshPrefix, privateRedis, sharedRedis } from '../support/shared-redis.js'

const TASKS = join(__dirname, 'fault.tasks.ts')
export const OTHER_TASKS = join(__dirname, 'other.tasks.ts')

export class Stage {
  readonly server: RedisServer
  readonly prefix = freshPrefix()
  readonly ledger = new Ledger()
  readonly keys: Keys
  /** A connection of the test's own, for looking and for harm. */
  readonly redis: Redis
  readonly #ends: (() => Promise<unknown>)[] = []

  constructor(server: RedisServer) {
    this.server = server
    this.keys = keysOf(tagOf(this.prefix))
    this.redis = new Redis({ path: server.socket, retryStrategy: () => 20, disconnectTimeout: 10 })
    this.redis.on('error', () => undefined) // a test that ends the server knows it
  }

  /** A client on the stage's Redis, or on another address of it. */
  async client(options: ConnectOptions = {}, url = this.server.url): Promise<Graflow> {
    const client = await connect(url, { keyPrefix: this.prefix, logLevel: 'silent', ...options })
    this.#ends.push(() => client.close())
    return client
  }

  /** A worker process that takes work when this resolves. */
  async worker(id: string, options: Partial<WorkerOptions> = {}): Promise<Child> {
    return startWorker(this.#workerOptions(id, options))
  }

  /** A worker process, before it has said anything. */
  spawnWorker(id: string, options: Partial<WorkerOptions> = {}): Child {
    return spawnWorker(this.#workerOptions(id, options))
  }

  #workerOptions(id: string, options: Partial<WorkerOptions>): WorkerOptions {
    return {
      tasks: TASKS,
      url: this.server.url,
      keyPrefix: this.prefix,
      id,
      ...options,
      env: { ...this.ledger.env, ...options.env },
    }
  }

  /** A proxy before the stage's Redis. */
  async proxy(): Promise<FaultProxy> {
    const proxy = await FaultProxy.start({ port: this.server.port })
    this.#ends.push(() => proxy.stop())
    return proxy
  }

  /** The backend itself, without a client. */
  async backend(url = this.server.url): Promise<Backend> {
    const backend = await openRedisBackend({ address: url, keyPrefix: this.prefix })
    this.#ends.push(() => backend.close())
    return backend
  }

  async end(): Promise<void> {
    await endChildren()
    for (const end of this.#ends.splice(0).reverse()) await end()
    if (this.redis.status !== 'end') this.redis.disconnect()
    this.ledger.remove()
  }
}

/** Gives each test a stage on the file's shared Redis, or on a private one with these options. */
export function useStage(): (options?: RedisServerOptions) => Promise<Stage> {
  const stages: Stage[] = []
  afterEach(async () => {
    for (const stage of stages.splice(0)) await stage.end()
  })
  return async (options) => {
    const stage = new Stage(options === undefined ? await sharedRedis() : await privateRedis(options))
    stages.push(stage)
    return stage
  }
}

/** For the fault proxy: calls of the scripts whose names begin so (`step` is also `step-full`). */
export const script = (name: string): ((args: readonly Buffer[]) => boolean) =>
  callOf((found) => found.startsWith(name))

/** For the fault proxy: calls of just this script. */
export const scriptNamed = (name: string): Match => callOf((found) => found === name)

/** Redis knows a script as a function whose name begins with the script's and ends with a digest. */
function callOf(isMeant: (name: string) => boolean): (args: readonly Buffer[]) => boolean {
  return ([command, name]) => {
    if (name === undefined || command?.toString('latin1').toUpperCase() !== 'FCALL') return false
    const found = /^graflow_(\w+)_[0-9a-f]{40}$/.exec(name.toString('latin1'))?.[1]
    return found !== undefined && isMeant(found.replaceAll('_', '-'))
  }
}

/** Waits until something is so; rejects when it does not come about. */
export async function until(isSo: () => unknown, what: string, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`expected within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 4))
  }
}
