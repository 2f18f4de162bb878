/** What the commands of `graflow` take beside the worker's connection: one table for each, in the form of lib/options.ts. */
import { EXPORTER_OPTIONS, type OptionTable, RUN_OPTIONS, SERVER_OPTIONS, WORKER_OPTIONS } from '../../lib/options.js'

/** Other names of flags of the worker, with the options that they mean. */
export const WORKER_ALIASES = Object.freeze({
  'key-prefix': 'keyPrefix',
  'redis-key-prefix': 'keyPrefix',
  queue: 'queues',
  capability: 'capabilities',
  limit: 'limits',
})

const { redisUrl, redisHost, redisPort, redisDb, keyPrefix, tasks, limits, logLevel, buildId } = WORKER_OPTIONS

/** How every command finds the store: as a worker does. Those that take no more have this table. */
export const CONNECTION_OPTIONS = Object.freeze({
  ...{ redisUrl, redisHost, redisPort, redisDb, keyPrefix },
}) satisfies OptionTable

const MODULES = { ...tasks, help: 'Modules that export the flow, beside those that are named without a flag.' } as const

const workflow = {
  kind: 'string',
  flag: 'workflow',
  example: 'report',
  help: 'Which flow of the modules: the name of a workflow, a task or an export. Needed where there are several.',
} as const

const input = {
  kind: 'string',
  flag: 'input',
  example: '\'{ "id": 42 }\'',
  help: 'The input as JSON; @FILE reads it from a file, - from standard input. Without it the flow gets no input.',
} as const

const progress = {
  kind: 'string',
  default: 'auto',
  oneOf: ['auto', 'live', 'lines', 'none'],
  flag: 'progress',
  env: ['GRAFLOW_PROGRESS'],
  help: 'How progress is shown on standard error: auto is live on a terminal, else lines.',
} as const

/** `graflow run` and `graflow submit`. */
export const RUN_COMMAND_OPTIONS = Object.freeze({
  ...CONNECTION_OPTIONS,
  ...{ tasks: MODULES, workflow, input },
  id: { ...RUN_OPTIONS.id, flag: 'id', example: 'user:42' },
  idempotencyKey: { ...RUN_OPTIONS.idempotencyKey, flag: 'idempotency-key', example: 'order-7' },
  timeoutMs: { ...RUN_OPTIONS.timeoutMs, flag: 'timeout-ms', example: '60000' },
  tags: { ...RUN_OPTIONS.tags, flag: 'tag', example: 'nightly' },
  priority: { ...RUN_OPTIONS.priority, flag: 'priority', example: '10' },
  queue: { ...RUN_OPTIONS.queue, flag: 'queue', example: 'nightly' },
  buildId: { ...buildId, help: 'Names the release that starts the run.' },
  pin: {
    ...RUN_OPTIONS.pin,
    flag: 'pin',
    example: 'true',
    help: 'Whether only workers with that build id do work of the run: true or false.',
  },
  ...{ progress, limits, logLevel },
} as const) satisfies OptionTable

/** `graflow graph`. */
export const GRAPH_OPTIONS = Object.freeze({
  ...CONNECTION_OPTIONS,
  ...{ tasks: MODULES, workflow },
  format: {
    kind: 'string',
    default: 'text',
    oneOf: ['text', 'mermaid', 'svg'],
    flag: 'format',
    help: 'text is the flow as it can be written; mermaid and svg are drawings.',
  },
  out: { kind: 'string', flag: 'out', example: 'flow.svg', help: 'The file to write; standard output without it.' },
} as const) satisfies OptionTable

/** `graflow serve`. */
export const SERVE_OPTIONS = Object.freeze({
  ...CONNECTION_OPTIONS,
  ...SERVER_OPTIONS,
  newKey: {
    kind: 'string',
    oneOf: ['read', 'operate', 'admin'],
    flag: 'new-key',
    help: 'Starts nothing: prints a new key with this scope, and its line for the file of keys.',
  },
  ...{ logLevel, logFormat: EXPORTER_OPTIONS.logFormat },
} as const) satisfies OptionTable

/** `graflow dev`. */
export const DEV_OPTIONS = Object.freeze({
  ...WORKER_OPTIONS,
  workers: {
    kind: 'integer',
    default: 2,
    min: 1,
    max: 64,
    flag: 'workers',
    env: ['GRAFLOW_DEV_WORKERS'],
    help: 'Worker processes.',
  },
  run: {
    kind: 'string',
    flag: 'run',
    example: 'hello',
    env: ['GRAFLOW_DEV_RUN'],
    help: 'The flow to run at the start and after each change: the name of a workflow, a task or an export.',
  },
  input: { ...input, help: 'The input of that flow, as JSON or @FILE.' },
  port: { ...SERVER_OPTIONS.port, help: 'Port of the dashboard; where the usual one is taken, a free one.' },
} as const) satisfies OptionTable

/** `graflow config`: what a worker takes, and what stands beside it. */
export const CONFIG_OPTIONS = Object.freeze({
  ...WORKER_OPTIONS,
  apiKey: EXPORTER_OPTIONS.apiKey,
  ...{ workers: DEV_OPTIONS.workers, run: DEV_OPTIONS.run, input: DEV_OPTIONS.input },
} as const) satisfies OptionTable

/** Of those, the options that other commands read in their own sections. */
export const CONFIG_BORROWED = Object.freeze({
  exporter: { apiKey: CONFIG_OPTIONS.apiKey },
  dev: { workers: CONFIG_OPTIONS.workers, run: CONFIG_OPTIONS.run, input: CONFIG_OPTIONS.input },
})

/** What a file that all commands share may have at its top, and the sections of commands in it. */
export const SHARED_FILE = Object.freeze({
  table: Object.freeze({
    ...EXPORTER_OPTIONS,
    ...SERVE_OPTIONS,
    ...GRAPH_OPTIONS,
    ...RUN_COMMAND_OPTIONS,
    ...DEV_OPTIONS,
  }),
  sections: Object.freeze([
    'worker',
    'run',
    'submit',
    'graph',
    'exporter',
    'serve',
    'doctor',
    'config',
    'init',
    'dev',
    'completion',
    ...['runs', 'waits', 'signal', 'workers', 'queues', 'dead', 'builds', 'report', 'top'],
  ]),
})
