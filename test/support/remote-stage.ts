/** A store with a client and servers that take workers over HTTP, as objects: on the store in this process and on a real Redis. */
import { operatorsOf } from '../../lib/admin/operators.js'
import type { Backend } from '../../lib/backend/backend.js'
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { Emitter } from '../../lib/events.js'
import { DEFAULT_LIMITS } from '../../lib/options.js'
import { Client } from '../../lib/producer/client.js'
import type { Graflow } from '../../lib/producer/types.js'
import { RemoteWorkers, type Registered, type Registration } from '../../lib/server/remote-workers/remote-workers.js'
import type { RemoteTask } from '../../lib/server/remote-workers/remote-tasks.js'
import { openSession, type Session } from '../../lib/session/open-session.js'
import { systemClock, systemId, systemRandom } from '../../lib/time.js'
import { Worker, type WorkerOptions } from '../../worker/index.js'
import { keepRenewalThread } from './kept-thread.js'
import { freshPrefix, sharedRedis } from './shared-redis.js'
import { wired } from './wired-backend.js'

export type StoreName = 'kernel' | 'redis'

/** Longer than any test. */
export const LONG_LEASE_MS = 60_000
/** A worker that is to fall silent. */
export const SHORT_LEASE_MS = 1_000
const NEVER = new AbortController().signal

export class RemoteStage {
  readonly graflow: Graflow
  /** The client's. */
  readonly session: Session
  readonly #open: () => Promise<Backend>
  readonly #isEmbedded: boolean
  readonly #ends: (() => Promise<unknown>)[] = []
  /** One server; more by `server`. */
  remote: RemoteWorkers

  private constructor(open: () => Promise<Backend>, isEmbedded: boolean, session: Session) {
    this.#open = open
    this.#isEmbedded = isEmbedded
    this.session = session
    this.graflow = new Client({ session, operators: operatorsOf, retentionMs: 60_000 }) as Graflow // as connect gives it
    this.#ends.push(() => this.graflow.close())
    this.remote = this.#serverOn(session, new AbortController())
  }

  static async open(name: StoreName): Promise<RemoteStage> {
    if (name !== 'kernel') await keepRenewalThread()
    const keyPrefix = freshPrefix()
    const memory = openMemoryBackend({ clock: systemClock })
    const open = async (): Promise<Backend> =>
      name === 'kernel' ? unclosed(memory) : openRedisBackend({ address: (await sharedRedis()).url, keyPrefix })
    const stage = new RemoteStage(open, name === 'kernel', await sessionOn(await open(), name === 'kernel', 'client'))
    stage.#ends.unshift(() => memory.close())
    return stage
  }

  /** Another server, on a connection of its own. */
  async server(): Promise<RemoteWorkers> {
    const session = await sessionOn(await this.#open(), this.#isEmbedded, `server-${this.#ends.length}`)
    this.#ends.push(() => session.close())
    return this.#serverOn(session, new AbortController())
  }

  /** A worker as users have them, in this process. */
  async worker(options: WorkerOptions): Promise<Worker> {
    const worker = new Worker({ logLevel: 'silent', ...options }, { openStore: this.#open })
    this.#ends.push(() => worker.stop(0))
    await worker.start()
    return worker
  }

  register(facts: Partial<Registration> = {}, at = this.remote): Promise<Registered> {
    return at.register({
      workerId: 'remote',
      tasks: ['resize'],
      queues: ['default'],
      capabilities: [],
      metadata: {},
      leaseMs: LONG_LEASE_MS,
      hostname: 'host',
      pid: 1,
      ...facts,
    })
  }

  /** Tasks that there are, or come soon. */
  async acquire(
    id: string,
    { max = 1, waitMs = 5_000, inHand = [] as readonly string[], gone = NEVER, at = this.remote } = {},
  ): Promise<readonly RemoteTask[]> {
    return (await at.acquire(id, { max, waitMs, inHand }, gone)).tasks
  }

  /** Exactly one. */
  async take(id: string, options: Parameters<RemoteStage['acquire']>[1] = {}): Promise<RemoteTask> {
    const [task, ...more] = await this.acquire(id, options)
    if (task === undefined || more.length > 0) throw new Error(`expected one task, got ${task === undefined ? 0 : 2}`)
    return task
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
  }

  #serverOn(session: Session, closing: AbortController): RemoteWorkers {
    const services = { clock: systemClock, random: systemRandom, newId: systemId }
    const remote = new RemoteWorkers({ session, ...services, closing: closing.signal })
    this.#ends.push(async () => {
      closing.abort()
      await remote.close()
    })
    return remote
  }
}

const sessionOn = (store: Backend, isEmbedded: boolean, baseId: string): Promise<Session> =>
  openSession({
    ...{ store, isEmbedded, clock: systemClock, random: systemRandom, newId: systemId, limits: DEFAULT_LIMITS },
    emitter: new Emitter(() => systemClock.now()),
    info: { baseId, role: 'client', metadata: {}, queues: [], capabilities: [], tasks: [] },
  })

/** The same store, which goes on when this one is closed. */
const unclosed = (backend: Backend): Backend =>
  wired(backend, { call: (_, send) => send() }, { close: () => Promise.resolve() })
