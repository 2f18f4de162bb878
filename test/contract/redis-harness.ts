/**
 * The Redis backend for the contract's questions, on a real redis-server that each test file starts. Each world has a key prefix of its
 * own; one with a bound of bytes, or one that is stalled, has a server of its own.
 */
import { once } from 'node:events'
import { Redis } from 'ioredis'
import type { Backend, Notice, RunActivity } from '../../lib/backend/backend.js'
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { loadScripts } from '../../lib/backend/redis/scripts.js'
import type { RedisServer } from '../support/redis-server.js'
import { freshPrefix, privateRedis, sharedRedis } from '../support/shared-redis.js'
import type { Harness, HarnessOptions, MakeHarness } from '../support/world.js'
import { elapse, within } from '../support/waits.js'

/** What the suite sends in one call where it does not say how much. */
const ITEMS_PER_CALL = 4_096
const BYTES_PER_CALL = 16 * 2 ** 20
/** Marks the end of the news sent so far; no run or group has such a name. */
const MARK = 'mark of the harness '
const QUIET_MS = 5_000

export const openRedisHarness: MakeHarness = (options) => new RedisHarness(options).open()

/**
 * A server of one's own that has all that its first user makes it reserve: it knows the scripts, and keeps no histogram for each command,
 * which takes 40 KB at the command's first call.
 */
async function warmRedis(): Promise<RedisServer> {
  const server = await privateRedis({ config: { 'latency-tracking': 'no' } })
  const redis = new Redis(server.socket)
  try {
    const sources = new Set([...loadScripts().values()].map(({ source }) => source))
    for (const source of sources) await redis.function('LOAD', source)
  } finally {
    await redis.quit()
  }
  return server
}

/** Real time, a real server; the only thing between the suite and the backend is what looks for marks among the news. */
class RedisHarness implements Harness {
  readonly #options: HarnessOptions
  readonly #prefix = freshPrefix()
  readonly #sessions = new Set<string>()
  readonly #runs = new Map<string, number>()
  readonly #marks = new Map<string, () => void>()
  #server: RedisServer | undefined
  #probe: Redis | undefined
  #backend: Backend | undefined
  #nonces = 0

  constructor(options: HarnessOptions) {
    this.#options = options
  }

  async open(): Promise<this> {
    const { maxBytes, ...tuning } = this.#options
    this.#server = maxBytes === undefined ? await sharedRedis() : await warmRedis()
    this.#probe = new Redis(this.#server.socket)
    const near = await openRedisBackend({
      itemsPerCall: ITEMS_PER_CALL,
      bytesPerCall: BYTES_PER_CALL,
      ...tuning,
      address: this.#server.unixUrl,
      keyPrefix: this.#prefix,
    })
    if (maxBytes !== undefined) await this.#limit(maxBytes)
    this.#backend = this.#listening(near)
    return this
  }

  get backend(): Backend {
    if (this.#backend === undefined) throw new Error('expected an open harness')
    return this.#backend
  }

  async advance(ms: number): Promise<void> {
    const { clock } = this
    const until = clock() + ms
    while (clock() < until) await elapse(until - clock())
    // what scripts have thrown away counts as used until Lua collects it, some fifty calls later
    if (this.#options.maxBytes !== undefined) await this.#redis.eval('collectgarbage()', 0)
  }

  /** The server itself does nothing for so long; whoever has the same server waits, too. */
  async stall(ms: number): Promise<void> {
    await this.#redis.call('DEBUG', 'SLEEP', (ms / 1_000).toFixed(3))
  }

  async quiet(): Promise<void> {
    const arrived: Promise<void>[] = []
    const tag = `{${this.#prefix}:0}`
    for (const session of this.#sessions) {
      const mark = this.newNonce()
      const heard = this.#arrivalOf(mark)
      const id = await this.#redis.call(
        'XADD',
        `${tag}:in:${session}`,
        'NOMKSTREAM',
        '*',
        'k',
        'lost',
        'g',
        MARK,
        'v',
        mark,
      )
      if (id !== null) arrived.push(heard) // a session that is gone hears nothing
    }
    for (const run of this.#runs.keys()) {
      const mark = this.newNonce()
      arrived.push(this.#arrivalOf(mark))
      await this.#redis.publish(`${tag}:act:${run}`, `settled ${MARK}${mark}`)
    }
    await within(QUIET_MS, Promise.all(arrived), 'the arrival of the marks')
  }

  newNonce(): string {
    this.#nonces += 1
    return `nonce-${this.#nonces}`
  }

  async close(): Promise<void> {
    await this.#backend?.close()
    const probe = this.#probe
    if (probe === undefined) return
    const ended = once(probe, 'end')
    probe.disconnect()
    await ended
    if (this.#options.maxBytes !== undefined) await this.#server?.stop()
  }

  readonly clock = (): number => performance.now()

  get #redis(): Redis {
    if (this.#probe === undefined) throw new Error('expected an open harness')
    return this.#probe
  }

  /** So many bytes more than it has now. */
  async #limit(maxBytes: number): Promise<void> {
    const used = /^used_memory:(\d+)/m.exec(await this.#redis.info('memory'))?.[1]
    await this.#redis.config('SET', 'maxmemory', Number(used) + maxBytes)
  }

  #arrivalOf(mark: string): Promise<void> {
    return new Promise((resolve) => this.#marks.set(mark, resolve))
  }

  #listening(near: Backend): Backend {
    const isMark = (gid: string, mark: string): boolean => {
      if (!gid.startsWith(MARK)) return false
      this.#marks.get(mark)?.()
      this.#marks.delete(mark)
      return true
    }
    return new Proxy(near, {
      get: (target, name) => {
        if (name === 'listen') {
          return (session: string, listener: (notice: Notice) => void) => {
            this.#sessions.add(session)
            return target.listen(session, (notice) => {
              if (notice.kind === 'lost' && isMark(notice.gid, notice.token)) return
              listener(notice)
            })
          }
        }
        if (name === 'watch') {
          return (run: string, listener: (activity: RunActivity) => void) => {
            this.#runs.set(run, (this.#runs.get(run) ?? 0) + 1)
            const stop = target.watch(run, (activity) => {
              if (!isMark(activity.gid, activity.gid.slice(MARK.length))) listener(activity)
            })
            let isStopped = false
            return () => {
              stop()
              const left = (this.#runs.get(run) ?? 0) - (isStopped ? 0 : 1)
              isStopped = true
              if (left > 0) this.#runs.set(run, left)
              else this.#runs.delete(run)
            }
          }
        }
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}
