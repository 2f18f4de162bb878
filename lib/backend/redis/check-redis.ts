/**
 * Whether a Redis can be used: its version, that it deletes nothing, that it takes writes, its database, what lies under the prefix. Also
 * loads the scripts that it does not know: when Redis is full it takes none, and those that drain it must be there.
 */
import { GraflowError } from '../../errors.js'
import { LAYOUT } from '../reserved.js'
import { listOf, readInfo, type Reply, textsIn } from './replies.js'
import { checkRights, type UsersRedis } from './rights.js'
import type { Script } from './scripts.js'

/** A connection to the Redis that is checked. */
export type CheckedRedis = UsersRedis

/** Of what lies in Redis; another number there is another layout. */
export const PROTOCOL_VERSION = 3
const OLDEST_REDIS = [7, 0] as const

/** What stands around a value in a command or reply. */
const AROUND_BYTES = 64 * 1024
/** Of a server that does not let us read its configuration: large replies come in parts and few at a time, as if it sent no more than this. */
const ASSUMED_OUTPUT_BYTES = 4 * 1024 * 1024

/** What a server takes and sends at most; Infinity where it has no bound. */
export interface ServerBounds {
  /** Of one value that it takes; Infinity, too, where it does not say. */
  readonly takenBytes: number
  /** Of one value that it takes and sends in one reply. */
  readonly valueBytes: number
  /** Of all that it has to send to one client. */
  readonly outputBytes: number
}

/** Bounds that a server was configured with. */
async function boundsOf(redis: Pick<CheckedRedis, 'command'>): Promise<ServerBounds> {
  const read = async (name: string): Promise<string | undefined> => {
    try {
      return textsIn(await redis.command('CONFIG', 'GET', name))[1]
    } catch {
      return undefined
    }
  }
  const [bulk, buffers] = await Promise.all([read('proto-max-bulk-len'), read('client-output-buffer-limit')])
  const takenBytes = (Number(bulk) || Infinity) - AROUND_BYTES
  if (buffers === undefined) return { takenBytes, valueBytes: takenBytes, outputBytes: ASSUMED_OUTPUT_BYTES }
  const [, hard = 0, soft = 0] = (/normal (\d+) (\d+)/.exec(buffers) ?? []).map(Number)
  const outputBytes = Math.min(hard || Infinity, soft || Infinity)
  return { takenBytes, valueBytes: Math.min(takenBytes, outputBytes - AROUND_BYTES), outputBytes }
}

/**
 * Also reads what the server takes and sends at most, which takes no longer.
 * @throws GraflowError REDIS_UNSUITABLE, with what to do about it
 */
export async function checkRedis(
  redis: CheckedRedis,
  { allowEviction, scripts }: { readonly allowEviction: boolean; readonly scripts: readonly Script[] },
): Promise<ServerBounds> {
  checkServer(redis, readInfo(await redis.command('INFO')), allowEviction)
  await checkDatabase(redis)
  await loadMissing(redis, scripts)
  const [bounds] = await Promise.all([boundsOf(redis), checkRights(redis)])
  await checkProtocol(redis)
  return bounds
}

/** What is wrong with a server, and what to do about it. */
export interface ServerFault {
  readonly check: 'version' | 'eviction' | 'role'
  readonly found: string
  readonly change: string
}

/** How a setting is changed now and for the next start. */
export function advised(info: ReadonlyMap<string, string>, name: string, value: string): string {
  const hasFile = (info.get('config_file') ?? '') !== ''
  const next = hasFile ? 'CONFIG REWRITE' : `put "${name} ${value}" where its configuration stands`
  return `CONFIG SET ${name} ${value}, and for the next start ${next}`
}

/** What is wrong with a server by what it says of itself, the worst first; nothing when it can be used. */
export function serverFaults(info: ReadonlyMap<string, string>): readonly ServerFault[] {
  const version = info.get('redis_version')
  if (version === undefined) {
    const found =
      'expected what a Redis says of itself (INFO), got something else: another kind of server listens there'
    return [{ check: 'version', found, change: 'check the address' }]
  }
  const faults: ServerFault[] = []
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < OLDEST_REDIS[0] || (major === OLDEST_REDIS[0] && minor < OLDEST_REDIS[1])) {
    const found = `expected Redis ${OLDEST_REDIS.join('.')} or newer, got ${version}`
    faults.push({ check: 'version', found, change: 'update the server' })
  }
  const policy = info.get('maxmemory_policy') ?? 'noeviction'
  if (policy !== 'noeviction') {
    const found = `expected maxmemory-policy noeviction, got ${policy}, under which Redis may delete parts of a run`
    faults.push({ check: 'eviction', found, change: advised(info, 'maxmemory-policy', 'noeviction') })
  }
  if (info.get('role') === 'slave') {
    const found = 'expected a master, got a replica, which takes no writes'
    faults.push({ check: 'role', found, change: 'connect to its master' })
  }
  return faults
}

function checkServer(redis: CheckedRedis, info: ReadonlyMap<string, string>, allowEviction: boolean): void {
  const fault = serverFaults(info).find(({ check }) => check !== 'eviction' || !allowEviction)
  if (fault !== undefined) throw unsuitable(redis, `${fault.found}; ${fault.change}`)
}

/** A connection to a database that does not exist stays in the first one, without an error. */
async function checkDatabase(redis: CheckedRedis): Promise<void> {
  const { db } = redis.target
  if (db === 0) return
  try {
    await redis.command('SELECT', db)
  } catch (error) {
    const cause = error instanceof Error ? error : undefined
    throw unsuitable(redis, `expected database ${db}, got ${String(error)}`, cause)
  }
}

async function checkProtocol(redis: CheckedRedis): Promise<void> {
  const { main } = redis.keys
  let found: Reply | undefined
  let layout: Reply | undefined
  try {
    ;[found, layout] = listOf(await redis.command('HMGET', main, 'v', 'layout'))
    if (found === null) {
      await redis.command('HSETNX', main, 'v', PROTOCOL_VERSION)
      found = await redis.command('HGET', main, 'v')
    }
  } catch (error) {
    if (!(error instanceof GraflowError) || error.code !== 'INTEGRITY') throw error
    throw unsuitable(redis, `expected a hash under ${main}, got another type; choose another key prefix`, error)
  }
  const version = Buffer.isBuffer(found) ? found.toString() : '?'
  if (version === String(PROTOCOL_VERSION)) {
    // A release before this one looks at `v` only. What it cannot read, it leaves to others by what that requires.
    if (!(Number(layout ?? 0) >= LAYOUT)) await redis.command('HSET', main, 'layout', LAYOUT)
    return
  }
  throw unsuitable(
    redis,
    `expected version ${PROTOCOL_VERSION} of what lies under ${redis.tag}, got ${version.slice(0, 20)}; ` +
      'use the release of graflow that wrote it, or another key prefix',
  )
}

async function loadMissing(redis: CheckedRedis, scripts: readonly Script[]): Promise<void> {
  const known = new Set(textsIn(await redis.command('FUNCTION', 'LIST', 'LIBRARYNAME', 'graflow_*')))
  const missing = new Set(scripts.filter(({ id }) => !known.has(id)).map(({ source }) => source))
  await Promise.all([...missing].map((source) => loadOnce(redis, source)))
}

async function loadOnce(redis: CheckedRedis, source: string): Promise<void> {
  try {
    await redis.command('FUNCTION', 'LOAD', source)
  } catch (error) {
    if (!(error instanceof GraflowError) || !/already exists/.test(error.message)) throw error
  }
}

const unsuitable = ({ address }: CheckedRedis, fault: string, cause?: Error): GraflowError =>
  new GraflowError('REDIS_UNSUITABLE', `Redis at ${address}: ${fault}`, cause === undefined ? {} : { cause })
