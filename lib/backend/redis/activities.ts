/**
 * Activity of watched runs, on one connection that is opened with the first watcher, and what processes announce of runs. Messages of the
 * time between two connections are lost, so that after a reconnect every watcher is notified once that something may have changed.
 */
import { Command, type Redis } from 'ioredis'
import { withDeadline, type Clock, type Random } from '../../time.js'
import type { RunActivity } from '../backend.js'
import { Listeners } from '../listeners.js'
import { makeConnection } from './connection.js'
import { numberOf } from './replies.js'
import type { Shard } from './shard.js'

export interface ActivitiesOptions {
  readonly shard: Shard
  readonly connectTimeoutMs: number
  /** An operation waits for a new watcher to be known this long at most. */
  readonly commandTimeoutMs: number
  readonly clock: Clock
  readonly random: Random
}

interface Watched {
  readonly runId: string
  watchers: number
  /** Redis counts this connection among the subscribers. */
  isKnown: boolean
}

const EVENTS = 'events '

export class Activities {
  readonly #options: ActivitiesOptions
  readonly #listeners = new Listeners<RunActivity>()
  readonly #runs = new Map<string, Watched>()
  #redis: Redis | undefined
  /** Until all channels are subscribed on the connection that is being made: one wait for all who watch. */
  #subscribed: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined
  #wasReady = false
  #pending: Promise<void> | undefined
  #isClosed = false

  constructor(options: ActivitiesOptions) {
    this.#options = options
  }

  /**
   * Until new watchers are known to Redis; undefined when all are. Who waits for it before an operation misses nothing of what the
   * operation does.
   */
  get pending(): Promise<void> | undefined {
    return this.#pending
  }

  /** Calls the listener when something changes in the run; returns what ends that. */
  watch(runId: string, listener: (activity: RunActivity) => void): () => void {
    const stop = this.#listeners.add(runId, listener)
    const channel = this.#options.shard.keys.activity(runId)
    const run = this.#runs.get(channel) ?? { runId, watchers: 0, isKnown: false }
    this.#runs.set(channel, run)
    run.watchers += 1
    if (run.watchers === 1) this.#subscribe(channel)
    let isStopped = false
    return () => {
      stop()
      if (isStopped) return
      isStopped = true
      run.watchers -= 1
      if (run.watchers > 0) return
      this.#runs.delete(channel)
      if (this.#redis?.status === 'ready') void this.#send('UNSUBSCRIBE', [channel])
    }
  }

  /**
   * Resolves once its listeners got what was published before: a connection's messages and replies come in one order, so the reply
   * to a second subscription, which changes nothing, comes behind them.
   */
  async caughtUp(runId: string): Promise<void> {
    const channel = this.#options.shard.keys.activity(runId)
    if (this.#runs.has(channel) && this.#redis?.status === 'ready')
      await this.#atMost(this.#send('SUBSCRIBE', [channel]))
  }

  /** Publishes what happened in a run; resolves with how many other processes got it. */
  async announce(runId: string, events: Uint8Array): Promise<number> {
    const channel = this.#options.shard.keys.activity(runId)
    const message = new Uint8Array(EVENTS.length + events.length)
    message.set(Buffer.from(EVENTS))
    message.set(events, EVENTS.length)
    const subscribers = await this.#options.shard.command('PUBLISH', channel, message)
    return Math.max(0, numberOf(subscribers) - (this.#runs.get(channel)?.isKnown === true ? 1 : 0))
  }

  close(): void {
    this.#isClosed = true
    this.#redis?.disconnect()
    this.#listeners.clear()
    this.#runs.clear()
  }

  #subscribe(channel: string): void {
    const { status } = (this.#redis ??= this.#connect())
    const known = status === 'ready' ? this.#send('SUBSCRIBE', [channel]) : this.#whenReady()
    const pending = Promise.all([this.#pending, this.#atMost(known)]).then(() => {
      if (this.#pending === pending) this.#pending = undefined
    })
    this.#pending = pending
  }

  #connect(): Redis {
    const { shard, connectTimeoutMs, random } = this.#options
    const redis = makeConnection({
      target: shard.target,
      name: 'graflow-activity',
      connectTimeoutMs,
      random,
      onError: () => undefined, // it connects again by itself
    })
    redis.on('ready', () => void this.#subscribeAll())
    redis.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#received(channel.toString(), message))
    redis.on('close', () => {
      for (const run of this.#runs.values()) run.isKnown = false
    })
    redis.connect().catch(() => undefined)
    return redis
  }

  async #subscribeAll(): Promise<void> {
    const isFirst = !this.#wasReady
    this.#wasReady = true
    const channels = [...this.#runs.keys()]
    if (channels.length > 0) await this.#send('SUBSCRIBE', channels)
    this.#subscribed?.resolve()
    this.#subscribed = undefined
    if (isFirst || this.#isClosed) return
    for (const channel of channels) {
      const run = this.#runs.get(channel)
      if (run !== undefined) this.#listeners.notify(run.runId, { kind: 'state', gid: run.runId })
    }
  }

  #whenReady(): Promise<void> {
    if (this.#subscribed === undefined) {
      let resolve: () => void = () => undefined
      const promise = new Promise<void>((done) => {
        resolve = done
      })
      this.#subscribed = { promise, resolve }
    }
    return this.#subscribed.promise
  }

  /** A subscription that fails is made anew with the next connection. */
  async #send(name: 'SUBSCRIBE' | 'UNSUBSCRIBE', channels: readonly string[]): Promise<void> {
    const redis = this.#redis
    if (redis === undefined) return
    try {
      // in lower case: by these names the client knows that it is in subscriber mode
      await redis.sendCommand(new Command(name.toLowerCase(), [...channels]))
      if (name === 'UNSUBSCRIBE') return
      for (const channel of channels) {
        const run = this.#runs.get(channel)
        if (run !== undefined) run.isKnown = true
      }
    } catch {
      if (this.#isClosed) return
      this.#options.shard.suspectRights()
      redis.disconnect(true)
    }
  }

  #atMost(known: Promise<void>): Promise<void> {
    const { clock, commandTimeoutMs } = this.#options
    return withDeadline(clock, commandTimeoutMs, known, () => undefined, true)
  }

  #received(channel: string, message: Buffer): void {
    const run = this.#runs.get(channel)
    if (run === undefined) return
    const { runId } = run
    if (message.subarray(0, EVENTS.length).toString('latin1') === EVENTS) {
      this.#listeners.notify(runId, {
        kind: 'events',
        gid: runId,
        bytes: new Uint8Array(message.subarray(EVENTS.length)),
      })
      return
    }
    for (const line of message.toString().split('\n')) {
      const [, kind, gid] = /^(group|settled|state) (.+)$/.exec(line) ?? []
      if (gid === undefined) continue
      if (kind === 'group' || kind === 'settled' || kind === 'state') this.#listeners.notify(runId, { kind, gid })
    }
  }
}
