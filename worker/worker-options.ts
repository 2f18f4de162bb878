/** What a worker's options say: checked, and read as what they mean. */
import { describe } from '../lib/describe.js'
import { GraflowError, lookingAt } from '../lib/errors.js'
import {
  CONNECT_OPTIONS,
  checkOptions,
  DEFAULT_QUEUE,
  LIMIT_OPTIONS,
  type OptionSpec,
  RUNS_QUEUE,
  WORKER_OPTIONS,
} from '../lib/options.js'
import type { AnyNode, JoinPolicy } from '../lib/flow/types.js'
import type { LogFormat, LogLevel } from '../lib/observe/log-lines.js'
import type { Limits } from '../lib/options.js'
import type { LeaderOptions } from '../lib/producer/leader-options.js'
import type { Clock, Random } from '../lib/time.js'

/** All are optional; docs/options.md has defaults and ranges. */
export interface WorkerOptions extends LeaderOptions {
  /** Paths of modules, and tasks, flows, workflows and policies themselves. A module that cannot be used: TASK_MODULE. Default: none. */
  readonly tasks?: readonly (string | AnyNode | JoinPolicy<never, unknown>)[]
  /** Where Redis is: redis://, rediss:// (TLS) or unix://. Default: redis://localhost:6379. */
  readonly redisUrl?: string
  /** Host of Redis, where no redisUrl is given. Default: localhost. */
  readonly redisHost?: string
  /** Port of Redis, where no redisUrl is given: 1 to 65535. Default: 6379. */
  readonly redisPort?: number
  /** Database number of Redis, where no redisUrl is given. Default: 0. */
  readonly redisDb?: number
  /** Names what belongs together on one Redis: producers and workers with the same prefix see each other. Default: graflow. */
  readonly keyPrefix?: string
  /** The same as keyPrefix. */
  readonly redisKeyPrefix?: string
  /** What this worker calls itself; tasks may prefer it by affinity. 1 to 128 characters of A-Z a-z 0-9 _ . -. Default: random. */
  readonly workerId?: string
  /** Branches that run at once: 1 to 100000; 1 for tasks that keep the processor busy. Default: 16. */
  readonly maxConcurrentTasks?: number
  /** Threads at most for tasks with `isolation: 'thread'`: 1 to 1024, and never more than maxConcurrentTasks. Default: one per processor. */
  readonly threads?: number
  /** Megabytes of heap that one of those threads may use: 16 or more. Past them its task fails with THREAD_LOST. Default: what V8 allows. */
  readonly threadHeapMb?: number
  /** Queues to serve. `gpu:2` has at most two branches of queue gpu in flight here. Default: default. */
  readonly queues?: readonly string[]
  /** Whether it takes submitted runs, whose steps without a queue then run here. Default: whether it serves the queue default. */
  readonly driveRuns?: boolean
  /** Whether the store keeps when each branch was started here, and how long it took, for reports: at most 8 bytes a branch. Default: true. */
  readonly timings?: boolean
  /** What this worker has that tasks may require. Default: none. */
  readonly capabilities?: readonly string[]
  /**
   * `auto` takes work and may be elected leader; `worker` never leads; `leader` does not start (NOT_LEADER) unless it becomes the leader, and takes work
   * where it has tasks; `observer` only looks. Default: auto.
   */
  readonly role?: 'auto' | 'worker' | 'leader' | 'observer'
  /** What others are told of where this worker runs. Default: the machine’s. */
  readonly hostname?: string
  /** Milliseconds that work in flight may take to finish after `stop`; then it is released: 0 to a year. Default: 30000. */
  readonly gracefulShutdownTimeoutMs?: number
  /** Milliseconds that a task module may take to load: 1 to a year. Then TASK_MODULE. Default: 30000. */
  readonly moduleTimeoutMs?: number
  /** Port of /livez, /readyz, /healthz and /metrics: 0 to 65535; 0 takes a free one. Default: none. */
  readonly metricsPort?: number
  /** Address that this port is bound to. Default: 0.0.0.0. */
  readonly metricsHost?: string
  /** What is logged, from this level up. Default: info. */
  readonly logLevel?: LogLevel
  /** How lines are written; `auto` is text on a terminal, else JSON. Default: auto for the command, text in code. */
  readonly logFormat?: LogFormat | 'auto'
  /** Names the release that this worker is: it also takes runs that are pinned to this build. Default: none. */
  readonly buildId?: string
  /** Pairs such as { zone: "eu-1" } or "zone=eu-1", for people. Default: none. */
  readonly metadata?: Readonly<Record<string, string>> | readonly string[]
  /** How large things may be: { resultBytes: 4194304 } or "resultBytes=4mb"; past a limit, LIMIT_EXCEEDED. Default: see limits. */
  readonly limits?: Partial<Limits> | readonly string[]
  /** For tests: where time comes from (`manualClock` of graflow/testing). Default: the system’s. */
  readonly clock?: Clock
  /** For tests: where chance comes from (`seededRandom` of graflow/testing). Default: the system’s. */
  readonly random?: Random
}

/** As given, with metadata as an object, and one name for the prefix. */
type Checked = Omit<WorkerOptions, 'metadata' | 'redisKeyPrefix' | 'limits'> & {
  readonly limits: Partial<Limits>
  readonly metadata?: Readonly<Record<string, string>>
}

const TABLE = {
  ...WORKER_OPTIONS,
  redisKeyPrefix: WORKER_OPTIONS.keyPrefix,
  metadata: { ...WORKER_OPTIONS.metadata, kind: 'list' },
  ...{ clock: CONNECT_OPTIONS.clock, random: CONNECT_OPTIONS.random },
} as const

const NAME = /^[A-Za-z0-9_-]{1,128}$/
const PAIR = /^([A-Za-z0-9_.-]{1,128})=(.{0,1024})$/su

/** @throws GraflowError INVALID_OPTION */
export const checkWorkerOptions = (given: WorkerOptions): Checked =>
  lookingAt('worker', 'INVALID_OPTION', () => checkGiven(given))

function checkGiven(given: WorkerOptions): Checked {
  const isObject = typeof given === 'object' && (given as unknown) !== null
  const { metadata, limits, ...others } = isObject ? given : ({} as WorkerOptions)
  const pairs =
    metadata === undefined || Array.isArray(metadata)
      ? (metadata as readonly string[] | undefined)
      : Object.entries(metadata as Readonly<Record<string, unknown>>).map(
          ([key, value]) => `${key}=${typeof value === 'string' ? value : describe(value)}`,
        )
  const checked = checkOptions<WorkerOptions>(
    'worker',
    TABLE,
    isObject ? { ...others, ...(pairs !== undefined && { metadata: pairs }) } : given,
  )
  const { redisKeyPrefix, metadata: _, limits: __, ...rest } = checked
  const options: Checked = {
    ...rest,
    limits: limitsOf(limits),
    ...(redisKeyPrefix !== undefined && rest.keyPrefix === undefined && { keyPrefix: redisKeyPrefix }),
    ...(pairs !== undefined && { metadata: Object.fromEntries(pairs.map(pairOf)) }),
  }
  queuesOf(options)
  for (const capability of options.capabilities ?? []) {
    if (typeof capability !== 'string' || !NAME.test(capability))
      throw invalid('capabilities', `expected names such as gpu, got ${describe(capability)}`)
  }
  if (isServing(options) && (options.tasks ?? []).length === 0)
    throw invalid('tasks', `expected at least one task module, such as ./tasks.js, got none`)
  return options
}

/** Whether it takes work: a leader without tasks only leads. */
export const isServing = ({ role, tasks = [] }: Pick<Checked, 'role' | 'tasks'>): boolean =>
  role !== 'observer' && (role !== 'leader' || tasks.length > 0)

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

const UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }
const LIMIT_PAIR = /^([A-Za-z]{1,32})=([0-9]{1,15})(b|kb|mb|gb)?$/i

/** The limits that pairs such as `resultBytes=4mb` set, or an object. @throws GraflowError INVALID_OPTION */
export function limitsOf(given: WorkerOptions['limits']): Partial<Limits> {
  if (!Array.isArray(given))
    return checkOptions<Partial<Limits>>('worker: limits', LIMIT_OPTIONS, given as Partial<Limits>)
  const limits: Record<string, number> = {}
  for (const pair of given as readonly unknown[]) {
    const [, name = '', count = '', unit] = (typeof pair === 'string' ? LIMIT_PAIR.exec(pair.trim()) : null) ?? []
    if (name === '') throw invalid('limits', `expected a pair such as resultBytes=4mb, got ${describe(pair)}`)
    const spec: OptionSpec | undefined = Object.hasOwn(LIMIT_OPTIONS, name)
      ? LIMIT_OPTIONS[name as keyof Limits]
      : undefined
    if (unit !== undefined && spec !== undefined && spec.unit !== 'bytes')
      throw invalid('limits', `${name} is a number of ${spec.unit ?? 'things'}, without ${unit}, got ${describe(pair)}`)
    limits[name] = Number(count) * (unit === undefined ? 1 : (UNITS[unit.toLowerCase()] ?? 1))
  }
  return checkOptions<Partial<Limits>>('worker: limits', LIMIT_OPTIONS, limits)
}

/** Whether it drives submitted runs: a worker for certain tasks need not run the steps of others. */
export const isDriving = (options: Pick<Checked, 'driveRuns' | 'queues'>): boolean =>
  options.driveRuns ?? queuesOf(options).names.some((name) => name === DEFAULT_QUEUE || name === RUNS_QUEUE)

/** Where Redis is. */
export function addressOf({
  redisUrl,
  redisHost,
  redisPort,
  redisDb,
}: Pick<Checked, 'redisUrl' | 'redisHost' | 'redisPort' | 'redisDb'>): string {
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
