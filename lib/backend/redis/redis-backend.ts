/**
 * The backend on a Redis: puts together connection, scripts, inbox, watchers and the renewal thread. What an operation does is in its
 * script (lua/) and its wrapper (operations/); docs/redis.md has the layout.
 */
import { GraflowError } from '../../errors.js'
import { STORE_TIMES, type StoreTimes } from '../../options.js'
import { type Clock, monotonicClock, type Random, systemRandom, withDeadline } from '../../time.js'
import type {
  Backend,
  BackendLimits,
  ClusterEvent,
  ConfirmAnswer,
  Durability,
  Inspector,
  KeepAlive,
  KeepAliveOptions,
  Notice,
  RunActivity,
} from '../backend.js'
import { Activities } from './activities.js'
import { Confirmations } from './confirmations.js'
import { Inbox } from './inbox.js'
import { Renewal } from './keep-alive.js'
import { acquire } from './operations/acquire.js'
import { channel, lock } from './operations/channels.js'
import { control } from './operations/control.js'
import { deleteDeadLetters } from './operations/dead-letters.js'
import { writeDocuments } from './operations/documents.js'
import { appendRunEvents, keepEvents } from './operations/event-log.js'
import { grantIn } from './operations/grants.js'
import { getGraph, hasGraph, putGraph } from './operations/graphs.js'
import { inspectorOf } from './operations/inspect.js'
import { lead, tend } from './operations/lead.js'
import { CLUSTER, clusterEventIn } from './operations/nodes.js'
import { open } from './operations/open.js'
import { decide, reopen } from './operations/reopen.js'
import { session } from './operations/session.js'
import { settle } from './operations/settle.js'
import { step } from './operations/step.js'
import { sweep } from './operations/sweep.js'
import { putWorkflow } from './operations/workflows.js'
import { take } from './operations/take.js'
import { noteProgress } from './operations/progress.js'
import { signal } from './operations/waits.js'
import { ReleasedChunks } from './released-chunks.js'
import { Shard, SHARD_DEFAULTS } from './shard.js'
import { LIMIT_DEFAULTS, type Store } from './store.js'

export interface RedisBackendOptions extends Partial<StoreTimes>, Partial<BackendLimits> {
  /** `redis://`, `rediss://` or `unix://`. */
  readonly address: string
  /** What belongs together on one Redis. */
  readonly keyPrefix: string
  readonly random?: Random
  /** How long one reply may take before the connection is replaced and the call sent again. */
  readonly commandTimeoutMs?: number
  /** Accept a Redis that may delete what it holds. */
  readonly allowEviction?: boolean
  /** How long this process may hang before its sessions are renewed no more. */
  readonly stallLimitMs?: number
}

const STALL_LIMIT_MS = 600_000
/** A server that takes nearly as much as the 512 MB that all take unless told otherwise bounds nothing. */
const USUAL_VALUE_BYTES = 500 * 1024 * 1024

/**
 * Connects to a store on Redis.
 * @throws GraflowError REDIS_UNAVAILABLE within 5 s; REDIS_UNSUITABLE for one that is too old, may evict, refuses us or has something
 * else under the prefix; INVALID_OPTION for the address
 */
export async function openRedisBackend(options: RedisBackendOptions): Promise<Backend> {
  const given = { ...SHARD_DEFAULTS, clock: monotonicClock, random: systemRandom, ...present(options) }
  return new RedisBackend(await Shard.open(given), given)
}

/** Undefined means what an absent option means. */
const present = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T // only undefined ones are gone

interface Services extends RedisBackendOptions {
  /** Measures replies and pauses; never goes back. Time in the store is that of Redis. */
  readonly clock: Clock
  readonly random: Random
  readonly commandTimeoutMs: number
  readonly connectTimeoutMs: number
}

class RedisBackend implements Backend {
  readonly limits: BackendLimits
  readonly inspect: Inspector
  readonly #shard: Shard
  readonly #store: Store
  readonly #services: Services
  readonly #inbox: Inbox
  readonly #activities: Activities
  readonly #renewal: Renewal
  readonly #confirmations: Confirmations
  readonly #reconnected = new Set<() => void>()
  #isClosed = false

  constructor(shard: Shard, services: Services) {
    const { itemsPerCall = LIMIT_DEFAULTS.itemsPerCall, bytesPerCall = LIMIT_DEFAULTS.bytesPerCall } = services
    const { commandTimeoutMs, connectTimeoutMs, clock, random, stallLimitMs = STALL_LIMIT_MS } = services
    const { takenBytes, valueBytes, outputBytes } = shard.bounds
    this.limits = Object.freeze({
      itemsPerCall,
      bytesPerCall: Math.max(1, Math.min(bytesPerCall, valueBytes / 2, outputBytes / 16)),
      ...(valueBytes < USUAL_VALUE_BYTES && { bytesPerValue: valueBytes }),
      ...(takenBytes < USUAL_VALUE_BYTES && { bytesPerResult: takenBytes }),
    })
    this.#shard = shard
    this.#services = services
    const released = new ReleasedChunks()
    this.#store = Object.freeze({ shard, keys: shard.keys, limits: this.limits, times: timesOf(services), released })
    const inspector = inspectorOf(this.#store)
    // who watches a run and then looks at it misses no change between the two
    this.inspect = Object.freeze({
      ...inspector,
      run: (runId: string) => this.#afterWatchers(() => inspector.run(runId)),
    })
    const connection = { shard, commandTimeoutMs, connectTimeoutMs, clock, random }
    this.#inbox = new Inbox({
      ...connection,
      onReconnected: () => this.#notifyReconnected(),
      onChunk: (gid, chunk) => released.put(gid, chunk),
      grantFrom: (parts) => grantIn(this.#store, parts),
      onWatch: (session) => this.#renewal.hurry(session),
    })
    this.#activities = new Activities(connection)
    this.#confirmations = new Confirmations(connection)
    this.#renewal = new Renewal({ ...connection, stallLimitMs })
  }

  putGraph(...[hash, bytes]: Parameters<Backend['putGraph']>): ReturnType<Backend['putGraph']> {
    return putGraph(this.#store, hash, bytes)
  }

  putWorkflow(workflow: Parameters<Backend['putWorkflow']>[0]): ReturnType<Backend['putWorkflow']> {
    return putWorkflow(this.#store, workflow)
  }

  getGraph(hash: string): ReturnType<Backend['getGraph']> {
    return getGraph(this.#store, hash)
  }

  hasGraph(hash: string): ReturnType<Backend['hasGraph']> {
    return hasGraph(this.#store, hash)
  }

  open(request: Parameters<Backend['open']>[0]): ReturnType<Backend['open']> {
    return this.#afterWatchers(() => open(this.#store, request))
  }

  step(request: Parameters<Backend['step']>[0]): ReturnType<Backend['step']> {
    return this.#afterWatchers(() => step(this.#store, request))
  }

  acquire(request: Parameters<Backend['acquire']>[0]): ReturnType<Backend['acquire']> {
    return acquire(this.#store, request)
  }

  take(request: Parameters<Backend['take']>[0]): ReturnType<Backend['take']> {
    return this.#afterWatchers(() => take(this.#store, request))
  }

  reopen(request: Parameters<Backend['reopen']>[0]): ReturnType<Backend['reopen']> {
    return this.#afterWatchers(() => reopen(this.#store, request))
  }

  decide(...[runId, decision]: Parameters<Backend['decide']>): ReturnType<Backend['decide']> {
    return this.#afterWatchers(() => decide(this.#store, runId, decision))
  }

  settle(request: Parameters<Backend['settle']>[0]): ReturnType<Backend['settle']> {
    return this.#afterWatchers(() => settle(this.#store, request))
  }

  session(request: Parameters<Backend['session']>[0]): ReturnType<Backend['session']> {
    return this.#afterWatchers(() => session(this.#store, request))
  }

  lead(request: Parameters<Backend['lead']>[0]): ReturnType<Backend['lead']> {
    return this.#afterWatchers(() => lead(this.#store, request))
  }

  tend(request: Parameters<Backend['tend']>[0]): ReturnType<Backend['tend']> {
    return this.#afterWatchers(() => tend(this.#store, request))
  }

  sweep(_session: string): ReturnType<Backend['sweep']> {
    return sweep(this.#store)
  }

  control(request: Parameters<Backend['control']>[0]): ReturnType<Backend['control']> {
    return this.#afterWatchers(() => control(this.#store, request))
  }

  signal(request: Parameters<Backend['signal']>[0]): ReturnType<Backend['signal']> {
    return this.#afterWatchers(() => signal(this.#store, request))
  }

  progress(request: Parameters<Backend['progress']>[0]): ReturnType<Backend['progress']> {
    return noteProgress(this.#store, request)
  }

  keepEvents(forMs: number): ReturnType<Backend['keepEvents']> {
    return keepEvents(this.#store, forMs)
  }

  appendRunEvents(request: Parameters<Backend['appendRunEvents']>[0]): ReturnType<Backend['appendRunEvents']> {
    return appendRunEvents(this.#store, request)
  }

  deleteDeadLetters(which: Parameters<Backend['deleteDeadLetters']>[0]): ReturnType<Backend['deleteDeadLetters']> {
    return deleteDeadLetters(this.#store, which)
  }

  writeDocuments(request: Parameters<Backend['writeDocuments']>[0]): ReturnType<Backend['writeDocuments']> {
    return writeDocuments(this.#store, request)
  }

  channel(...[runId, holder, request]: Parameters<Backend['channel']>): ReturnType<Backend['channel']> {
    return this.#withRoom(channel(this.#store, runId, holder, request))
  }

  lock(...[runId, holder, request]: Parameters<Backend['lock']>): ReturnType<Backend['lock']> {
    return lock(this.#store, runId, holder, request)
  }

  listen(session: string, listener: (notice: Notice) => void): () => void {
    this.#checkOpen()
    return this.#inbox.listen(session, listener)
  }

  watch(runId: string, listener: (activity: RunActivity) => void): () => void {
    this.#checkOpen()
    return this.#activities.watch(runId, listener)
  }

  watchCluster(listener: (event: ClusterEvent) => void): () => void {
    return this.watch(CLUSTER, (activity) => {
      const event = activity.kind === 'events' ? clusterEventIn(activity.bytes) : undefined
      if (event !== undefined) listener(event)
    })
  }

  caughtUp(runId: string): Promise<void> {
    return this.#activities.caughtUp(runId)
  }

  announce(runId: string, events: Uint8Array): Promise<number> {
    return this.#activities.announce(runId, events)
  }

  onReconnected(listener: () => void): () => void {
    const own = (): void => listener()
    this.#reconnected.add(own)
    return () => {
      this.#reconnected.delete(own)
    }
  }

  confirm(durability: Durability): Promise<ConfirmAnswer> {
    this.#checkOpen()
    return this.#confirmations.confirm(durability)
  }

  refusal(): string | undefined {
    return this.#shard.refusal
  }

  keepAlive(session: string, options: KeepAliveOptions): KeepAlive {
    this.#checkOpen()
    return this.#renewal.keep(session, options)
  }

  async ping(): Promise<void> {
    const { clock, commandTimeoutMs } = this.#services
    await withDeadline(clock, commandTimeoutMs, this.#shard.command('PING'), () => {
      const seconds = commandTimeoutMs / 1_000
      const fault = `expected Redis at ${this.#shard.address} to answer within ${seconds} s, got no answer`
      throw new GraflowError('REDIS_UNAVAILABLE', fault)
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#reconnected.clear()
    this.#inbox.close()
    this.#activities.close()
    this.#confirmations.close()
    await this.#renewal.close()
    this.#shard.close()
  }

  /** Watchers from before an operation get what the operation changes, and what is changed after it. */
  #afterWatchers<T>(operation: () => Promise<T>): Promise<T> {
    const { pending } = this.#activities
    return pending === undefined ? operation() : pending.then(operation)
  }

  async #withRoom<T>(call: Promise<T>): Promise<T | { readonly status: 'backpressure' }> {
    try {
      return await call
    } catch (error) {
      if (error instanceof GraflowError && error.code === 'BACKPRESSURE') return { status: 'backpressure' }
      throw error
    }
  }

  #notifyReconnected(): void {
    for (const listener of [...this.#reconnected]) {
      try {
        listener()
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new GraflowError('CLOSED', 'expected an open backend, got a call after close()')
  }
}

function timesOf(given: Partial<StoreTimes>): StoreTimes {
  return Object.freeze({
    affinityMs: given.affinityMs ?? STORE_TIMES.affinityMs,
    deadlineGraceMs: given.deadlineGraceMs ?? STORE_TIMES.deadlineGraceMs,
    shareMs: given.shareMs ?? STORE_TIMES.shareMs,
    payloadRetentionMs: given.payloadRetentionMs ?? STORE_TIMES.payloadRetentionMs,
  })
}
