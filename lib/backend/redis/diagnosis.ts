/**
 * Looks at a Redis and says all that is wrong with it, and what to change: what makes a connection fail (check-redis.ts, rights.ts), and what
 * would make it lose data or be slow. Unlike those it goes on after the first fault. It writes nothing but a key that expires by itself.
 *
 * The file is long because it is a list: each check with its limits and its advice, one below the other.
 */
import type { Redis } from 'ioredis'
import { describeError, messageOf } from '../../describe.js'
import { GraflowError } from '../../errors.js'
import { type Random, systemClock, withDeadline } from '../../time.js'
import { parseAddress, type RedisTarget } from './address.js'
import { PROTOCOL_VERSION, serverFaults } from './check-redis.js'
import { inOurWords, refusalIn, remedyFor } from './command-errors.js'
import { makeConnection, withoutCommand } from './connection.js'
import { keysOf, tagOf } from './keys.js'
import { numberOf, readInfo, type Reply, textOf, textsIn } from './replies.js'
import { missingRights, setUser, type UsersRedis } from './rights.js'
import { loadScripts } from './scripts.js'

/** Above these a finding is a warning. */
const SLOW_REPLY_MS = 5
const SLOW_DISK_MS = 20
const SKEW_MS = 1_000
const LEAST_MEMORY_MIB = 64
const FULL_PERCENT = 80
const ROUNDS = 15
const WRITES = 5

/** All checks, with what each looks at: docs/command.md has the same table, compared by a test. */
export const CHECKS = Object.freeze({
  connection: 'Whether Redis answers and lets us in.',
  version: 'Whether it is Redis 7.0 or newer, or a Valkey, and a master.',
  eviction: 'Whether it may delete keys when its memory is full.',
  persistence: 'What survives when it restarts, and whether its last write to disk worked.',
  memory: `Whether maxmemory is set, at least ${LEAST_MEMORY_MIB} MiB, within the machine, and less than ${FULL_PERCENT} % of it is used.`,
  clients: `Whether less than ${FULL_PERCENT} % of maxclients are connected.`,
  commands: 'Whether it knows every command that is called: none renamed or switched off.',
  rights: 'Whether its user may call them, with all keys and channels of the prefix.',
  data: 'Whether what lies under the prefix is of this release.',
  latency: `Whether a reply takes less than ${SLOW_REPLY_MS} ms.`,
  disk: `Whether a write takes less than ${SLOW_DISK_MS} ms longer than a reply.`,
  clock: `Whether its clock and that of this machine differ by less than ${SKEW_MS} ms.`,
})
export type CheckName = keyof typeof CHECKS

/** `error`: it cannot be used so. `warning`: it can, and may lose data or be slow. `unknown`: it does not let us look. */
export type Level = 'ok' | 'warning' | 'error' | 'unknown'

export interface Finding {
  readonly check: CheckName
  readonly level: Level
  readonly found: string
  /** What to do; absent where there is nothing to do. */
  readonly change?: string
}

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
const MIB = 1024 * 1024

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

const ok = (check: CheckName, found: string): Finding => ({ check, level: 'ok', found })

type Info = ReadonlyMap<string, string>

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
      ...(info === undefined
        ? unseen(['version', 'eviction', 'persistence', 'memory', 'clients'], 'INFO')
        : ofInfo(info, config)),
      ...own,
      await this.#data(),
      latencyOf(replyMs),
      await this.#disk(replyMs, mayWrite, info),
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
    for (let i = 0; i < ROUNDS; i += 1) all.push(await this.#timed(() => this.#redis.ping()))
    return medianOf(all)
  }

  async #disk(replyMs: number, mayWrite: boolean, info: Info | undefined): Promise<Finding> {
    if (!mayWrite) return { check: 'disk', level: 'unknown', found: 'the user may not write, so it was not measured' }
    const key = this.keys.upload('doctor')
    const all: number[] = []
    try {
      for (let i = 0; i < WRITES; i += 1) all.push(await this.#timed(() => this.command('SET', key, 'x', 'PX', '1000')))
    } catch (error) {
      return { check: 'disk', level: 'error', ...parted(messageOf(error)) }
    }
    const moreMs = medianOf(all) - replyMs
    const delayed = Number(info?.get('aof_delayed_fsync') ?? 0)
    if (moreMs < SLOW_DISK_MS && delayed === 0) return ok('disk', `a write takes ${shownMs(medianOf(all))}`)
    return {
      ...{ check: 'disk', level: 'warning' },
      found:
        moreMs < SLOW_DISK_MS
          ? `${delayed} writes have waited for the disk since the server was started`
          : `a write takes ${shownMs(medianOf(all))}, a reply ${shownMs(replyMs)}: the disk keeps it`,
      change: 'put the append-only file on a faster disk, or CONFIG SET appendfsync everysec, which may lose a second',
    }
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

const unseen = (checks: readonly CheckName[], command: string): readonly Finding[] =>
  checks.map((check) => ({
    check,
    level: 'unknown',
    found: `it could not be looked at: the user may not call ${command}`,
  }))

function latencyOf(replyMs: number): Finding {
  const found = `a reply takes ${shownMs(replyMs)}`
  if (replyMs < SLOW_REPLY_MS) return ok('latency', found)
  const change = 'bring Redis and its clients nearer to each other: each group costs a few replies'
  return { check: 'latency', level: 'warning', found, change }
}

/** What a server says of itself. */
function ofInfo(info: Info, config: Info): readonly Finding[] {
  const faults = serverFaults(info).map(({ check, found, change }): Finding => {
    return { check: check === 'role' ? 'version' : check, level: 'error', found, change }
  })
  const isFine = (check: CheckName): boolean => !faults.some((fault) => fault.check === check)
  const name = info.get('server_name') ?? 'redis'
  return [
    ...faults.filter(({ check }) => check === 'version'),
    ...(isFine('version')
      ? [ok('version', `${name} ${info.get('valkey_version') ?? info.get('redis_version') ?? '?'}`)]
      : []),
    ...faults.filter(({ check }) => check === 'eviction'),
    ...(isFine('eviction') ? [ok('eviction', 'maxmemory-policy is noeviction')] : []),
    persistenceOf(info, config),
    memoryOf(info),
    clientsOf(info),
  ]
}

function persistenceOf(info: Info, config: Info): Finding {
  const broken = ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status'].filter(
    (name) => (info.get(name) ?? 'ok') !== 'ok',
  )
  if (broken.length > 0) {
    const found = `the last write to disk failed (${broken.join(', ')}), so Redis may refuse every write`
    return {
      check: 'persistence',
      level: 'error',
      found,
      change: "make room on the disk, and look at the server's log",
    }
  }
  if (info.get('aof_enabled') === '1') {
    const fsync = config.get('appendfsync')
    const loses = fsync === 'always' ? ', which loses nothing' : fsync === 'no' ? ', which may lose half a minute' : ''
    const found = `append-only file${fsync === undefined ? '' : `, appendfsync ${fsync}`}${loses}`
    if (fsync !== 'no') return ok('persistence', found)
    return { check: 'persistence', level: 'warning', found, change: 'CONFIG SET appendfsync everysec' }
  }
  const saves = config.get('save')
  const change = 'CONFIG SET appendonly yes, and appendonly yes in the configuration'
  if (saves === '')
    return { check: 'persistence', level: 'warning', found: 'nothing is on disk: a restart loses all runs', change }
  const found = `snapshots only${saves === undefined ? '' : ` (save ${saves})`}: a restart loses the runs since the last one`
  return { check: 'persistence', level: 'warning', found, change }
}

function memoryOf(info: Info): Finding {
  const bytes = (name: string): number => Number(info.get(name) ?? 0)
  const [used, most, machine] = [bytes('used_memory'), bytes('maxmemory'), bytes('total_system_memory')]
  const warning = (found: string, change: string): Finding => ({ check: 'memory', level: 'warning', found, change })
  const asked = `CONFIG SET maxmemory ${mib(Math.max(LEAST_MEMORY_MIB * MIB, (machine || 1024 * MIB) / 2))}mb`
  if (most === 0)
    return warning(
      `${mib(used)} MiB are used, and maxmemory is not set: when the machine is full, Redis is killed`,
      asked,
    )
  const found = `${mib(used)} of ${mib(most)} MiB are used`
  if (most < LEAST_MEMORY_MIB * MIB) return warning(`${found}: that is little`, asked)
  if (used >= (most * FULL_PERCENT) / 100)
    return warning(
      `${found}: when it is full, it takes no new runs (BACKPRESSURE)`,
      'raise maxmemory, or shorten retentionMs',
    )
  if (machine > 0 && most > (machine * FULL_PERCENT) / 100)
    return warning(
      `maxmemory is ${mib(most)} MiB, the machine has ${mib(machine)}: a snapshot or a rewrite needs room beside it`,
      asked,
    )
  return ok('memory', found)
}

function clientsOf(info: Info): Finding {
  const [now, most] = [Number(info.get('connected_clients') ?? 0), Number(info.get('maxclients') ?? 0)]
  const found = `${now} of ${most} clients are connected`
  if (most === 0 || now < (most * FULL_PERCENT) / 100) return ok('clients', found)
  return {
    check: 'clients',
    level: 'warning',
    found,
    change: 'raise maxclients: each process has three connections or so',
  }
}

const mib = (bytes: number): number => Math.round(bytes / MIB)

const shownMs = (ms: number): string =>
  ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`

const medianOf = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0
