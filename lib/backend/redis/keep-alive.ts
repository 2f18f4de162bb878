/**
 * Keeps sessions alive from a worker thread (renewal-thread.mjs), whatever the event loop of this one does. The thread is started with
 * the first session and ended with the last; one that ends by itself is followed by another, before a session expires. A number that
 * only grows shows it that this event loop runs; when the number stands still for `stallLimitMs` the thread stops renewing, because a loop
 * that has hung for so long does nothing with its branches.
 */
import { Worker } from 'node:worker_threads'
import { withDeadline, type Clock } from '../../time.js'
import type { KeepAlive, KeepAliveOptions } from '../backend.js'
import type { RedisTarget } from './address.js'
import type { Shard } from './shard.js'

const BEAT_MS = 1_000
const DROP_MS = 2_000
/** A thread that ended by itself is followed by another at once; by the next one after a pause, where it did not even live for so long. */
const SHORT_LIFE_MS = 10_000
const RESTART_PAUSE_MS = 1_000
const THREAD = new URL('./renewal-thread.mjs', import.meta.url)

export interface RenewalOptions {
  readonly shard: Shard
  readonly connectTimeoutMs: number
  readonly commandTimeoutMs: number
  readonly stallLimitMs: number
  /** Must be `monotonicClock`: the thread reads the same. */
  readonly clock: Clock
}

interface Kept {
  readonly session: string
  readonly ttlMs: number
  readonly onLost: KeepAliveOptions['onLost']
  /** Milliseconds of the system's monotonic clock, which all threads share: when this loop last ran; the last renewal was sent. */
  readonly beat: BigInt64Array
  onDropped: (() => void) | undefined
  readonly onReady: () => void
}

type Message = { readonly session: string } & (
  | { readonly kind: 'lost'; readonly what: 'session' | 'store' }
  | { readonly kind: 'dropped' }
  | { readonly kind: 'ready' }
)

export class Renewal {
  readonly #options: RenewalOptions
  readonly #kept = new Map<string, Kept>()
  #thread: Worker | undefined
  #cancelBeat: (() => void) | undefined
  #cancelRestart: (() => void) | undefined
  #restartedAt: number | undefined

  constructor(options: RenewalOptions) {
    this.#options = options
  }

  keep(session: string, { ttlMs, onLost }: KeepAliveOptions): KeepAlive {
    if (ttlMs === Infinity) return { ready: Promise.resolve(), stop: () => Promise.resolve(), lastRenewedAt: Infinity }
    const beat = new BigInt64Array(new SharedArrayBuffer(16))
    let onReady: () => void = () => undefined
    const ready = new Promise<void>((resolve) => {
      onReady = resolve
    })
    const kept: Kept = { session, ttlMs, onLost, beat, onDropped: undefined, onReady }
    this.#kept.set(session, kept)
    Atomics.store(beat, 1, BigInt(this.#options.clock.now()))
    this.#beat()
    this.#post(kept)
    return {
      ready,
      stop: () => this.#drop(kept),
      get lastRenewedAt() {
        return Number(Atomics.load(beat, 1))
      },
    }
  }

  /** Ends the thread; what it kept is renewed no more. */
  async close(): Promise<void> {
    this.#cancelBeat?.()
    this.#cancelBeat = undefined
    this.#cancelRestart?.()
    this.#kept.clear()
    const thread = this.#thread
    this.#thread = undefined
    if (thread === undefined) return
    thread.removeAllListeners()
    await thread.terminate()
  }

  /** Gives a session to the thread, which is started for it if it does not run. */
  #post({ session, ttlMs, beat }: Kept): void {
    const thread = (this.#thread ??= this.#start())
    thread.postMessage({ kind: 'keep', session, ttlMs, args: ['renew', session, Math.ceil(ttlMs), 1], beat })
  }

  #start(): Worker {
    const { shard, connectTimeoutMs, commandTimeoutMs, stallLimitMs } = this.#options
    const { id, source } = shard.script('session')
    const thread = new Worker(THREAD, {
      name: 'graflow-renewal',
      workerData: {
        connection: { ...threadTarget(shard.target), connectTimeout: connectTimeoutMs },
        script: { id, source },
        mainKey: shard.keys.main,
        alivePrefix: shard.keys.alive(''),
        stallLimitMs,
        commandTimeoutMs,
      },
      // neither loaders nor flags of this thread: the file is plain JavaScript
      execArgv: [],
      env: {},
    })
    thread.unref()
    thread.on('message', (message: Message) => this.#received(message))
    thread.on('error', () => this.#threadEnded(thread))
    thread.on('exit', () => this.#threadEnded(thread))
    return thread
  }

  #received(message: Message): void {
    const kept = this.#kept.get(message.session)
    if (kept === undefined) return
    if (message.kind === 'dropped') {
      kept.onDropped?.()
      return
    }
    if (message.kind === 'ready') {
      kept.onReady()
      return
    }
    if (message.what === 'session') this.#forget(kept)
    kept.onLost(message.what)
  }

  /** Nobody renews any more: another thread goes on, while the sessions live. */
  #threadEnded(thread: Worker): void {
    if (this.#thread !== thread) return
    this.#thread = undefined
    for (const { onDropped } of [...this.#kept.values()]) onDropped?.()
    this.#cancelRestart?.()
    const { clock } = this.#options
    const hasJustBegun = this.#restartedAt !== undefined && clock.now() - this.#restartedAt < SHORT_LIFE_MS
    this.#cancelRestart = clock.after(hasJustBegun ? RESTART_PAUSE_MS : 0, () => {
      this.#restartedAt = clock.now()
      for (const kept of this.#kept.values()) this.#post(kept)
    })
  }

  async #drop(kept: Kept): Promise<void> {
    const thread = this.#thread
    if (thread === undefined || this.#kept.get(kept.session) !== kept) return
    const dropped = new Promise<void>((resolve) => {
      kept.onDropped = resolve
      thread.postMessage({ kind: 'drop', session: kept.session })
    })
    await withDeadline(this.#options.clock, DROP_MS, dropped, () => undefined)
    this.#forget(kept)
    if (this.#kept.size === 0) await this.close()
  }

  #forget(kept: Kept): void {
    if (this.#kept.get(kept.session) === kept) this.#kept.delete(kept.session)
  }

  /** Says that this loop runs, now and every second. */
  #beat(): void {
    const { clock } = this.#options
    const now = BigInt(clock.now())
    for (const { beat } of this.#kept.values()) Atomics.store(beat, 0, now)
    this.#cancelBeat?.()
    this.#cancelBeat = clock.after(BEAT_MS, () => this.#beat(), true)
  }
}

/** As ioredis takes it: plain data, which a thread can be given. */
const threadTarget = ({ host, port, path, family, username, password, db, isTls }: RedisTarget): object => ({
  ...(path === undefined ? { host, port } : { path }),
  ...(family !== undefined && { family }),
  ...(username !== undefined && { username }),
  ...(password !== undefined && { password }),
  ...(isTls && { tls: {} }),
  db,
})
