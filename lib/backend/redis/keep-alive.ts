/**
 * Keeps sessions alive from a worker thread (renewal-thread.mjs), whatever the event loop of this one does. There is one thread for all
 * sessions of the process, however many clients and workers it has: it is started with the first session and ended with the last; one
 * that ends by itself is followed by another, before a session expires. A number that only grows shows it that this event loop runs; when
 * the number stands still for `stallLimitMs` the thread stops renewing, because a loop that has hung for so long does nothing with its
 * branches.
 */
import { Worker } from 'node:worker_threads'
import { withDeadline, type Clock } from '../../time.js'
import type { KeepAlive, KeepAliveOptions } from '../backend.js'
import type { RedisTarget } from './address.js'
import type { Shard } from './shard.js'
import { threadSource } from './sources.js'

const BEAT_MS = 1_000
const DROP_MS = 2_000
/** A thread that ended by itself is followed by another at once; by the next one after a pause, where it did not even live for so long. */
const SHORT_LIFE_MS = 10_000
const RESTART_PAUSE_MS = 1_000

export interface RenewalOptions {
  readonly shard: Shard
  readonly connectTimeoutMs: number
  readonly commandTimeoutMs: number
  readonly stallLimitMs: number
  /** Must be `monotonicClock`: the thread reads the same. */
  readonly clock: Clock
}

/** What the thread needs to know of a store; sessions with the same share its connections. */
type LinkSettings = Readonly<Record<string, unknown>>

interface Link {
  readonly number: number
  readonly settings: LinkSettings
}

interface Kept {
  readonly link: Link
  readonly session: string
  readonly ttlMs: number
  readonly onLost: KeepAliveOptions['onLost']
  /** Milliseconds of the system's monotonic clock, which all threads share: when this loop last ran; the last renewal was sent. */
  readonly beat: BigInt64Array
  onDropped: (() => void) | undefined
  readonly onReady: () => void
}

type Message = { readonly link: number; readonly session: string } & (
  | { readonly kind: 'lost'; readonly what: 'session' | 'store' }
  | { readonly kind: 'dropped' }
  | { readonly kind: 'ready' }
)

/** The thread of this process, while there is something to keep. */
class RenewalThread {
  readonly #kept = new Set<Kept>()
  /** By their settings as text. */
  readonly #links = new Map<string, Link>()
  #nextLink = 1
  #worker: Worker | undefined
  #cancelRestart: (() => void) | undefined
  #restartedAt: number | undefined

  /** The link of a store; those with the same settings have the same. */
  linkOf(settings: LinkSettings): Link {
    const text = JSON.stringify(settings)
    const link = this.#links.get(text) ?? { number: this.#nextLink, settings }
    if (link.number === this.#nextLink) this.#nextLink += 1
    this.#links.set(text, link)
    return link
  }

  keep(kept: Kept, clock: Clock): void {
    this.#kept.add(kept)
    this.#post(kept, clock)
  }

  has(kept: Kept): boolean {
    return this.#kept.has(kept)
  }

  /**
   * The session is renewed no more.
   * @param isToFinish a renewal under way is waited for, so that none comes later
   */
  async drop(kept: Kept, clock: Clock, isToFinish: boolean): Promise<void> {
    if (!this.#kept.has(kept)) {
      if (this.#kept.size === 0) await this.#end() // it was the last, and is lost
      return
    }
    const worker = this.#worker
    const isLast = this.#kept.size === 1
    // a thread that has ended by itself renews nothing, and the one after it is not given this session any more
    if (worker !== undefined && (isToFinish || !isLast)) {
      const dropped = new Promise<void>((resolve) => {
        kept.onDropped = resolve
        worker.postMessage({ kind: 'drop', link: kept.link.number, session: kept.session, isToFinish })
      })
      await withDeadline(clock, DROP_MS, dropped, () => undefined)
    }
    this.#kept.delete(kept)
    if (this.#kept.size === 0) await this.#end()
  }

  /** Ends the thread with what it has left. */
  async #end(): Promise<void> {
    this.#cancelRestart?.()
    this.#links.clear()
    const worker = this.#worker
    this.#worker = undefined
    if (worker === undefined) return
    worker.removeAllListeners()
    await worker.terminate()
  }

  /** The session is renewed now, and looks with that for who is gone. */
  hurry({ link, session }: Kept): void {
    this.#worker?.postMessage({ kind: 'hurry', link: link.number, session })
  }

  /** Gives a session to the thread, which is started for it if it does not run. */
  #post({ link, session, ttlMs, beat }: Kept, clock: Clock): void {
    const worker = (this.#worker ??= this.#start(clock))
    const args = ['renew', session, Math.ceil(ttlMs), 1]
    worker.postMessage({ kind: 'keep', link: link.number, settings: link.settings, session, ttlMs, args, beat })
  }

  #start(clock: Clock): Worker {
    const source = `data:text/javascript,${encodeURIComponent(threadSource())}`
    // neither loaders nor flags of this thread: the text is plain JavaScript
    const worker = new Worker(new URL(source), { name: 'graflow-renewal', execArgv: [], env: {} })
    worker.unref()
    worker.on('message', (message: Message) => this.#received(message))
    worker.on('error', () => this.#ended(worker, clock))
    worker.on('exit', () => this.#ended(worker, clock))
    return worker
  }

  #received(message: Message): void {
    for (const kept of this.#kept) {
      if (kept.session !== message.session || kept.link.number !== message.link) continue
      if (message.kind === 'dropped') kept.onDropped?.()
      else if (message.kind === 'ready') kept.onReady()
      else {
        if (message.what === 'session') this.#kept.delete(kept)
        kept.onLost(message.what)
      }
      return
    }
  }

  /** The thread that renewed has ended: another one goes on, while the sessions live. */
  #ended(worker: Worker, clock: Clock): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const { onDropped } of [...this.#kept]) onDropped?.()
    this.#cancelRestart?.()
    const hasJustBegun = this.#restartedAt !== undefined && clock.now() - this.#restartedAt < SHORT_LIFE_MS
    this.#cancelRestart = clock.after(hasJustBegun ? RESTART_PAUSE_MS : 0, () => {
      this.#restartedAt = clock.now()
      for (const kept of this.#kept) this.#post(kept, clock)
    })
  }
}

/** One a process: its sessions need no more than one to be renewed, and a thread has megabytes of its own. */
const thread = new RenewalThread()

/** The sessions of one backend. */
export class Renewal {
  readonly #options: RenewalOptions
  readonly #kept = new Set<Kept>()
  #cancelBeat: (() => void) | undefined

  constructor(options: RenewalOptions) {
    this.#options = options
  }

  keep(session: string, { ttlMs, onLost }: KeepAliveOptions): KeepAlive {
    if (ttlMs === Infinity) return { ready: Promise.resolve(), stop: () => Promise.resolve(), lastRenewedAt: Infinity }
    const { clock } = this.#options
    const beat = new BigInt64Array(new SharedArrayBuffer(16))
    let onReady: () => void = () => undefined
    const ready = new Promise<void>((resolve) => {
      onReady = resolve
    })
    const link = thread.linkOf(linkSettings(this.#options))
    const kept: Kept = { link, session, ttlMs, onLost, beat, onDropped: undefined, onReady }
    this.#kept.add(kept)
    Atomics.store(beat, 1, BigInt(clock.now()))
    this.#beat()
    thread.keep(kept, clock)
    return {
      ready,
      stop: () => this.#drop(kept, true),
      get lastRenewedAt() {
        return Number(Atomics.load(beat, 1))
      },
    }
  }

  /** The session is renewed now, where it is kept. */
  hurry(session: string): void {
    for (const kept of this.#kept) if (kept.session === session) thread.hurry(kept)
  }

  /** What it kept is renewed no more; the thread ends, if that was all it kept. */
  async close(): Promise<void> {
    this.#cancelBeat?.()
    this.#cancelBeat = undefined
    await Promise.all([...this.#kept].map((kept) => this.#drop(kept, false)))
  }

  async #drop(kept: Kept, isToFinish: boolean): Promise<void> {
    await thread.drop(kept, this.#options.clock, isToFinish)
    this.#kept.delete(kept)
  }

  /** Says that this loop runs, now and every second. */
  #beat(): void {
    const { clock } = this.#options
    const now = BigInt(clock.now())
    for (const { beat } of this.#kept) Atomics.store(beat, 0, now)
    this.#cancelBeat?.()
    this.#cancelBeat = clock.after(BEAT_MS, () => this.#beat(), true)
  }
}

/** Plain data, which a thread can be given. */
function linkSettings({ shard, connectTimeoutMs, commandTimeoutMs, stallLimitMs }: RenewalOptions): LinkSettings {
  const { host, port, path, family, username, password, db, isTls }: RedisTarget = shard.target
  const { id, source } = shard.script('session')
  return {
    ...(path === undefined ? { host, port } : { path }),
    ...{ family, username, password, db, isTls, connectTimeoutMs, commandTimeoutMs, stallLimitMs },
    ...{ script: { id, source }, keys: shard.scriptKeys, alivePrefix: shard.keys.alive('') },
  }
}
