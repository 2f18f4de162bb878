/**
 * Looks at a Redis and says all that is wrong with it, and what to change: what makes a connection fail (check-redis.ts, rights.ts), and what
 * would make it lose data or be slow. Unlike those it goes on after the first fault. It writes nothing but a key that expires by itself.
 */
import type { Redis } from 'ioredis'
import { describeError, messageOf } from '../../describe.js'
import { GraflowError } from '../../errors.js'
import { type Random, systemClock, withDeadline } from '../../time.js'
import { parseAddress, type RedisTarget } from './address.js'
import { PROTOCOL_VERSION } from './check-redis.js'
import { inOurWords, refusalIn, remedyFor } from './command-errors.js'
import { makeConnection, withoutCommand } from './connection.js'
import { keysOf, tagOf } from './keys.js'
import { numberOf, readInfo, type Reply, textOf, textsIn } from './replies.js'
import { missingRights, setUser, type UsersRedis } from './rights.js'
import { loadScripts } from './scripts.js'
import { diskOf, type Finding, type Info, ofInfo, ok, SKEW_MS, SLOW_REPLY_MS, UNSEEN } from './server-findings.js'

const ROUNDS = 15
const WRITES = 5

export interface DiagnosisOptions {
  readonly address: string
  readonly keyPrefix: string
  readonly random: Random
  /** Milliseconds since the epoch by the clock of this machine. */
  readonly now: () => number
  /** Milliseconds that never go back, with fractions, to measure with. */
  readonly elapsed: () => number
}

const CONNECT_MS = 3_000
const ANSWER_MS = 5_000

/**
 * One finding or more for each check, in their order.
 * @throws GraflowError INVALID_OPTION for an address that is none
 */
export async function diagnose(options: DiagnosisOptions): Promise<readonly Finding[]> {
  const target = parseAddress(options.address)
  let lastError: Error | undefined
  const redis = makeConnection({
    ...{ target, name: 'graflow-doctor', connectTimeoutMs: CONNECT_MS, random: options.random },
    onError: (error) => {
      // what follows a wrong answer, such as the end of the connection, says less
      if (lastError?.message.includes('Protocol error') !== true) lastError = error
    },
  })
  try {
    await withDeadline(systemClock, CONNECT_MS, redis.connect(), () => {
      throw new Error('no answer in time')
    })
  } catch {
    redis.disconnect()
    return [notConnected(target, lastError, redis.status === 'connect')]
  }
  try {
    return await new Diagnosis(redis, target, options).findings()
  } finally {
    redis.disconnect()
  }
}

function notConnected(target: RedisTarget, error: Error | undefined, isConnected: boolean): Finding {
  const refusal = error === undefined ? undefined : refusalIn(error, target.shown)
  if (refusal !== undefined) return { check: 'connection', level: 'error', ...parted(refusal.message) }
  return {
    ...{ check: 'connection', level: 'error' },
    found: `expected an answer of Redis at ${target.shown}, got ${inOurWords(error, isConnected)}`,
    change: 'start it, or correct the address: --redis-url',
  }
}

/** An error of ours says what is wrong, then what to do. */
function parted(message: string): { readonly found: string; readonly change: string } {
  const at = message.indexOf('; ')
  return at < 0
    ? { found: message, change: 'see docs/redis.md' }
    : { found: message.slice(0, at), change: message.slice(at + 2) }
}

/** One look at a Redis that answers. */
class Diagnosis implements UsersRedis {
  readonly address: string
  readonly target: RedisTarget
  readonly tag: string
  readonly keys: UsersRedis['keys']
  readonly #redis: Redis
  readonly #options: DiagnosisOptions

  constructor(redis: Redis, target: RedisTarget, options: DiagnosisOptions) {
    this.#redis = redis
    this.#options = options
    this.target = target
    this.address = target.shown
    this.tag = tagOf(options.keyPrefix)
    this.keys = keysOf(this.tag, target.db)
  }

  async findings(): Promise<readonly Finding[]> {
    const info = await this.#info()
    const config = await this.#config()
    const replyMs = await this.#replyMs()
    const own = await this.#rights()
    const mayWrite = own.every(({ level }) => level === 'ok')
    return [
      ok('connection', `Redis at ${this.address} answers`),
      ...(info === undefined ? UNSEEN : ofInfo(info, config)),
      ...own,
      await this.#data(),
      latencyOf(replyMs),
      await this.#disk(replyMs, mayWrite, info ?? new Map(), config),
      await this.#clock(),
    ]
  }

  // ---------------------------------------------------------------------------------------------------------- for rights.ts

  async command(name: string, ...args: readonly (string | number)[]): Promise<Reply> {
    try {
      const reply = await withDeadline(systemClock, ANSWER_MS, this.#redis.callBuffer(name, ...args), () => {
        throw new GraflowError(
          'REDIS_UNAVAILABLE',
          `${name}: Redis at ${this.address} did not answer within ${ANSWER_MS} ms`,
        )
      })
      return reply as Reply // what the wire has
    } catch (error) {
      if (error instanceof GraflowError || !(error instanceof Error)) throw error
      const remedy = remedyFor(withoutCommand(error), { what: name, script: undefined }, this.address)
      throw remedy instanceof GraflowError ? remedy : error
    }
  }

  script(name: 'rights'): ReturnType<UsersRedis['script']> {
    const script = loadScripts().get(name)
    if (script === undefined) throw new GraflowError('INTERNAL', `expected a script lua/${name}.lua`)
    return script
  }

  // ------------------------------------------------------------------------------------------------------------- the checks

  async #info(): Promise<Info | undefined> {
    try {
      return readInfo(await this.command('INFO'))
    } catch {
      return undefined // the rights say why
    }
  }

  /** Empty where the configuration may not be read, as with many services. */
  async #config(): Promise<Info> {
    try {
      const texts = textsIn(await this.command('CONFIG', 'GET', '*'))
      return new Map(texts.flatMap((text, i) => (i % 2 === 0 ? [[text, texts[i + 1] ?? ''] as const] : [])))
    } catch {
      return new Map()
    }
  }

  async #rights(): Promise<readonly Finding[]> {
    try {
      const { unknown, faults, rules } = await missingRights(this)
      return [
        unknown.length === 0
          ? ok('commands', 'all that are called are known')
          : {
              ...{ check: 'commands', level: 'error', found: `the server does not know ${unknown.join(', ')}` },
              change: "take rename-command for it out of the server's configuration, or use a service that offers it",
            },
        faults.length === 0
          ? ok('rights', 'the user may do all that is needed')
          : {
              check: 'rights',
              level: 'error',
              found: `the user ${faults.join(', ')}`,
              change: setUser('<user>', rules),
            },
      ]
    } catch (error) {
      const check = /does not know/.test(messageOf(error)) ? 'commands' : 'rights'
      return [{ check, level: 'error', ...parted(messageOf(error)) }]
    }
  }

  async #data(): Promise<Finding> {
    try {
      const found = await this.command('HGET', this.keys.main, 'v')
      if (found === null) return ok('data', `nothing lies under ${this.tag} yet`)
      const version = textOf(found)
      if (version === String(PROTOCOL_VERSION)) return ok('data', `what lies under ${this.tag} is of this release`)
      return {
        ...{ check: 'data', level: 'error' },
        found: `expected version ${PROTOCOL_VERSION} of what lies under ${this.tag}, got ${version.slice(0, 20)}`,
        change: 'use the release of graflow that wrote it, or another key prefix',
      }
    } catch (error) {
      if (error instanceof GraflowError && error.code === 'INTEGRITY') {
        const found = `expected a hash under ${this.keys.main}, got another type`
        return { check: 'data', level: 'error', found, change: 'choose another key prefix: --redis-key-prefix' }
      }
      return { check: 'data', level: 'unknown', found: `it could not be read: ${describeError(error)}` }
    }
  }

  async #timed(ask: () => Promise<unknown>): Promise<number> {
    const before = this.#options.elapsed()
    await ask()
    return this.#options.elapsed() - before
  }

  async #replyMs(): Promise<number> {
    const all: number[] = []
    // a Redis that cannot write refuses even PING: that is an answer, too, and other checks tell of it
    const ping = (): Promise<unknown> =>
      this.#redis.ping().catch((error: unknown) => {
        if (!(error instanceof Error && error.name === 'ReplyError')) throw error
      })
    for (let i = 0; i < ROUNDS; i += 1) all.push(await this.#timed(ping))
    return medianOf(all)
  }

  async #disk(replyMs: number, mayWrite: boolean, info: Info, config: Info): Promise<Finding> {
    if (!mayWrite) return { check: 'disk', level: 'unknown', found: 'the user may not write, so it was not measured' }
    const key = this.keys.upload('doctor')
    const all: number[] = []
    try {
      for (let i = 0; i < WRITES; i += 1) all.push(await this.#timed(() => this.command('SET', key, 'x', 'PX', '1000')))
    } catch (error) {
      return { check: 'disk', level: 'error', ...parted(messageOf(error)) }
    }
    return diskOf({ info, config }, { writeMs: medianOf(all), replyMs, shown: shownMs })
  }

  /** By the quickest of some questions: the server read its clock about in the middle. */
  async #clock(): Promise<Finding> {
    let best: { readonly ms: number; readonly skewMs: number } | undefined
    try {
      for (let i = 0; i < WRITES; i += 1) {
        const before = this.#options.now()
        let seconds: readonly string[] = []
        const ms = await this.#timed(async () => {
          seconds = textsIn(await this.command('TIME'))
        })
        const theirs = numberOf(Buffer.from(seconds[0] ?? '')) * 1_000 + numberOf(Buffer.from(seconds[1] ?? '')) / 1_000
        if (best === undefined || ms < best.ms) best = { ms, skewMs: theirs - (before + ms / 2) }
      }
    } catch (error) {
      return { check: 'clock', level: 'unknown', found: `it could not be read: ${describeError(error)}` }
    }
    const skewMs = best?.skewMs ?? 0
    const way = skewMs > 0 ? 'ahead of' : 'behind'
    const found = `the clock of Redis is ${shownMs(Math.abs(skewMs))} ${way} that of this machine`
    if (Math.abs(skewMs) < SKEW_MS + (best?.ms ?? 0) / 2) return ok('clock', found)
    const change = 'set both by NTP: dates of runs and of log lines do not agree; no deadline depends on it'
    return { check: 'clock', level: 'warning', found, change }
  }
}

function latencyOf(replyMs: number): Finding {
  const found = `a reply takes ${shownMs(replyMs)}`
  if (replyMs < SLOW_REPLY_MS) return ok('latency', found)
  const change = 'bring Redis and its clients nearer to each other: each group costs a few replies'
  return { check: 'latency', level: 'warning', found, change }
}

const shownMs = (ms: number): string =>
  ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`

const medianOf = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0
