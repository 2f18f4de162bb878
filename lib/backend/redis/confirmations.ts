/**
 * Whether what was written is on the disk of Redis, or on a replica: one connection, opened by the first question, on which a small write is
 * followed by WAITAOF or WAIT. Redis answers those once the write is there, and with it all that it has done before, whoever asked for it. The
 * connection that the store works on never waits. Questions that come while one is under way share the next.
 */
import type { Redis } from 'ioredis'
import { type Clock, elapsedMs, type Random, withDeadline } from '../../time.js'
import type { ConfirmAnswer, Durability } from '../backend.js'
import { makeConnection, withoutCommand } from './connection.js'
import { listOf, readInfo, textOf } from './replies.js'
import type { Shard } from './shard.js'

export interface ConfirmationsOptions {
  readonly shard: Shard
  readonly connectTimeoutMs: number
  readonly clock: Clock
  readonly random: Random
}

/** So long Redis waits for its disk or a replica. */
const WAIT_MS = 2_000
/** And so long we wait for Redis, and for a connection to it. */
const ANSWER_MS = WAIT_MS + 2_000
/** What the small write leaves behind goes after so long. */
const MARK_MS = 60_000
/** For so long what was learnt of a Redis is taken to be so. */
const WAY_MS = 30_000
/** WAITAOF is as old as this. */
const WAITAOF_SINCE = [7, 2] as const

/** What is to be asked; `nothing`: whatever Redis has answered is there. */
type Way = 'WAITAOF' | 'WAIT' | 'nothing'

export class Confirmations {
  readonly #options: ConfirmationsOptions
  #redis: Redis | undefined
  /** How to ask, until when by `elapsedMs`: a failover, or a changed setting, may want another way. */
  readonly #ways = new Map<Durability, { readonly way: Way; readonly until: number }>()
  readonly #running = new Map<Durability, Promise<ConfirmAnswer>>()
  readonly #next = new Map<Durability, Promise<ConfirmAnswer>>()

  constructor(options: ConfirmationsOptions) {
    this.#options = options
  }

  confirm(durability: Durability): Promise<ConfirmAnswer> {
    const running = this.#running.get(durability)
    if (running === undefined) return this.#begin(durability)
    // what runs may have been sent before the caller wrote
    let next = this.#next.get(durability)
    if (next === undefined) {
      next = running.then(() => {
        this.#next.delete(durability)
        return this.#begin(durability)
      })
      this.#next.set(durability, next)
    }
    return next
  }

  close(): void {
    this.#redis?.disconnect()
  }

  #begin(durability: Durability): Promise<ConfirmAnswer> {
    const running = this.#ask(durability)
      .catch((error: unknown): ConfirmAnswer => {
        this.#ways.delete(durability)
        const why = error instanceof Error ? withoutCommand(error).message : String(error)
        return { status: /NOPERM|^ERR/.test(why) ? 'cannot' : 'late', why }
      })
      .finally(() => this.#running.delete(durability))
    this.#running.set(durability, running)
    return running
  }

  async #ask(durability: Durability): Promise<ConfirmAnswer> {
    const { shard, clock } = this.#options
    const known = this.#ways.get(durability)
    const isKnown = known !== undefined && elapsedMs(clock) < known.until
    const way = isKnown ? known.way : await this.#wayTo(durability)
    if (typeof way !== 'string') return way
    if (!isKnown) this.#ways.set(durability, { way, until: elapsedMs(clock) + WAY_MS })
    if (way === 'nothing') return { status: 'ok' }
    const redis = (this.#redis ??= this.#connect())
    const late = (): never => {
      throw new Error(`no answer of Redis at ${shard.address} within ${ANSWER_MS} ms`)
    }
    await withDeadline(clock, ANSWER_MS, ready(redis), late)
    const marked = redis.set(shard.keys.upload('confirm'), '1', 'PX', MARK_MS)
    const asked = way === 'WAIT' ? redis.call('WAIT', 1, WAIT_MS) : redis.call('WAITAOF', 1, 0, WAIT_MS)
    const [, reply] = await withDeadline(clock, ANSWER_MS, Promise.all([marked, asked]), late)
    const count = Number(Array.isArray(reply) ? reply[0] : reply)
    if (count > 0) return { status: 'ok' }
    this.#ways.delete(durability)
    const where = durability === 'fsync' ? 'its disk has' : 'no replica has'
    return { status: 'late', why: `${where}${durability === 'fsync' ? ' not' : ''} confirmed it within ${WAIT_MS} ms` }
  }

  /** How this Redis is asked, or why it cannot be. */
  async #wayTo(durability: Durability): Promise<Way | ConfirmAnswer> {
    const { shard } = this.#options
    const info = readInfo(await shard.command('INFO'))
    if (durability === 'replica') {
      if (Number(info.get('connected_slaves') ?? 0) > 0) return 'WAIT'
      return { status: 'cannot', why: `expected a Redis with a replica, got one without at ${shard.address}` }
    }
    const version = info.get('redis_version') ?? ''
    if (info.get('aof_enabled') !== '1')
      return { status: 'cannot', why: `expected a Redis with appendonly yes, got one without at ${shard.address}` }
    if (isSince(version, WAITAOF_SINCE)) return 'WAITAOF'
    const found = await shard.command('CONFIG', 'GET', 'appendfsync').catch(() => undefined)
    const fsync =
      found !== undefined && found !== null ? textOf(listOf(found)[1]) : 'an appendfsync that our user may not read'
    if (fsync === 'always') return 'nothing'
    const why = `expected Redis 7.2 or newer, or appendfsync always, got ${version} with ${fsync} at ${shard.address}`
    return { status: 'cannot', why }
  }

  #connect(): Redis {
    const { shard, connectTimeoutMs, random } = this.#options
    const redis = makeConnection({
      target: shard.target,
      name: 'graflow-confirm',
      connectTimeoutMs,
      random,
      onError: () => undefined, // it connects again by itself
    })
    redis.connect().catch(() => undefined)
    return redis
  }
}

function isSince(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map(Number)
  return ownMajor > major || (ownMajor === major && ownMinor >= minor)
}

function ready(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return Promise.resolve()
  return new Promise((resolve) => {
    redis.once('ready', resolve)
  })
}
