/**
 * The exporter: a process that runs nothing and shows what the store has, so that something counts while there is no worker. It looks as an
 * observer, whose sweeps also put right what lost workers left behind.
 */
import { openStore } from '../lib/connect.js'
import { messageOf } from '../lib/describe.js'
import { Emitter } from '../lib/events.js'
import type { LogFormat, LogLevel } from '../lib/observe/log-lines.js'
import {
  checkOptions,
  CONNECT_OPTIONS,
  DEFAULT_LIMITS,
  defaultsOf,
  EXPORTER_OPTIONS,
  WORKER_OPTIONS,
} from '../lib/options.js'
import { openSession, type Session } from '../lib/session/open-session.js'
import { systemClock, systemId, systemRandom, type Clock, type Random } from '../lib/time.js'
import { AUTOSCALE_PATH, autoscaleRoute } from '../lib/server/autoscale.js'
import { serveHealth, type HealthServer } from './health-server.js'
import { waitCounts } from '../lib/admin/wait-counts.js'
import { soon, storeSources } from '../lib/server/store-sources.js'
import { addressOf } from './worker-options.js'
import { writeToStandardError } from './standard-error.js'
import type { WorkerHost } from './worker.js'

/** All are optional; docs/options.md has defaults and ranges. */
export interface ExporterOptions {
  /** Where Redis is: redis://, rediss:// (TLS) or unix://. Default: redis://localhost:6379. */
  readonly redisUrl?: string
  /** Host of Redis, where no redisUrl is given. Default: localhost. */
  readonly redisHost?: string
  /** Port of Redis, where no redisUrl is given: 1 to 65535. Default: 6379. */
  readonly redisPort?: number
  /** Database number of Redis, where no redisUrl is given. Default: 0. */
  readonly redisDb?: number
  /** Whose queues it shows: producers and workers with the same prefix. Default: graflow. */
  readonly keyPrefix?: string
  /** Port that it listens on: 0 to 65535; 0 takes a free one. Default: 9464. */
  readonly metricsPort?: number
  /** Address that this port is bound to. Default: 0.0.0.0. */
  readonly metricsHost?: string
  /** Queues that have gauges even if they were never used. Default: default and runs. */
  readonly queues?: readonly string[]
  /** What callers of /api/v1/autoscale must bring, as x-api-key or bearer token: 8 to 512 characters. Default: none, all may call. */
  readonly apiKey?: string
  /** What is logged, from this level up. Default: info. */
  readonly logLevel?: LogLevel
  /** How lines are written; `auto` is text on a terminal, else JSON. Default: auto for the command, text in code. */
  readonly logFormat?: LogFormat | 'auto'
  /** For tests: where time comes from (`manualClock` of graflow/testing). Default: the system’s. */
  readonly clock?: Clock
  /** For tests: where chance comes from (`seededRandom` of graflow/testing). Default: the system’s. */
  readonly random?: Random
}

/** An exporter that listens; `close` it. */
export interface Exporter {
  /** The port that it listens on. */
  readonly port: number
  /** Stops listening and leaves the store. Repeating it is safe. */
  close(): Promise<void>
}

const DEFAULTS = defaultsOf(EXPORTER_OPTIONS)
const HEARTBEAT_MS = WORKER_OPTIONS.heartbeatIntervalMs.default
const TABLE = { ...EXPORTER_OPTIONS, ...{ clock: CONNECT_OPTIONS.clock, random: CONNECT_OPTIONS.random } } as const

/**
 * Connects, and serves `/metrics`, `/livez`, `/readyz`, `/healthz` and `/api/v1/autoscale?queue=NAME` from then on.
 * @param host for a command: where log lines go, and how a store is opened
 * @throws GraflowError INVALID_OPTION, also for a port in use; REDIS_UNAVAILABLE within 5 s, REDIS_UNSUITABLE
 */
export async function startExporter(
  options: ExporterOptions = {},
  host: Partial<Pick<WorkerHost, 'openStore' | 'writeLog'>> = {},
): Promise<Exporter> {
  const given = checkOptions<ExporterOptions>('exporter', TABLE, options)
  const { keyPrefix, metricsPort, metricsHost, queues } = DEFAULTS
  const checked = { keyPrefix, metricsPort, metricsHost, queues, ...given }
  const { clock = systemClock, logLevel = 'info', logFormat } = checked
  const emitter = new Emitter(() => clock.now())
  const instanceId = `exporter-${systemId().slice(0, 8)}`
  const ends: (() => Promise<void> | void)[] = []
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end()
  }
  ends.push((host.writeLog ?? writeToStandardError({ exporter: instanceId }))(emitter, logLevel, logFormat))
  try {
    const session = await openObserver(checked, emitter, instanceId, host.openStore ?? openStore)
    ends.push(() => session.close('stopped'))
    const server = await serve(checked, session, clock, ends)
    const { port } = server
    const message = `exporter ${instanceId} shows ${checked.keyPrefix} on http://${checked.metricsHost}:${port}`
    emitter.emit('log', { level: 'info', message })
    return { port, close }
  } catch (error) {
    await close()
    throw error
  }
}

type Checked = ExporterOptions & Required<Pick<ExporterOptions, 'keyPrefix' | 'metricsPort' | 'metricsHost' | 'queues'>>

async function openObserver(
  options: Checked,
  emitter: Emitter,
  baseId: string,
  open: WorkerHost['openStore'],
): Promise<Session> {
  const { keyPrefix, clock = systemClock, random = systemRandom } = options
  return openSession({
    ...{ clock, random, emitter, newId: systemId, limits: DEFAULT_LIMITS },
    store: await open(addressOf(options), { keyPrefix, clock, random }),
    info: { baseId, role: 'observer', queues: [], capabilities: [], tasks: [], metadata: {} },
    heartbeat: { intervalMs: HEARTBEAT_MS, state: () => 'ready' },
    storeFlags: keyPrefix === DEFAULTS.keyPrefix ? [] : ['--redis-key-prefix', keyPrefix],
  })
}

async function serve(
  { keyPrefix, queues, apiKey, metricsHost, metricsPort }: Checked,
  session: Session,
  clock: Clock,
  ends: (() => Promise<void> | void)[],
): Promise<HealthServer> {
  const { Metrics } = await import('../lib/observe/metrics.js')
  const store = storeSources(
    keyPrefix,
    queues,
    (question) => soon(clock, question(session.store)),
    (message) => session.emitter.emit('log', { level: 'warn', message }),
    waitCounts({ backend: session.store, engine: session.engine }),
  )
  const metrics = new Metrics({ store })
  ends.push(() => metrics.close())
  const server = await serveHealth(metricsHost, metricsPort, {
    ...{ program: 'exporter', name: { exporter: session.baseId }, contentType: metrics.contentType },
    metrics: () => metrics.text(),
    state: () => (session.state === 'registered' ? 'ready' : 'registering'),
    unreadiness: async () => {
      if (session.state !== 'registered') return 'the store took the exporter for dead; it registers again'
      try {
        await soon(clock, session.store.ping())
        return undefined
      } catch (error) {
        return `the store does not answer: ${messageOf(error)}`
      }
    },
    others: new Map([[AUTOSCALE_PATH, autoscaleRoute(store, apiKey)]]),
  })
  ends.push(() => server.close())
  return server
}
