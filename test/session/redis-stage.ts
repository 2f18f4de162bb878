/** A client and workers on a real Redis, all in this process: what they wait for when the store is away, and what they ask of it. */
import { hostname } from 'node:os'
import { connect, type AnyNode, type ConnectOptions, type EventOf, type Graflow } from 'graflow'
import type { Backend } from '../../lib/backend/backend.js'
import { retrying } from '../../lib/backend/retrying.js'
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { Membership } from '../../lib/session/membership.js'
import { Unreported } from '../../lib/engine/cancellation.js'
import { Engine } from '../../lib/engine/engine.js'
import { DEFAULT_LIMITS } from '../../lib/options.js'
import { Emitter } from '../../lib/events.js'
import { expressionOf } from '../../lib/flow/node.js'
import { systemClock as clock, systemId as newId, systemRandom as random } from '../../lib/time.js'
import { Holdings } from '../../lib/session/holdings.js'
import { Executor } from '../../lib/executor/executor.js'
import type { RedisServer } from '../support/redis-server.js'
import { freshPrefix } from '../support/shared-redis.js'

const TTL_MS = 3_000

export interface StagedWorker {
  readonly backend: Backend
  readonly engine: Engine
  readonly emitter: Emitter
  readonly membership: Membership
  readonly loop: Executor
}

export class RedisStage {
  readonly prefix = freshPrefix()
  readonly server: RedisServer
  readonly #ends: (() => Promise<unknown>)[] = []

  constructor(server: RedisServer) {
    this.server = server
  }

  async client(options: ConnectOptions = {}): Promise<{ readonly graflow: Graflow; readonly log: EventOf<'log'>[] }> {
    const graflow = await connect(this.server.url, { keyPrefix: this.prefix, logLevel: 'silent', ...options })
    const log: EventOf<'log'>[] = []
    graflow.events.subscribe('log', (event) => log.push(event))
    this.#ends.push(() => graflow.close())
    return { graflow, log }
  }

  /** The store without a client. */
  async backend(): Promise<Backend> {
    const backend = await openRedisBackend({ address: this.server.url, keyPrefix: this.prefix })
    this.#ends.push(() => backend.close())
    return backend
  }

  async worker(id: string, flows: readonly AnyNode[]): Promise<StagedWorker> {
    const near = await openRedisBackend({ address: this.server.url, keyPrefix: this.prefix })
    const backend = retrying(near, { clock, random })
    const emitter = new Emitter(() => clock.now())
    const session = `${id}:${newId()}`
    const engine = new Engine({ backend, clock, random, emitter, limits: DEFAULT_LIMITS, workerId: id, newId })
    for (const flow of flows) engine.registry.learn(expressionOf(flow))
    const held = new Holdings({ backend, engine, emitter, session })
    const loop: Executor = new Executor({
      ...{ backend, engine, clock, emitter, session, workerId: id, newId, distant: { random } },
      ...{ maxConcurrentTasks: 4, queues: ['default', 'runs'], capabilities: [] },
      driveRun: (grant, k) => held.driveSubmitted(grant, k),
      onNoSession: () => membership.lost(),
      onError: () => undefined,
    })
    held.useExecutor(loop)
    const stopListening = near.listen(session, (notice) => held.handleNotice(notice))
    const membership = await Membership.open({
      ...{ backend: near, session, ttlMs: TTL_MS, clock, random, emitter },
      ...{ barrierWaits: engine.barrierWaits, graphs: engine.graphs },
      info: {
        ...{ baseId: id, hostname: hostname(), pid: process.pid, role: 'worker', metadata: {} },
        ...{ queues: ['default', 'runs'], capabilities: [], tasks: engine.registry.taskNames() },
      },
      holdings: {
        known: () => held.known(),
        reclaimed: ({ gid, token }) => held.handleNotice({ kind: 'lost', gid, token }),
        onReopened: () => loop.wake(),
      },
    })
    loop.wake()
    this.#ends.push(async () => {
      const reason = new Unreported(`worker ${id} ends`, 'CLOSED')
      await held.stop(reason, reason)
      stopListening()
      await membership.close()
      await backend.close()
    })
    return { backend: near, engine, emitter, membership, loop }
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
  }
}
