/**
 * Options of the components that have some: one table each with type, unit, range, default and help. What users pass is checked against
 * it once; docs/options.md is compared with it by a test. Every default of the package stands here, as the value that the code uses.
 * The file is long because the tables are: more than half of it is their rows.
 */
import { didYouMean } from './nearest.js'
import { describe, mayHoldPassword, UNSHOWN } from './describe.js'
import { GraflowError, lookingAt } from './errors.js'

/** One option. */
export interface OptionSpec {
  readonly kind: 'integer' | 'string' | 'boolean' | 'list' | 'object' | 'function'
  /** The value when the option is left out. Absent where there is none, or where it is made anew each time. */
  readonly default?: string | number | boolean | readonly string[]
  /** How help and docs write a default that is no plain value, such as `random`. */
  readonly defaultText?: string
  readonly unit?: 'ms' | 'bytes' | 'branches' | 'groups' | 'graphs'
  readonly min?: number
  readonly max?: number
  readonly pattern?: RegExp
  /** The pattern in words, for messages. The value of a secret one is not shown, since it may hold a password. */
  readonly form?: { readonly says: string; readonly isSecret: boolean }
  readonly oneOf?: readonly string[]
  /** Of an object: its description, and the methods that it must have. */
  readonly like?: { readonly what: string; readonly methods: readonly string[] }
  /** The name after `--`, where a command has it. A list's flag is given once an item. */
  readonly flag?: string
  /** Environment variables, the first that is set wins. A list's items stand between commas. */
  readonly env?: readonly string[]
  /** A value, for messages; without it the default is one. */
  readonly example?: string
  readonly help: string
}

export type OptionTable = Readonly<Record<string, OptionSpec>>

const KIB = 1024
const MIB = 1024 * KIB

/** The queue of branches whose options name none. */
export const DEFAULT_QUEUE = 'default'

/** The queue on which submitted runs wait for a driver. */
export const RUNS_QUEUE = 'runs'

/** The longest duration that is no mistake of units: a year. */
export const LONGEST_MS = 365 * 24 * 3_600_000

/** `connect(address?, options)`. */
export const CONNECT_OPTIONS = Object.freeze({
  keyPrefix: {
    kind: 'string',
    default: 'graflow',
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,47}(:[A-Za-z0-9._-]{1,47}){0,3}$/,
    help: 'Names what belongs together on one Redis: producers and workers with the same prefix see each other.',
  },
  instanceId: {
    kind: 'string',
    defaultText: 'random',
    pattern: /^[A-Za-z0-9_.-]{1,128}$/,
    help: 'What this client calls itself in events and errors.',
  },
  role: {
    kind: 'string',
    default: 'client',
    oneOf: ['client', 'auto'],
    help: 'With auto this client may be elected leader of the processes with the same prefix; else it never is.',
  },
  leaderTtlMs: {
    kind: 'integer',
    default: 10_000,
    unit: 'ms',
    min: 1_000,
    max: LONGEST_MS,
    help: 'How long a leader leads without a sign of life, of which it gives three in this time. Then another may lead.',
  },
  heartbeatIntervalMs: {
    kind: 'integer',
    default: 5_000,
    unit: 'ms',
    min: 100,
    max: LONGEST_MS,
    help: 'How often a worker says what it does, and a leader looks at the workers.',
  },
  staleAfterMs: {
    kind: 'integer',
    default: 15_000,
    unit: 'ms',
    min: 100,
    max: LONGEST_MS,
    help: 'A worker without a sign of life for so long is marked as stale, by a leader with this option.',
  },
  deadAfterMs: {
    kind: 'integer',
    default: 120_000,
    unit: 'ms',
    min: 100,
    max: LONGEST_MS,
    help: 'A worker without a sign of life for so long is marked as dead, by a leader with this option.',
  },
  cleanupIntervalMs: {
    kind: 'integer',
    default: 300_000,
    unit: 'ms',
    min: 100,
    max: LONGEST_MS,
    help: 'How often a leader looks for what was left behind by runs whose record is gone.',
  },
  stuckAfterMs: {
    kind: 'integer',
    unit: 'ms',
    min: 1_000,
    max: LONGEST_MS,
    help: 'A leader with this option fails runs in which nothing was opened, granted or settled for so long (RUN_STUCK); take more than the longest task.',
  },
  hostname: {
    kind: 'string',
    defaultText: 'the machine’s',
    pattern: /^[^\s/@]{1,255}$/,
    help: 'What others are told of where this process runs.',
  },
  metadata: { kind: 'object', help: 'Pairs of texts such as { zone: "eu-1" }, for people.' },
  buildId: {
    kind: 'string',
    pattern: /^[A-Za-z0-9_.+-]{1,128}$/,
    help: 'Names the release that this process is: runs that it starts with pin go to workers of the same build.',
  },
  timings: {
    kind: 'boolean',
    default: true,
    help: 'Embedded: whether the store keeps when each branch was started, and how long it took, for reports.',
  },
  tasks: {
    kind: 'list',
    help: 'Flows, tasks and join policies that are known by name, beside those of the flows that are run; and paths of modules that export some, which tasks in threads need.',
  },
  maxConcurrentTasks: {
    kind: 'integer',
    default: 256,
    unit: 'branches',
    min: 1,
    max: 100_000,
    help: 'Branches that the embedded worker runs at once.',
  },
  threads: {
    kind: 'integer',
    defaultText: 'one per processor',
    min: 1,
    max: 1_024,
    help: 'Threads at most for tasks with isolation thread, and never more than maxConcurrentTasks.',
  },
  threadHeapMb: {
    kind: 'integer',
    defaultText: 'what V8 allows',
    min: 16,
    max: 1_048_576,
    help: 'Megabytes of heap that one of those threads may use; past them its task fails with THREAD_LOST.',
  },
  retentionMs: {
    kind: 'integer',
    default: 24 * 3_600_000,
    unit: 'ms',
    min: 0,
    max: LONGEST_MS,
    help: 'How long record and results of a run are kept after its end.',
  },
  logLevel: {
    kind: 'string',
    default: 'info',
    oneOf: ['debug', 'info', 'warn', 'error', 'silent'],
    help: 'What ctx.log writes to standard error, from this level up.',
  },
  maxBytes: {
    kind: 'integer',
    unit: 'bytes',
    min: 1,
    help: 'Embedded: above this the store takes no new work (BACKPRESSURE); what runs can finish.',
  },
  limits: { kind: 'object', defaultText: 'see below', help: 'How large things may be.' },
  serve: {
    kind: 'object',
    example: '{ port: 9100 }',
    help: 'Serves the control plane and its dashboard from this process, with the options of server.',
  },
  clock: {
    kind: 'object',
    like: { what: 'a clock, such as manualClock() of graflow/testing', methods: ['now', 'after'] },
    defaultText: 'the system’s',
    help: 'For tests: where time comes from (manualClock of graflow/testing).',
  },
  random: {
    kind: 'function',
    defaultText: 'the system’s',
    help: 'For tests: where chance comes from, a number in [0, 1) a call (seededRandom of graflow/testing).',
  },
} as const satisfies OptionTable)

/** How large things may be: integers of 1 or more, set by `connect({ limits })`. Past one, LIMIT_EXCEEDED names the size and the limit. */
export interface Limits {
  /** Bytes of one item of an `each`, of the input of `ctx.run`, and of one channel item, packed. Default: 262144 (256 KiB). */
  readonly itemBytes: number
  /** Bytes of the one input that the branches of a `par` share, and of the input of a run, packed. Default: 16777216 (16 MiB). */
  readonly sharedInputBytes: number
  /** Bytes of what a task returns, and of one channel value, packed. Default: 1048576 (1 MiB). */
  readonly resultBytes: number
  /**
   * Bytes of what a run, a join policy or `ctx.finish` gives, packed: as large as all the results of a group together.
   * Default: 268435456 (256 MiB).
   */
  readonly runResultBytes: number
  /** Bytes of a graph, compressed. Default: 8388608 (8 MiB). */
  readonly graphBytes: number
  /** Branches in one group. Default: 100000. */
  readonly branches: number
  /** Groups inside groups, also by `ctx.run`. Default: 64. */
  readonly nesting: number
  /** Graphs kept in memory by a process; the one that was not used for longest goes first. Default: 100. */
  readonly graphs: number
}

/** `connect({ limits })`. */
export const LIMIT_OPTIONS = Object.freeze({
  itemBytes: {
    kind: 'integer',
    default: 256 * KIB,
    unit: 'bytes',
    min: 1,
    help: 'One item of an each, the input of ctx.run, one channel item; packed.',
  },
  sharedInputBytes: {
    kind: 'integer',
    default: 16 * MIB,
    unit: 'bytes',
    min: 1,
    help: 'The input that the branches of a par share; the input of a run; packed.',
  },
  resultBytes: {
    kind: 'integer',
    default: MIB,
    unit: 'bytes',
    min: 1,
    help: 'What a task or branch returns, and one channel value; packed.',
  },
  runResultBytes: {
    kind: 'integer',
    default: 256 * MIB,
    unit: 'bytes',
    min: 1,
    help: 'The result of a run, of a join policy, and of ctx.finish; packed.',
  },
  graphBytes: { kind: 'integer', default: 8 * MIB, unit: 'bytes', min: 1, help: 'A graph, compressed.' },
  branches: { kind: 'integer', default: 100_000, unit: 'branches', min: 1, help: 'Branches in one group.' },
  nesting: { kind: 'integer', default: 64, unit: 'groups', min: 1, help: 'Groups inside groups, also by ctx.run.' },
  graphs: {
    kind: 'integer',
    default: 100,
    unit: 'graphs',
    min: 1,
    help: 'Graphs kept in memory; the one not used for longest goes, and is loaded again when it is needed.',
  },
} as const satisfies OptionTable)

export const DEFAULT_LIMITS: Limits = defaultsOf(LIMIT_OPTIONS)

/**
 * How keys of a run and of its root group end, behind its id and a colon (lib/backend/redis/keys.ts, compared by a test): with an id such as
 * `a:k` a run would have a key of run `a`.
 */
const RUN_KEY_ENDS = 'v|k|d|r|e|ch|cx|cn|cl|[io][0-9]*'
const RUN_KEY_END = new RegExp(`:(?:${RUN_KEY_ENDS})(?::|$)`)

/** Whether no run has the id, since its key would be one that another run has. Anybody may ask for a run by any text. */
export const isNoRunId = (id: string): boolean => RUN_KEY_END.test(id)

/** `run(node, input, options)`, `start` and `submit`. */
export const RUN_OPTIONS = Object.freeze({
  id: {
    kind: 'string',
    defaultText: 'random',
    // No key of one run may be that of another: see `RUN_KEY_ENDS`.
    pattern: new RegExp(`^(?!.*:(?:${RUN_KEY_ENDS})(?::|$))[A-Za-z0-9_-][A-Za-z0-9_.:@+=-]{0,127}$`),
    form: {
      says: `1 to 128 characters of A-Z a-z 0-9 _ - . : @ + =, the first none of . : @ + =, and no part behind a colon that is one of ${RUN_KEY_ENDS.replaceAll('|', ' ').replace('[io][0-9]*', 'i o, i or o with a number')}`,
      isSecret: false,
    },
    help: 'Names the run. Starting it again with the same flow and input gives the same run.',
  },
  idempotencyKey: {
    kind: 'string',
    pattern: /^.{1,256}$/su,
    help: 'A second start with this key, flow and input gives the first one’s run.',
  },
  timeoutMs: {
    kind: 'integer',
    unit: 'ms',
    min: 1,
    max: LONGEST_MS,
    help: 'The run fails with RUN_TIMEOUT when it takes longer.',
  },
  signal: {
    kind: 'object',
    like: { what: 'an AbortSignal', methods: ['addEventListener', 'removeEventListener'] },
    help: 'Cancels the run when it aborts, also a run that existed before this call.',
  },
  ifLost: {
    kind: 'string',
    oneOf: ['take-over', 'abandon'],
    defaultText: '`abandon` for `run`, else `take-over`',
    help: 'What becomes of the run when the process that drives it is lost: a worker goes on with it, or it waits for `resume`.',
  },
  pin: {
    kind: 'boolean',
    defaultText: 'as its workflow says, else false',
    help: 'Whether only processes of the build that starts the run do its work.',
  },
  tags: {
    kind: 'list',
    example: 'eu-1',
    help: 'Words that people find the run by: at most 32, each of 1 to 128 characters, none of which is a control character.',
  },
  priority: {
    kind: 'integer',
    min: -100,
    max: 100,
    defaultText: 'what its tasks say, else 0',
    help: 'Higher first: among the runs that wait for a driver, and for all work of the run whose tasks name no priority.',
  },
  queue: {
    kind: 'string',
    defaultText: '`default`',
    pattern: /^[A-Za-z0-9_-]{1,128}$/,
    help: 'Where the work of the run waits whose tasks and groups name no queue. Runs wait for their driver on the queue `runs` all the same.',
  },
  durability: {
    kind: 'string',
    default: 'async',
    oneOf: ['async', 'fsync', 'replica'],
    help: 'What every write by which the run goes on waits for: nothing, the disk of Redis, or a replica.',
  },
} as const satisfies OptionTable)

/** `list` of what operators see. */
export const PAGE_OPTIONS = Object.freeze({
  limit: { kind: 'integer', default: 50, min: 1, max: 1_000, help: 'Items at most.' },
  cursor: { kind: 'string', help: 'What the page before said; from the beginning without it.' },
} as const satisfies OptionTable)

/** What holds for a task whose options do not say otherwise. */
export const TASK_DEFAULTS = Object.freeze({
  maxLosses: 3,
  maxCycles: 100,
  queue: DEFAULT_QUEUE,
  priority: 0,
  isolation: 'inline',
})

/** What holds for a retry whose options do not say otherwise: one attempt, no delay. */
export const RETRY_DEFAULTS = Object.freeze({ attempts: 1, delayMs: 0, factor: 1, jitter: 0 })

/** What holds for a group whose options do not say otherwise. */
export const GROUP_DEFAULTS = Object.freeze({ onFailure: 'cancel' })

/** `ctx.channel.lock(key, options, fn)`. */
export const LOCK_OPTIONS = Object.freeze({
  leaseMs: {
    kind: 'integer',
    default: 10_000,
    unit: 'ms',
    min: 1,
    max: LONGEST_MS,
    help: 'How long the lock stays its holder’s without a sign of life. It is renewed while it is held, so it may be shorter than the work.',
  },
  waitMs: {
    kind: 'integer',
    default: 30_000,
    unit: 'ms',
    min: 0,
    max: LONGEST_MS,
    help: 'How long to wait for a lock that another has, before LOCK_TIMEOUT; 0 tries once.',
  },
} as const satisfies OptionTable)

/** `graflow-worker`, and `new Worker(options)`, which has some more. */
export const WORKER_OPTIONS = Object.freeze({
  tasks: {
    kind: 'list',
    flag: 'tasks',
    example: './tasks.js',
    env: ['GRAFLOW_TASKS'],
    help: 'Modules whose tasks, flows, workflows and join policies the worker knows; in code also these themselves.',
  },
  redisUrl: {
    kind: 'string',
    default: 'redis://localhost:6379',
    pattern: /^(redis|rediss|unix):\/\/\S+$/,
    form: { says: 'an address: redis://host:6379, rediss://host:6379 or unix:///path/to/redis.sock', isSecret: true },
    flag: 'redis-url',
    env: ['GRAFLOW_REDIS_URL', 'REDIS_URL'],
    help: 'Where Redis is: redis://, rediss:// or unix://. GRAFLOW_REDIS_URL_FILE names a file that has it.',
  },
  redisHost: {
    kind: 'string',
    default: 'localhost',
    pattern: /^[^\s/@]{1,255}$/,
    form: { says: 'the name or address of a host, such as db.example.org', isSecret: true },
    flag: 'redis-host',
    env: ['GRAFLOW_REDIS_HOST', 'REDIS_HOST'],
    help: 'Host of Redis, where no redisUrl is given.',
  },
  redisPort: {
    kind: 'integer',
    default: 6379,
    min: 1,
    max: 65_535,
    flag: 'redis-port',
    env: ['GRAFLOW_REDIS_PORT', 'REDIS_PORT'],
    help: 'Port of Redis, where no redisUrl is given.',
  },
  redisDb: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 1_000_000,
    flag: 'redis-db',
    env: ['GRAFLOW_REDIS_DB', 'REDIS_DB'],
    help: 'Database number of Redis, where no redisUrl is given.',
  },
  keyPrefix: {
    ...CONNECT_OPTIONS.keyPrefix,
    flag: 'redis-key-prefix',
    env: ['GRAFLOW_REDIS_KEY_PREFIX', 'GRAFLOW_KEY_PREFIX', 'REDIS_KEY_PREFIX'],
  },
  workerId: {
    kind: 'string',
    defaultText: 'random',
    pattern: /^[A-Za-z0-9_.-]{1,128}$/,
    flag: 'worker-id',
    example: 'worker-1',
    env: ['GRAFLOW_WORKER_ID', 'WORKER_ID'],
    help: 'What this worker calls itself. Tasks may prefer it by affinity.',
  },
  maxConcurrentTasks: {
    kind: 'integer',
    default: 16,
    unit: 'branches',
    min: 1,
    max: 100_000,
    flag: 'max-concurrent-tasks',
    env: ['GRAFLOW_MAX_CONCURRENT_TASKS', 'MAX_CONCURRENT_TASKS'],
    help: 'Branches that run at once; use 1 for tasks that keep the processor busy. If few branches are ready and their tasks take 5 ms or more, the store spreads them over the waiting workers.',
  },
  threads: { ...CONNECT_OPTIONS.threads, flag: 'threads', example: '4', env: ['GRAFLOW_THREADS'] },
  threadHeapMb: {
    ...CONNECT_OPTIONS.threadHeapMb,
    flag: 'thread-heap-mb',
    example: '512',
    env: ['GRAFLOW_THREAD_HEAP_MB'],
  },
  queues: {
    kind: 'list',
    default: [DEFAULT_QUEUE],
    flag: 'queue',
    env: ['GRAFLOW_QUEUES', 'GRAFLOW_QUEUE'],
    help: 'Queues to serve; gpu:2 has at most two branches of queue gpu in flight here.',
  },
  driveRuns: {
    kind: 'boolean',
    defaultText: 'whether it serves the queue default',
    flag: 'drive-runs',
    example: 'true',
    env: ['GRAFLOW_DRIVE_RUNS'],
    help: 'Whether it takes submitted runs, whose steps without a queue then run here: true or false.',
  },
  timings: {
    kind: 'boolean',
    default: true,
    flag: 'timings',
    example: 'false',
    env: ['GRAFLOW_TIMINGS'],
    help: 'Whether the store keeps when each branch was started here, and how long it took, for reports: at most 8 bytes a branch, true or false.',
  },
  limits: {
    kind: 'list',
    defaultText: 'see limits',
    flag: 'limit',
    example: 'resultBytes=4mb',
    env: ['GRAFLOW_LIMITS', 'GRAFLOW_LIMIT'],
    help: 'How large things may be, as resultBytes=4mb (b, kb, mb or gb) or branches=200000; in code an object will do, too.',
  },
  capabilities: {
    kind: 'list',
    flag: 'capability',
    example: 'gpu',
    env: ['GRAFLOW_CAPABILITIES', 'GRAFLOW_CAPABILITY'],
    help: 'What this worker has that tasks may require.',
  },
  role: {
    kind: 'string',
    default: 'auto',
    oneOf: ['auto', 'worker', 'leader', 'observer'],
    flag: 'role',
    env: ['GRAFLOW_ROLE'],
    help: 'auto takes work and may be elected leader; worker never leads; leader starts only if it becomes the leader; observer only looks.',
  },
  leaderTtlMs: { ...CONNECT_OPTIONS.leaderTtlMs, flag: 'leader-ttl-ms', env: ['GRAFLOW_LEADER_TTL_MS'] },
  heartbeatIntervalMs: {
    ...CONNECT_OPTIONS.heartbeatIntervalMs,
    flag: 'heartbeat-interval-ms',
    env: ['GRAFLOW_HEARTBEAT_INTERVAL_MS'],
  },
  staleAfterMs: { ...CONNECT_OPTIONS.staleAfterMs, flag: 'stale-after-ms', env: ['GRAFLOW_STALE_AFTER_MS'] },
  deadAfterMs: { ...CONNECT_OPTIONS.deadAfterMs, flag: 'dead-after-ms', env: ['GRAFLOW_DEAD_AFTER_MS'] },
  cleanupIntervalMs: {
    ...CONNECT_OPTIONS.cleanupIntervalMs,
    flag: 'cleanup-interval-ms',
    env: ['GRAFLOW_CLEANUP_INTERVAL_MS'],
  },
  stuckAfterMs: {
    ...CONNECT_OPTIONS.stuckAfterMs,
    flag: 'stuck-after-ms',
    example: '3600000',
    env: ['GRAFLOW_STUCK_AFTER_MS'],
  },
  hostname: { ...CONNECT_OPTIONS.hostname, flag: 'hostname', example: 'node-7', env: ['GRAFLOW_HOSTNAME'] },
  gracefulShutdownTimeoutMs: {
    kind: 'integer',
    default: 30_000,
    unit: 'ms',
    min: 0,
    max: LONGEST_MS,
    flag: 'graceful-shutdown-timeout-ms',
    env: ['GRAFLOW_GRACEFUL_SHUTDOWN_TIMEOUT_MS'],
    help: 'How long work in flight may take to finish once the worker is told to stop; then it is released.',
  },
  moduleTimeoutMs: {
    kind: 'integer',
    default: 30_000,
    unit: 'ms',
    min: 1,
    max: LONGEST_MS,
    flag: 'module-timeout-ms',
    env: ['GRAFLOW_MODULE_TIMEOUT_MS'],
    help: 'How long a task module may take to load, as with a top-level await; then the worker does not start (TASK_MODULE).',
  },
  metricsPort: {
    kind: 'integer',
    min: 0,
    max: 65_535,
    flag: 'metrics-port',
    example: '9464',
    env: ['GRAFLOW_METRICS_PORT'],
    help: 'Port of /livez, /readyz, /healthz and /metrics; 0 takes a free one and says which.',
  },
  metricsHost: {
    kind: 'string',
    default: '0.0.0.0',
    pattern: /^[^\s/@]{1,255}$/,
    flag: 'metrics-host',
    env: ['GRAFLOW_METRICS_HOST'],
    help: 'Address that this port is bound to.',
  },
  logLevel: {
    kind: 'string',
    default: 'info',
    oneOf: ['debug', 'info', 'warn', 'error', 'silent'],
    flag: 'log-level',
    env: ['GRAFLOW_LOG_LEVEL', 'LOG_LEVEL'],
    help: 'What is logged, from this level up.',
  },
  logFormat: {
    kind: 'string',
    default: 'auto',
    oneOf: ['auto', 'json', 'text'],
    flag: 'log-format',
    env: ['GRAFLOW_LOG_FORMAT'],
    help: 'auto is text on a terminal, else JSON; in code the default is text.',
  },
  buildId: {
    ...CONNECT_OPTIONS.buildId,
    flag: 'build-id',
    example: '2026.11.2',
    env: ['GRAFLOW_BUILD_ID'],
    help: 'Names the release that this worker is: it also takes runs that are pinned to this build.',
  },
  metadata: {
    kind: 'list',
    flag: 'metadata',
    example: 'zone=eu-1',
    env: ['GRAFLOW_METADATA'],
    help: 'Pairs such as zone=eu-1, for people; in code an object will do, too.',
  },
} as const satisfies OptionTable)

/** `graflow exporter`, and `startExporter(options)`. */
export const EXPORTER_OPTIONS = Object.freeze({
  redisUrl: WORKER_OPTIONS.redisUrl,
  redisHost: WORKER_OPTIONS.redisHost,
  redisPort: WORKER_OPTIONS.redisPort,
  redisDb: WORKER_OPTIONS.redisDb,
  keyPrefix: WORKER_OPTIONS.keyPrefix,
  metricsPort: {
    ...WORKER_OPTIONS.metricsPort,
    default: 9464,
    help: 'Port of /metrics, /livez, /readyz, /healthz and /api/v1/autoscale; 0 takes a free one and says which.',
  },
  metricsHost: WORKER_OPTIONS.metricsHost,
  queues: {
    kind: 'list',
    default: [DEFAULT_QUEUE, RUNS_QUEUE],
    flag: 'queue',
    env: ['GRAFLOW_QUEUES', 'GRAFLOW_QUEUE'],
    help: 'Queues that have gauges even if they were never used.',
  },
  apiKey: {
    kind: 'string',
    pattern: /^[\x21-\x7e]{8,512}$/,
    form: { says: '8 to 512 visible ASCII characters', isSecret: true },
    flag: 'api-key',
    env: ['GRAFLOW_API_KEY'],
    help: 'What callers of /api/v1/autoscale must bring, as x-api-key or as a bearer token. GRAFLOW_API_KEY_FILE names a file that has it.',
  },
  logLevel: WORKER_OPTIONS.logLevel,
  logFormat: WORKER_OPTIONS.logFormat,
} as const satisfies OptionTable)

/** `graflow serve`, and `connect({ serve })`. */
export const SERVER_OPTIONS = Object.freeze({
  port: {
    kind: 'integer',
    default: 9100,
    min: 0,
    max: 65_535,
    flag: 'port',
    env: ['GRAFLOW_HTTP_PORT'],
    help: 'Port of the control plane and its dashboard; 0 takes a free one and says which.',
  },
  host: {
    kind: 'string',
    default: '127.0.0.1',
    pattern: /^[^\s/@]{1,255}$/,
    flag: 'host',
    env: ['GRAFLOW_HTTP_HOST'],
    help: 'Address that this port is bound to. Any but a loopback address needs a key, or insecure.',
  },
  basePath: {
    kind: 'string',
    pattern: /^\/[A-Za-z0-9_.~-]{1,64}(\/[A-Za-z0-9_.~-]{1,64}){0,7}$/,
    flag: 'base-path',
    env: ['GRAFLOW_BASE_PATH'],
    example: '/graflow',
    help: 'Path below which a proxy shows the control plane. Requests may come with it or without it.',
  },
  apiKeys: {
    kind: 'list',
    flag: 'api-key',
    env: ['GRAFLOW_API_KEY'],
    example: 'read:KEY',
    help: 'Who may call: keys of 8 to 512 visible ASCII characters without a comma, with read:, operate: or admin: before them (admin without), or objects { name, scope, sha256, prefix }. GRAFLOW_API_KEY_FILE names a file that has some.',
  },
  apiKeysFile: {
    kind: 'string',
    flag: 'api-keys-file',
    env: ['GRAFLOW_API_KEYS_FILE'],
    example: 'keys.json',
    help: 'A JSON file with a list of keys by their hashes, as graflow serve --new-key prints them.',
  },
  allowedHosts: {
    kind: 'list',
    flag: 'allowed-host',
    env: ['GRAFLOW_ALLOWED_HOSTS'],
    example: 'graflow.example.org',
    help: 'Names under which callers reach the control plane, beside localhost, IP addresses and host; * is any.',
  },
  insecure: {
    kind: 'boolean',
    default: false,
    help: 'Whether it may listen beyond loopback without a key, so that all who reach it may do all.',
  },
  maxBodyBytes: {
    kind: 'integer',
    default: 2 * MIB,
    unit: 'bytes',
    min: KIB,
    max: 1024 * MIB,
    flag: 'max-body-bytes',
    env: ['GRAFLOW_MAX_BODY_BYTES'],
    help: 'Bytes that the body of one request may have. While it reads a large one, the server answers nobody else.',
  },
  maxConnections: {
    kind: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    flag: 'max-connections',
    env: ['GRAFLOW_MAX_CONNECTIONS'],
    help: 'Connections at once; further ones are closed.',
  },
} as const satisfies OptionTable)

/** `new WorkerPool(options)` has this besides the options of a worker. */
export const POOL_OPTIONS = Object.freeze({
  workers: { kind: 'integer', default: 1, min: 0, max: 1_000, help: 'How many workers the pool starts with.' },
} as const satisfies OptionTable)

/** Lengths of time in the store, the same in every backend; tests set others. */
export const STORE_TIMES = Object.freeze({
  /** How long only the preferred worker may take a group with an affinity. */
  affinityMs: 2_000,
  /** How long past its deadline a grant stays with its holder, which is faster to report it. */
  deadlineGraceMs: 1_000,
  /** How long sessions that were notified are waited for with their share. */
  shareMs: 100,
  /** How long group payloads are kept after a run's end. */
  payloadRetentionMs: 600_000,
})
/** All of these lengths, as a store has them. */
export type StoreTimes = { readonly [K in keyof typeof STORE_TIMES]: number }

/**
 * How long a process that does not renew its session is thought to live. Its connection tells sooner, unless the process was stopped or
 * cut off.
 */
export const SESSION_TTL_MS = 3_000

type Widened<T> = T extends string ? string : T extends number ? number : T extends boolean ? boolean : T
/** The options of a table that have a default, with its type. */
export type Defaults<T extends OptionTable> = {
  readonly [K in keyof T as T[K] extends { readonly default: unknown } ? K : never]: T[K] extends {
    readonly default: infer V
  }
    ? Widened<V>
    : never
}

/** The defaults of a table, by option; options without one are absent. */
export function defaultsOf<const T extends OptionTable>(table: T): Defaults<T> {
  const pairs = Object.entries(table).flatMap(([name, spec]) =>
    spec.default === undefined ? [] : [[name, spec.default] as const],
  )
  return Object.freeze(Object.fromEntries(pairs)) as Defaults<T> // each pair is one of the type's
}

/** How help and docs write an option's default; `none` where there is none. */
export function defaultTextOf(spec: OptionSpec): string {
  return spec.defaultText ?? (spec.default === undefined ? 'none' : [spec.default].flat().join(', '))
}

/**
 * The options given, checked; absent and undefined ones are left out.
 * @param where begins the message, such as `connect`
 * @throws GraflowError INVALID_OPTION
 */
export function checkOptions<T extends object>(where: string, table: OptionTable, given: T | undefined): Partial<T> {
  return given === undefined ? {} : lookingAt(where, 'INVALID_OPTION', () => checkGiven(where, table, given))
}

function checkGiven<T extends object>(where: string, table: OptionTable, given: T): Partial<T> {
  const untyped: unknown = given
  if (typeof untyped !== 'object' || untyped === null || Array.isArray(untyped)) {
    throw new GraflowError(
      'INVALID_OPTION',
      `${where}: options are an object such as { ${Object.keys(table)[0] ?? ''}: … }, got ${describe(given)}`,
    )
  }
  const kept: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(given)) {
    const spec = Object.hasOwn(table, key) ? table[key] : undefined
    if (spec === undefined)
      throw invalid(
        where,
        mayHoldPassword(key) ? UNSHOWN : key,
        `there is no such option${didYouMean(key, Object.keys(table))}; the options are ${Object.keys(table).join(', ')}`,
      )
    if (value === undefined) continue
    const fault = faultOf(spec, value)
    if (fault !== undefined) throw invalid(where, key, fault)
    kept[key] = value
  }
  return kept as Partial<T> // the table has the types that the interface declares: each value was checked against it
}

const invalid = (where: string, option: string, fault: string): GraflowError =>
  new GraflowError('INVALID_OPTION', `${where}: ${option}: ${fault}`, { details: { option } })

/** What is wrong with a value; undefined when nothing is. */
export function faultOf(spec: OptionSpec, value: unknown): string | undefined {
  switch (spec.kind) {
    case 'integer': {
      const max = spec.max ?? Number.MAX_SAFE_INTEGER
      if (Number.isSafeInteger(value) && (value as number) >= (spec.min ?? 0) && (value as number) <= max)
        return undefined
      const range = spec.max === undefined ? `of at least ${spec.min ?? 0}` : `from ${spec.min ?? 0} to ${max}`
      return `expected an integer ${range}${spec.unit === undefined ? '' : ` (${spec.unit})`}, got ${describe(value)}`
    }
    case 'string':
      if (typeof value !== 'string') return `expected a string, got ${describe(value)}`
      if (spec.oneOf !== undefined && !spec.oneOf.includes(value))
        return `expected one of ${spec.oneOf.join(', ')}, got ${describe(value)}`
      if (spec.pattern?.test(value) === false)
        return spec.form === undefined
          ? `expected a text that matches ${String(spec.pattern)}, got ${describe(value)}`
          : `expected ${spec.form.says}, got ${spec.form.isSecret ? 'another text (not shown: it may hold a password)' : describe(value)}`
      return undefined
    case 'list':
      return Array.isArray(value) ? undefined : `expected an array, got ${describe(value)}`
    case 'boolean':
    case 'function':
      return typeof value === spec.kind ? undefined : `expected a ${spec.kind}, got ${describe(value)}`
    case 'object': {
      const { what = 'an object', methods = [] } = spec.like ?? {}
      const fits =
        typeof value === 'object' &&
        value !== null &&
        methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function')
      return fits ? undefined : `expected ${what}, got ${describe(value)}`
    }
    default:
      return spec.kind satisfies never
  }
}
