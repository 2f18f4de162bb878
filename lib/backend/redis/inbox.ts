/**
 * One blocking reader for all sessions that this process listens to. It hides where each stream was read to, what a lost connection
 * means, and how a reader that is blocked learns of another session. Reading takes nothing away: what got lost on the wire is read
 * again. Listeners are called from an event of the socket, never from inside an operation.
 *
 * The file is long because one loop has to know how each of its reads may end.
 */
import type { Redis } from 'ioredis'
import type { Clock, Random } from '../../time.js'
import type { Grant, Notice } from '../backend.js'
import { Listeners } from '../listeners.js'
import { backoffMs, makeConnection } from './connection.js'
import { EncodedCommand } from './encoded-command.js'
import type { ReleasedChunk } from './released-chunks.js'
import type { Reply, Shard } from './shard.js'

/** How long one read waits for notices; then the streams are looked at, in case one was made anew. */
const BLOCK_MS = 5_000
/** After that much more the connection is taken for dead. */
const GRACE_MS = 1_000
/** Notices in one reply and stream: one may bring a grant of 16 KiB. */
const COUNT = 64
/** Who is further behind may have missed what the stream had no room for. */
const MOST_BEHIND = 5_000
const BEGINNING = '0-0'
/** Between two attempts to wake the reader, which may not have reached Redis yet. */
const WAKE_AGAIN_MS = 5

export interface InboxOptions {
  readonly shard: Shard
  readonly connectTimeoutMs: number
  readonly clock: Clock
  readonly random: Random
  /** Something may have been missed: whatever is awaited is to be looked at again. */
  readonly onReconnected: () => void
  /** The notice of a release brought all outcomes of the group; called before the listeners are. */
  readonly onChunk: (gid: string, released: ReleasedChunk) => void
  /** The session is to look now for who is gone. */
  readonly onWatch: (session: string) => void
  /** The grant that a notice brought, in parts as acquire answers them; undefined when it cannot be read. */
  readonly grantFrom: (parts: readonly Reply[]) => Grant | undefined
}

interface Awaited {
  readonly reject: (error: Error) => void
  /** By the clock. */
  readonly lateAt: number
  readonly mostMs: number
}

export class Inbox {
  readonly #options: InboxOptions
  readonly #listeners = new Listeners<Notice>()
  /** Read to here, by session. */
  readonly #positions = new Map<string, string>()
  /** By session: grants up to here were delivered before its stream turned out to be an older one, and are not delivered again. */
  readonly #deliveredBefore = new Map<string, string>()
  #redis: Redis | undefined
  /** Sessions of the read under way. */
  #reading: ReadonlySet<string> = new Set()
  #clientId: number | undefined
  #isWaking = false
  /** Notices that came in full replies, one after the other. */
  #behind = 0
  #isClosed = false
  #wakeSleeper: (() => void) | undefined
  /** The command under way: there is one at a time. */
  #awaited: Awaited | undefined
  #cancelWatchdog: (() => void) | undefined
  /** Which moment it waits for. */
  #watchdogAt = Infinity

  constructor(options: InboxOptions) {
    this.#options = options
  }

  /** Calls the listener with what concerns the session, from the first notice that its stream has; returns what ends that. */
  listen(session: string, listener: (notice: Notice) => void): () => void {
    const stop = this.#listeners.add(session, listener)
    if (!this.#positions.has(session)) this.#positions.set(session, BEGINNING)
    if (this.#redis === undefined) this.#start()
    else void this.#wake(session)
    return () => {
      stop()
      if (this.#listeners.has(session)) return
      this.#positions.delete(session)
      this.#deliveredBefore.delete(session)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#wakeSleeper?.()
    this.#cancelWatchdog?.()
    this.#redis?.disconnect()
    this.#listeners.clear()
    this.#positions.clear()
    this.#deliveredBefore.clear()
  }

  #start(): void {
    const { shard, connectTimeoutMs, random } = this.#options
    const redis = makeConnection({
      target: shard.target,
      name: 'graflow-inbox',
      connectTimeoutMs,
      random,
      onError: () => undefined, // the loop below waits for the next connection
    })
    redis.on('close', () => this.#giveUp(new Error('the connection is closed')))
    this.#redis = redis
    void this.#run(redis)
  }

  /** One connection after the other, until it is closed. */
  async #run(redis: Redis): Promise<void> {
    redis.connect().catch(() => undefined) // attempts go on by themselves
    for (let connection = 0; !this.#isClosed; connection++) {
      await this.#ready(redis)
      if (this.#hasEnded()) return
      try {
        this.#clientId = Number(await this.#send(redis, ['CLIENT', 'ID'], GRACE_MS))
        if (connection > 0) await this.#lookAgain(redis)
        for (;;) await this.#read(redis)
      } catch (error) {
        this.#clientId = undefined
        if (this.#hasEnded()) return
        const isReply = error instanceof Error && error.name === 'ReplyError'
        if (isReply) this.#options.shard.suspectRights()
        if (redis.status === 'ready' && !isReply) redis.stream.destroy() // it said nothing for too long
        await this.#pause(backoffMs(isReply ? 3 : 0, this.#options.random))
      }
    }
  }

  /** Asked anew after every wait. */
  #hasEnded(): boolean {
    return this.#isClosed
  }

  #ready(redis: Redis): Promise<void> {
    if (redis.status === 'ready') return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        redis.off('ready', done)
        redis.off('end', done)
        resolve()
      }
      redis.on('ready', done)
      redis.on('end', done)
    })
  }

  async #read(redis: Redis): Promise<void> {
    const sessions = [...this.#positions.keys()]
    this.#reading = new Set(sessions)
    if (sessions.length === 0) {
      await this.#pause(BLOCK_MS)
      return
    }
    const keys = sessions.map((session) => this.#options.shard.keys.inbox(session))
    const from = sessions.map((session) => this.#positions.get(session) ?? BEGINNING)
    const reply = await this.#send(
      redis,
      ['XREAD', 'COUNT', COUNT, 'BLOCK', BLOCK_MS, 'STREAMS', ...keys, ...from],
      BLOCK_MS + GRACE_MS,
    )
    if (reply === null) {
      // it was woken for another session, or nothing has come for a while
      if (sessions.length === this.#positions.size) await this.#checkPositions(redis)
      return
    }
    for (const stream of list(reply)) {
      const [key, entries] = list(stream)
      const session = sessions[keys.indexOf(textOf(key))]
      if (session !== undefined) this.#deliver(session, list(entries))
    }
    // The calls that notices lead to go out first: a driver or executor waits for them, and the next read would be written and served before.
    await new Promise<void>((resolve) => setImmediate(resolve))
  }

  #deliver(session: string, entries: readonly Reply[]): void {
    for (const entry of entries) {
      const [id, fields] = list(entry)
      if (!this.#positions.has(session)) return // the session has stopped listening
      this.#positions.set(session, textOf(id))
      const {
        notice,
        chunk,
        hasEndedRun = false,
        isAnew = false,
        isWatch = false,
      } = readEntry(list(fields), this.#options.grantFrom)
      if (isAnew) this.#missed(session)
      if (isWatch) this.#options.onWatch(session)
      if (notice === undefined) continue
      if (notice.kind === 'granted' && !isBefore(this.#deliveredBefore.get(session) ?? BEGINNING, textOf(id))) continue
      if (chunk !== undefined && notice.kind === 'released') {
        // The number of an entry begins with when it was written.
        this.#options.onChunk(notice.gid, { chunk, releasedAt: Number.parseInt(textOf(id), 10), hasEndedRun })
      }
      this.#listeners.notify(session, notice)
    }
    this.#behind = entries.length >= COUNT ? this.#behind + entries.length : 0
    if (this.#behind < MOST_BEHIND) return
    this.#behind = 0
    this.#missed(session)
  }

  /** Notices of a session may be lost. */
  #missed(session: string): void {
    this.#options.onReconnected()
    this.#listeners.notify(session, { kind: 'work' })
  }

  /** After a reconnect, or when Redis changed its role: a stream may be another one, and notices may be lost. */
  async #lookAgain(redis: Redis): Promise<void> {
    await this.#checkPositions(redis)
    this.#options.onReconnected()
    for (const session of this.#listeners.names) this.#listeners.notify(session, { kind: 'work' })
  }

  /** A stream that was made anew, by a clock that went back, has numbers below those that were read. */
  async #checkPositions(redis: Redis): Promise<void> {
    for (const [session, position] of this.#positions) {
      if (position === BEGINNING) continue
      const last = await this.#lastId(redis, session)
      if (last !== undefined && !isBefore(last, position)) continue
      this.#positions.set(session, BEGINNING) // if it is gone, a new one is read from its beginning
      if (last !== undefined) this.#deliveredBefore.set(session, last)
      this.#missed(session)
    }
  }

  async #lastId(redis: Redis, session: string): Promise<string | undefined> {
    try {
      const info = list(await this.#send(redis, ['XINFO', 'STREAM', this.#options.shard.keys.inbox(session)], GRACE_MS))
      const at = info.findIndex((item) => textOf(item) === 'last-generated-id')
      return textOf(info[at + 1] ?? null)
    } catch (error) {
      if (error instanceof Error && /no such key/i.test(error.message)) return undefined
      throw error
    }
  }

  /** Makes the reader begin anew, with the session among those it reads. */
  async #wake(session: string): Promise<void> {
    this.#wakeSleeper?.()
    if (this.#isWaking) return
    this.#isWaking = true
    try {
      while (!this.#isClosed && this.#positions.has(session) && !this.#reading.has(session)) {
        if (this.#clientId === undefined) return // a new connection begins with all
        await this.#options.shard.command('CLIENT', 'UNBLOCK', this.#clientId)
        await new Promise<void>((resolve) => this.#options.clock.after(WAKE_AGAIN_MS, resolve))
        for (const other of this.#positions.keys()) if (!this.#reading.has(other)) session = other
      }
    } catch {
      // the reader finds the session at its next turn, BLOCK_MS later at most
    } finally {
      this.#isWaking = false
    }
  }

  /** Sends a command; the promise settles in any case. */
  #send(redis: Redis, words: readonly (string | number)[], mostMs: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const awaited = { reject, lateAt: this.#options.clock.now() + mostMs, mostMs }
      const settle = (): void => {
        if (this.#awaited === awaited) this.#awaited = undefined
      }
      this.#awaited = awaited
      this.#watch(awaited)
      const command = new EncodedCommand(words, [])
      void redis.sendCommand(command)
      command.promise.then(
        (reply) => {
          settle()
          resolve(reply as Reply)
        },
        (error: unknown) => {
          settle()
          reject(error instanceof Error ? error : new Error(String(error)))
        },
      )
    })
  }

  /** Keeps one timer, which a reply does not end: making one for each read would take longer than reading. */
  #watch({ lateAt }: Awaited): void {
    if (lateAt >= this.#watchdogAt) return // it looks earlier, and goes on from there
    const { clock } = this.#options
    this.#cancelWatchdog?.()
    this.#watchdogAt = lateAt
    this.#cancelWatchdog = clock.after(Math.max(1, lateAt - clock.now()), () => this.#look(), true)
  }

  #look(): void {
    this.#watchdogAt = Infinity
    const awaited = this.#awaited
    if (awaited === undefined || this.#isClosed) return
    if (this.#options.clock.now() < awaited.lateAt) this.#watch(awaited)
    else this.#giveUp(new Error(`no reply within ${awaited.mostMs} ms`))
  }

  #giveUp(why: Error): void {
    this.#awaited?.reject(why)
    this.#awaited = undefined
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        resolve()
      }
      const cancel = this.#options.clock.after(ms, done, true)
      this.#wakeSleeper = done
    })
  }
}

/** What lies in an entry: no notice where a newer release may have written it; with that of a release, maybe its outcomes. */
function readEntry(
  fields: readonly Reply[],
  grantFrom: InboxOptions['grantFrom'],
): {
  readonly notice: Notice | undefined
  readonly chunk?: Buffer
  readonly hasEndedRun?: boolean
  readonly isAnew?: boolean
  readonly isWatch?: boolean
} {
  let kind = ''
  let gid: string | undefined
  let value: Reply = null
  let hasEndedRun = false
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const field = fields[i + 1] ?? null
    switch (textOf(fields[i])) {
      case 'k':
        kind = textOf(field)
        break
      case 'g':
        gid = textOf(field)
        break
      case 'v':
        value = field
        break
      case 'e':
        hasEndedRun = true
        break
      default: // of a newer release
    }
  }
  if (kind === 'work' || kind === 'lead' || kind === 'drain') return { notice: { kind } }
  if (kind === 'again') return { notice: undefined, isAnew: true } // the stream was lost, and notices with it
  if (kind === 'watch') return { notice: undefined, isWatch: true }
  if (gid === undefined) return { notice: undefined }
  switch (kind) {
    case 'released':
      return Buffer.isBuffer(value) ? { notice: { kind, gid }, chunk: value, hasEndedRun } : { notice: { kind, gid } }
    case 'idle':
      return { notice: { kind, gid } }
    case 'withdrawn':
      return { notice: { kind, gid, reason: textOf(value) } }
    case 'lost':
      return { notice: { kind, gid, token: textOf(value) } }
    case 'granted': {
      const grant = grantFrom(partsIn(fields))
      return { notice: grant === undefined ? undefined : { kind, grant } }
    }
    default:
      return { notice: undefined }
  }
}

/** What a grant has, in the order of acquire's answer; none of its branches was granted before. */
const PARTS = [
  'spec',
  'token',
  'fence',
  'first',
  'count',
  'indexes',
  'cells',
  'layout',
  'ends',
  'bytes',
  'watched',
  'waited',
]
const EMPTY = Buffer.alloc(0)

function partsIn(fields: readonly Reply[]): readonly Reply[] {
  const parts: Reply[] = PARTS.map(() => EMPTY)
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const at = PARTS.indexOf(textOf(fields[i]))
    if (at >= 0) parts[at] = fields[i + 1] ?? null
  }
  return parts
}

const list = (reply: Reply | undefined): readonly Reply[] =>
  reply !== undefined && reply !== null && typeof reply === 'object' && !Buffer.isBuffer(reply) ? reply : []

const textOf = (reply: Reply | undefined): string => (Buffer.isBuffer(reply) ? reply.toString() : String(reply ?? ''))

/** Whether one id of a stream, `<ms>-<n>`, comes before another. */
function isBefore(id: string, other: string): boolean {
  const [ms = 0, n = 0] = id.split('-').map(Number)
  const [otherMs = 0, otherN = 0] = other.split('-').map(Number)
  return ms < otherMs || (ms === otherMs && n < otherN)
}
