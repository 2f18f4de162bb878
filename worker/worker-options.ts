/** What a worker's options say: checked, and read as what they mean. */
import { describe } from '../lib/describe.js'
import { GraflowError } from '../lib/errors.js'
import { CONNECT_OPTIONS, checkOptions, WORKER_OPTIONS } from '../lib/options.js'
import type { AnyNode, JoinPolicy } from '../lib/flow/types.js'
import type { LogFormat, LogLevel } from '../lib/observe/log-lines.js'
import type { Limits } from '../lib/options.js'
import type { Clock, Random } from '../lib/time.js'

/** All are optional; docs/options.md has defaults and ranges. */
export interface WorkerOptions {
  /** Paths of modules, and tasks, flows, workflows and policies themselves. */
  readonly tasks?: readonly (string | AnyNode | JoinPolicy<never, unknown>)[]
  readonly redisUrl?: string
  readonly redisHost?: string
  readonly redisPort?: number
  readonly redisDb?: number
  readonly keyPrefix?: string
  /** The same as keyPrefix. */
  readonly redisKeyPrefix?: string
  readonly workerId?: string
  readonly maxConcurrentTasks?: number
  /** `gpu:2` has at most two branches of queue gpu in flight here. */
  readonly queues?: readonly string[]
  readonly capabilities?: readonly string[]
  readonly role?: 'auto' | 'worker' | 'leader' | 'observer'
  readonly gracefulShutdownTimeoutMs?: number
  readonly metricsPort?: number
  readonly metricsHost?: string
  readonly logLevel?: LogLevel
  readonly logFormat?: LogFormat | 'auto'
  readonly buildId?: string
  readonly metadata?: Readonly<Record<string, string>> | readonly string[]
  readonly limits?: Partial<Limits>
  readonly clock?: Clock
  readonly random?: Random
}

/** As given, with metadata as an object, and one name for the prefix. */
type Checked = Omit<WorkerOptions, 'metadata' | 'redisKeyPrefix'> & {
  readonly metadata?: Readonly<Record<string, string>>
}

const TABLE = {
  ...WORKER_OPTIONS,
  redisKeyPrefix: WORKER_OPTIONS.keyPrefix,
  metadata: { ...WORKER_OPTIONS.metadata, kind: 'list' },
  ...{ limits: CONNECT_OPTIONS.limits, clock: CONNECT_OPTIONS.clock, random: CONNECT_OPTIONS.random },
} as const

const NAME = /^[A-Za-z0-9_-]{1,128}$/
const PAIR = /^([A-Za-z0-9_.-]{1,128})=(.{0,1024})$/su

/** @throws GraflowError INVALID_OPTION; NOT_AVAILABLE for the role leader */
export function checkWorkerOptions(given: WorkerOptions): Checked {
  const isObject = typeof given === 'object' && (given as unknown) !== null
  const metadata = isObject ? given.metadata : undefined
  const pairs =
    metadata === undefined || Array.isArray(metadata)
      ? (metadata as readonly string[] | undefined)
      : Object.entries(metadata as Readonly<Record<string, unknown>>).map(([key, value]) => `${key}=${String(value)}`)
  const checked = checkOptions<WorkerOptions>(
    'worker',
    TABLE,
    isObject ? { ...given, ...(pairs !== undefined && { metadata: pairs }) } : given,
  )
  const { redisKeyPrefix, metadata: _, ...rest } = checked
  const options: Checked = {
    ...rest,
    ...(redisKeyPrefix !== undefined && rest.keyPrefix === undefined && { keyPrefix: redisKeyPrefix }),
    ...(pairs !== undefined && { metadata: Object.fromEntries(pairs.map(pairOf)) }),
  }
  queuesOf(options)
  for (const capability of options.capabilities ?? []) {
    if (typeof capability !== 'string' || !NAME.test(capability))
      throw invalid('capabilities', `expected names such as gpu, got ${describe(capability)}`)
  }
  if (options.role === 'leader') {
    throw new GraflowError(
      'NOT_AVAILABLE',
      'worker: role: this version has no elected leader: take auto or worker (sweeping needs none)',
      { details: { option: 'role' } },
    )
  }
  if (isServing(options) && (options.tasks ?? []).length === 0)
    throw invalid('tasks', `expected at least one task module, such as ./tasks.js, got none`)
  return options
}

/** Whether it takes work. */
export const isServing = ({ role }: Pick<Checked, 'role'>): boolean => role !== 'observer'

/** The queues by name, and how many of each may be in flight where that is said. @throws GraflowError INVALID_OPTION */
export function queuesOf({ queues = [] }: Pick<Checked, 'queues'>): {
  readonly names: readonly string[]
  readonly limits: ReadonlyMap<string, number>
} {
  const limits = new Map<string, number>()
  const names = new Set<string>()
  for (const given of queues) {
    const text: unknown = given
    const found = typeof text === 'string' ? /^([^:]*)(?::([^:]*))?$/.exec(text) : null
    const [, name = '', count] = found ?? []
    const isCount = count === undefined || (/^[0-9]{1,6}$/.test(count) && Number(count) > 0)
    if (!NAME.test(name) || !isCount)
      throw invalid('queues', `expected a name such as default, or gpu:2 for two at once, got ${describe(text)}`)
    names.add(name)
    if (count !== undefined) limits.set(name, Number(count))
  }
  return { names: names.size === 0 ? WORKER_OPTIONS.queues.default : [...names], limits }
}

/** Where Redis is. */
export function addressOf({ redisUrl, redisHost, redisPort, redisDb }: Checked): string {
  if (redisUrl !== undefined) return redisUrl
  const host = redisHost ?? WORKER_OPTIONS.redisHost.default
  const shown = host.includes(':') ? `[${host}]` : host
  return `redis://${shown}:${redisPort ?? WORKER_OPTIONS.redisPort.default}${redisDb === undefined ? '' : `/${redisDb}`}`
}

function pairOf(pair: unknown): readonly [string, string] {
  const found = typeof pair === 'string' ? PAIR.exec(pair) : null
  if (found === null) throw invalid('metadata', `expected a pair such as zone=eu-1, got ${describe(pair)}`)
  return [found[1] ?? '', found[2] ?? '']
}

const invalid = (option: string, fault: string): GraflowError =>
  new GraflowError('INVALID_OPTION', `worker: ${option}: ${fault}`, { details: { option } })
