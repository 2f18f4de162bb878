/**
 * What a test on Redis works with: a server, a key prefix of its own, a ledger, worker processes, clients, backends, and a fault proxy
 * where it wants one. What a stage has started ends with the stage, in reverse order.
 */
import { connect, type ConnectOptions, type Graflow } from 'graflow'
import { type Backend } from '../../lib/backend/backend.js'
import { openRedisBackend, type RedisBackendOptions } from '../../lib/backend/redis/redis-backend.js'
import { type Keys, keysOf, tagOf } from '../../lib/backend/redis/keys.js'
import { Redis } from 'ioredis'
import { FaultProxy, type Match } from './fault-proxy.js'
import { keepRenewalThread } from './kept-thread.js'
import { Ledger } from './ledger.js'
import { type Child, endChildren, spawnScript, spawnWorker, type WorkerOptions, workerReady } from './processes.js'
import { RedisServer, type RedisServerOptions } from './redis-server.js'
import { freshPrefix, privateRedis, sharedRedis } from './shared-redis.js'

export class Stage {
  readonly server: RedisServer
  readonly prefix = freshPrefix()
  readonly ledger = new Ledger()
  readonly keys: Keys
  /** A connection of the test's own, to look at the keys and to corrupt them. */
  readonly redis: Redis
  readonly #tasks: string | undefined
  readonly #ends: (() => Promise<unknown>)[] = []
  readonly #children: Child[] = []

  /** @param tasks the task module of its worker processes, unless they are told another one */
  constructor(server: RedisServer, tasks?: string) {
    this.server = server
    this.#tasks = tasks
    this.keys = keysOf(tagOf(this.prefix))
    this.redis = new Redis({ path: server.socket, retryStrategy: () => 20, disconnectTimeout: 10 })
    this.redis.on('error', () => undefined) // a test that ends the server knows it
  }

  /** Runs when the stage ends, before the end of what was started earlier. */
  onEnd(end: () => Promise<unknown>): void {
    this.#ends.push(end)
  }

  /** A client on the stage's Redis, or on another address of it. */
  async client(options: ConnectOptions = {}, url = this.server.url): Promise<Graflow> {
    await keepRenewalThread()
    const client = await connect(url, { keyPrefix: this.prefix, logLevel: 'silent', ...options })
    this.onEnd(() => client.close())
    return client
  }

  /** A worker process that takes work when this resolves. */
  async worker(id: string, options: Partial<WorkerOptions> = {}): Promise<Child> {
    return workerReady(this.spawnWorker(id, options))
  }

  /** A worker process, before it has said anything. */
  spawnWorker(id: string, options: Partial<WorkerOptions> = {}): Child {
    return this.#own(spawnWorker(this.#workerOptions(id, options)))
  }

  /** A TypeScript file as a process of its own, which finds the stage's ledger. */
  spawnScript(file: string, args: readonly string[], release?: string): Child {
    return this.#own(spawnScript(file, args, this.ledger.env, release))
  }

  #own(child: Child): Child {
    this.#children.push(child)
    return child
  }

  #workerOptions(id: string, options: Partial<WorkerOptions>): WorkerOptions {
    const tasks = options.tasks ?? this.#tasks
    if (tasks === undefined) throw new Error('expected a stage with a task module')
    return {
      tasks,
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
    this.onEnd(() => proxy.stop())
    return proxy
  }

  /** The backend itself, without a client. */
  async backend(options: Partial<RedisBackendOptions> = {}): Promise<Backend> {
    const backend = await openRedisBackend({ address: this.server.url, keyPrefix: this.prefix, ...options })
    this.onEnd(() => backend.close())
    return backend
  }

  async end(): Promise<void> {
    await endChildren()
    await this.#end()
  }

  /** Ends what this stage has started, and leaves the processes of other stages alone: for tests that wait at the same time. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill9()))
    await this.#end()
  }

  async #end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
    if (this.redis.status !== 'end') this.redis.disconnect()
    this.ledger.remove()
  }
}

/**
 * Gives each test a stage: on the file's shared Redis, or on a private one with these options, or on this server.
 * @param tasks as for a stage
 */
export function useStage(tasks?: string): (on?: RedisServerOptions | RedisServer) => Promise<Stage> {
  const stages: Stage[] = []
  afterEach(async () => {
    for (const stage of stages.splice(0)) await stage.end()
  })
  return async (on) => {
    const stage = await stageOn(on, tasks)
    stages.push(stage)
    return stage
  }
}

/**
 * Gives stages to tests that run at the same time (`it.concurrent`), which jest's hooks do not tell apart: each test ends its own, by
 * `await using`. Otherwise as `useStage`.
 */
export function useStages(tasks?: string): (on?: RedisServerOptions | RedisServer) => Promise<Stage> {
  afterAll(endChildren)
  return (on) => stageOn(on, tasks)
}

async function stageOn(on: RedisServerOptions | RedisServer | undefined, tasks: string | undefined): Promise<Stage> {
  const server = on === undefined ? await sharedRedis() : on instanceof RedisServer ? on : await privateRedis(on)
  return new Stage(server, tasks)
}

/** A backend alone, the tag of its keys, and a client that looks at them. */
export interface StagedBackend {
  readonly backend: Backend
  readonly tag: string
  readonly redis: Redis
}

/** Gives each test a backend under a prefix of its own, on the socket of a server. */
export function useBackend(): (server: RedisServer, options?: Partial<RedisBackendOptions>) => Promise<StagedBackend> {
  const stage = useStage()
  return async (server, options) => {
    const staged = await stage(server)
    const { prefix, redis } = staged
    const backend = await staged.backend({ address: server.unixUrl, ...options })
    return { backend, tag: tagOf(prefix), redis }
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
