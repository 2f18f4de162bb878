/**
 * What is wrong with a Redis by what it says of itself (INFO and CONFIG GET), and what to change. Hides which numbers and settings are looked at.
 */
import { advised, serverFaults } from './check-redis.js'

/** Above these a finding is a warning. */
export const SLOW_REPLY_MS = 5
const SLOW_DISK_MS = 20
export const SKEW_MS = 1_000
const LEAST_MEMORY_MIB = 64
const MIB = 1024 * 1024
const FULL_PERCENT = 80

/** All checks, with what each looks at: docs/command.md has the same table, compared by a test. */
export const CHECKS = Object.freeze({
  connection: 'Whether Redis answers and lets us in.',
  version: 'Whether it is Redis 7.0 or newer, or a Valkey, and a master.',
  host: 'Whether it is one server, neither a Cluster nor a Sentinel; on which system.',
  eviction: 'Whether it may delete keys when its memory is full.',
  persistence: 'What survives when it restarts, and whether its last writes to disk worked.',
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

export const ok = (check: CheckName, found: string): Finding => ({ check, level: 'ok', found })

const warning = (check: CheckName, found: string, change: string): Finding => ({
  check,
  level: 'warning',
  found,
  change,
})

/** What a server says, by name. */
export type Info = ReadonlyMap<string, string>

/** Checks of what a server says, where it says nothing. */
export const UNSEEN: readonly Finding[] = (
  ['version', 'host', 'eviction', 'persistence', 'memory', 'clients'] as const
).map((check) => ({ check, level: 'unknown', found: 'it could not be looked at: the user may not call INFO' }))

/** What a server says of itself; `config` is empty where it does not say how it is set. */
export function ofInfo(info: Info, config: Info): readonly Finding[] {
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
    hostOf(info, config),
    ...faults.filter(({ check }) => check === 'eviction'),
    ...(isFine('eviction') ? [ok('eviction', 'maxmemory-policy is noeviction')] : []),
    ...persistenceOf(info, config),
    memoryOf(info),
    clientsOf(info),
  ]
}

/** Valkey calls it server_mode. */
const modeOf = (info: Info): string => info.get('redis_mode') ?? info.get('server_mode') ?? 'standalone'

function hostOf(info: Info, config: Info): Finding {
  const mode = modeOf(info)
  if (mode === 'cluster' || info.get('cluster_enabled') === '1')
    return {
      ...{ check: 'host', level: 'error', found: 'expected one server, got a node of a Cluster' },
      change: 'use a server with cluster-enabled no: this version knows no Cluster',
    }
  if (mode === 'sentinel')
    return {
      ...{ check: 'host', level: 'error', found: 'expected a server that holds data, got a Sentinel' },
      change: 'connect to the master that it watches: this version asks no Sentinel',
    }
  const system = info.get('os')
  const service = config.size === 0 ? '; its configuration cannot be read, as with many services' : ''
  return ok('host', `${mode}${system === undefined ? '' : `, on ${system}`}${service}`)
}

function persistenceOf(info: Info, config: Info): readonly Finding[] {
  const faults = diskFaultsIn(info, config)
  return faults.length > 0 ? faults : [whatIsKept(info, config)]
}

/** Writes to disk that failed. Only some of them make Redis refuse what it is sent. */
function diskFaultsIn(info: Info, config: Info): readonly Finding[] {
  const hasFailed = (name: string): boolean => (info.get(name) ?? 'ok') !== 'ok'
  const change = "make room on the disk, and look at the server's log"
  const faults: Finding[] = []
  const refuses = (what: string): Finding => {
    return { check: 'persistence', level: 'error', found: `${what}, so Redis refuses every write`, change }
  }
  if (hasFailed('aof_last_write_status'))
    faults.push(refuses('the last write to the append-only file failed (aof_last_write_status)'))
  if (hasFailed('aof_last_bgrewrite_status')) {
    const found = 'the last rewrite of the append-only file failed (aof_last_bgrewrite_status), so the file grows'
    faults.push(warning('persistence', found, change))
  }
  if (hasFailed('rdb_last_bgsave_status')) {
    const what = 'the last snapshot failed (rdb_last_bgsave_status)'
    const stopsWrites = config.get('stop-writes-on-bgsave-error') === 'yes' && (config.get('save') ?? '') !== ''
    faults.push(stopsWrites ? refuses(what) : warning('persistence', what, change))
  }
  return faults
}

function whatIsKept(info: Info, config: Info): Finding {
  if (info.get('aof_enabled') === '1') {
    const fsync = config.get('appendfsync')
    const loses = fsync === 'always' ? ', which loses nothing' : fsync === 'no' ? ', which may lose half a minute' : ''
    const found = `append-only file${fsync === undefined ? '' : `, appendfsync ${fsync}`}${loses}`
    return fsync === 'no'
      ? warning('persistence', found, advised(info, 'appendfsync', 'everysec'))
      : ok('persistence', found)
  }
  const saves = config.get('save')
  const change = advised(info, 'appendonly', 'yes')
  if (saves === '') return warning('persistence', 'nothing is on disk: a restart loses all runs', change)
  const found = `snapshots only${saves === undefined ? '' : ` (save ${saves})`}: a restart loses the runs since the last one`
  return warning('persistence', found, change)
}

/** What docs/operations.md asks for, unless more than that is used: then room for half as much again. */
const machineShare = (machine: number): number => (machine * 2) / 3
const ROOM = 1.5

function memoryOf(info: Info): Finding {
  const bytes = (name: string): number => Number(info.get(name) ?? 0)
  const [used, most, machine] = [bytes('used_memory'), bytes('maxmemory'), bytes('total_system_memory')]
  const asked = maxmemoryAdvice(info, used, machine)
  if (most === 0) {
    const found = `${mib(used)} MiB are used, and maxmemory is not set: when the machine is full, Redis is killed`
    return warning('memory', found, asked)
  }
  const found = `${mib(used)} of ${mib(most)} MiB are used`
  if (most < LEAST_MEMORY_MIB * MIB) return warning('memory', `${found}: that is little`, asked)
  if (used >= (most * FULL_PERCENT) / 100) {
    const change = 'raise maxmemory, or shorten retentionMs'
    return warning('memory', `${found}: when it is full, it takes no new runs (BACKPRESSURE)`, change)
  }
  if (machine > 0 && most > (machine * FULL_PERCENT) / 100) {
    const wide = `maxmemory is ${mib(most)} MiB, the machine has ${mib(machine)}: a snapshot or a rewrite needs room beside it`
    return warning('memory', wide, asked)
  }
  return ok('memory', found)
}

/** A bound under which Redis can go on with what it holds, and the machine with Redis. */
function maxmemoryAdvice(info: Info, used: number, machine: number): string {
  const wanted = Math.max(LEAST_MEMORY_MIB * MIB, ROOM * used, machineShare(machine || 1024 * MIB))
  if (machine > 0 && wanted > (machine * FULL_PERCENT) / 100)
    return `give the machine more memory: ${mib(used)} of its ${mib(machine)} MiB are used; then set maxmemory to two thirds of it`
  return advised(info, 'maxmemory', `${mib(wanted)}mb`)
}

function clientsOf(info: Info): Finding {
  const [now, most] = [Number(info.get('connected_clients') ?? 0), Number(info.get('maxclients') ?? 0)]
  const found = `${now} of ${most} clients are connected`
  if (most === 0 || now < (most * FULL_PERCENT) / 100) return ok('clients', found)
  return warning('clients', found, 'raise maxclients: each process has up to five connections')
}

/** Writes that waited for the disk are told from so many an hour on: the server counts them since it was started. */
const MOST_DELAYED_AN_HOUR = 1

/** What keeps a write, as far as that is the disk. @param shown how long a write and a reply take */
export function diskOf(
  { info, config }: { readonly info: Info; readonly config: Info },
  {
    writeMs,
    replyMs,
    shown,
  }: { readonly writeMs: number; readonly replyMs: number; readonly shown: (ms: number) => string },
): Finding {
  const delayed = Number(info.get('aof_delayed_fsync') ?? 0)
  const hours = Number(info.get('uptime_in_seconds') ?? 0) / 3_600
  const isOften = delayed > 0 && delayed >= MOST_DELAYED_AN_HOUR * hours
  if (writeMs - replyMs < SLOW_DISK_MS) {
    if (!isOften) return ok('disk', `a write takes ${shown(writeMs)}`)
    const found = `${delayed} writes have waited for the disk in ${hours.toFixed(1)} hours`
    return warning('disk', found, diskAdvice(info, config))
  }
  const found = `a write takes ${shown(writeMs)}, a reply ${shown(replyMs)}`
  if (info.get('aof_enabled') !== '1')
    return warning(
      'disk',
      `${found}, and there is no append-only file: it is not the disk`,
      'look at SLOWLOG GET, and give Redis a core of its own',
    )
  return warning('disk', `${found}: the disk keeps it`, diskAdvice(info, config))
}

function diskAdvice(info: Info, config: Info): string {
  const faster = 'put the append-only file on a faster disk'
  if (config.get('appendfsync') !== 'always') return faster
  return `${faster}, or ${advised(info, 'appendfsync', 'everysec')}; that may lose a second`
}

const mib = (bytes: number): number => Math.round(bytes / MIB)
