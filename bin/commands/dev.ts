/**
 * `graflow dev`: a Redis, workers and a first run from one command, and all anew when a task module changes. Modules cannot be unloaded, so
 * a change starts new processes: old ones finish what they have, new ones take what comes.
 */
import { dirname, resolve } from 'node:path'
import { GraflowError } from '../../lib/errors.js'
import { WORKER_OPTIONS } from '../../lib/options.js'
import { addressOf, type WorkerOptions } from '../../worker/worker-options.js'
import { type Dashboard, openInBrowser, serveDashboard } from '../dev/dashboard.js'
import { DevChild } from '../dev/child.js'
import { findServer, HOW_TO_INSTALL, type PrivateRedis, startPrivateRedis } from '../dev/private-redis.js'
import { watchModules } from '../dev/watch.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Host, Run } from '../host.js'
import { pathsOf } from '../modules.js'
import { painter } from '../output.js'
import type { Given } from '../settings.js'
import { DEV_OPTIONS } from './options.js'

interface DevSettings extends WorkerOptions {
  readonly workers?: number
  readonly run?: string
  readonly input?: string
  readonly port?: number
}

/** In-flight work of a worker that is replaced may take so long. */
const RELOAD_GRACE_MS = '2000'
const RESTART_MS = 1_000
/** Lines of workers about starting and stopping, which are not shown here. */
const LIFE = / info +worker \S+ (?:is ready|is draining|has stopped)| info +\S+ leads now/

export const devCommand: Run = async (given, host) => {
  const paths = pathsOf(given)
  const options = given.options as DevSettings // the table has these
  const store = await storeOf(given, host)
  const session = new DevSession(paths, options, store.url, host)
  let dashboard: Dashboard | undefined
  try {
    host.out.write(`${store.says}\n`)
    if (store.url === undefined && options.run === undefined) {
      throw new GraflowError(
        'INVALID_OPTION',
        'without Redis no other process can reach the tasks, so there is nothing to do: name a flow with --run',
      )
    }
    if (store.url !== undefined) {
      dashboard = await serveDashboard(store.url, options.keyPrefix, options.port)
      host.out.write(`dashboard: ${dashboard.url}${dashboard.says}\n`)
      if (given.switches.has('open')) openInBrowser(dashboard.url)
    }
    await session.untilEnded()
    return EXIT_CODES.done.code
  } finally {
    await session.stop()
    await dashboard?.close()
    await store.redis?.stop()
  }
}

interface Store {
  /** Undefined: embedded. */
  readonly url: string | undefined
  readonly redis: PrivateRedis | undefined
  /** One line: which store it is, and how to get another. */
  readonly says: string
}

/** The Redis that is named, else a private one, else this process. */
async function storeOf({ options, sources, switches }: Given, host: Host): Promise<Store> {
  if (switches.has('embedded'))
    return { url: undefined, redis: undefined, says: 'embedded: each run stays in one process (--embedded)' }
  const from = sources['redisUrl'] ?? sources['redisHost'] ?? sources['redisPort'] ?? sources['redisDb']
  if (from !== undefined) return { url: addressOf(options), redis: undefined, says: `Redis: the address of ${from}` }
  const server = findServer(host.env['PATH'] ?? '')
  if (server === undefined) {
    const says = `embedded: each run stays in one process, since no redis-server is on PATH (${HOW_TO_INSTALL})`
    return { url: undefined, redis: undefined, says }
  }
  const redis = await startPrivateRedis(server)
  const says = `Redis: a private ${server.name} ${server.version} at ${redis.url} (it ends with this command; --redis-url takes another)`
  return { url: redis.url, redis, says }
}

/** The processes of one generation of the modules. */
interface Generation {
  readonly number: number
  readonly children: Set<DevChild>
  isOver: boolean
}

class DevSession {
  readonly #paths: readonly string[]
  readonly #options: DevSettings
  readonly #url: string | undefined
  readonly #host: Host
  /** Old generations that still finish what they have. */
  readonly #stopping = new Set<Promise<unknown>>()
  #generation: Generation = { number: 0, children: new Set(), isOver: true }

  constructor(paths: readonly string[], options: DevSettings, url: string | undefined, host: Host) {
    this.#paths = paths
    this.#options = options
    this.#url = url
    this.#host = host
  }

  /** Runs until the command is told to end. */
  async untilEnded(): Promise<void> {
    const { signal, folder, out } = this.#host
    const ended = new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    const roots = new Set(this.#paths.map((path) => dirname(resolve(folder, path))))
    const watch = watchModules([...roots], (name) => {
      out.write(`${name} changed\n`)
      this.#renew()
    })
    try {
      this.#renew()
      await ended
      out.write('ending\n')
    } finally {
      watch.close()
    }
  }

  /** Ends all processes; resolves when they are gone. */
  async stop(): Promise<void> {
    this.#retire(this.#generation)
    await Promise.all(this.#stopping)
  }

  /** Old processes take nothing new from now on; new ones load the modules as they are now. */
  #renew(): void {
    this.#retire(this.#generation)
    const generation: Generation = { number: this.#generation.number + 1, children: new Set(), isOver: false }
    this.#generation = generation
    void this.#begin(generation)
  }

  #retire(generation: Generation): void {
    generation.isOver = true
    for (const child of generation.children) {
      const stopping = child.stop().finally(() => this.#stopping.delete(stopping))
      this.#stopping.add(stopping)
    }
  }

  async #begin(generation: Generation): Promise<void> {
    const { workers = DEV_OPTIONS.workers.default, run } = this.#options
    if (this.#url !== undefined) {
      const ids = Array.from({ length: workers }, (_, i) => `dev-${i + 1}.${generation.number}`)
      const ready = await Promise.all(ids.map((id, i) => this.#worker(generation, id, i === 0)))
      if (generation.isOver) return
      if (!ready.every(Boolean)) {
        this.#say('waiting for a change')
        return
      }
      this.#say(
        `${workers === 1 ? '1 worker is' : `${workers} workers are`} ready; a change of a module starts new ones; Ctrl-C ends`,
      )
    }
    if (run !== undefined) await this.#run(generation, run)
  }

  /** @param isShown whether what it says before it is ready is shown: they all say the same @returns whether it became ready */
  async #worker(generation: Generation, id: string, isShown: boolean): Promise<boolean> {
    let isReady = false
    const child = this.#start(generation, 'graflow-worker', [...this.#workerFlags(), '--worker-id', id], (line) => {
      if ((isShown || isReady) && !LIFE.test(line)) this.#say(`${id} | ${line}`)
    })
    isReady = await child.ready
    if (isReady) void child.ended.then((how) => this.#ended(generation, id, how))
    return isReady
  }

  /** A worker that ends unasked is started again. */
  #ended(generation: Generation, id: string, how: number | string): void {
    if (generation.isOver) return
    this.#say(`${id} ended with ${how}: it is started again`)
    setTimeout(() => {
      if (!generation.isOver) void this.#worker(generation, id, true)
    }, RESTART_MS).unref()
  }

  async #run(generation: Generation, name: string): Promise<void> {
    const { input, keyPrefix } = this.#options
    const args = [
      ...['run', ...this.#paths, '--workflow', name, '--progress', 'lines'],
      ...(input === undefined ? [] : ['--input', input]),
      ...(this.#url === undefined ? ['--embedded'] : []),
      ...(keyPrefix === undefined ? [] : ['--redis-key-prefix', keyPrefix]),
    ]
    const paint = painter(this.#host.out, this.#host.env)
    const child = this.#start(generation, 'graflow', args, (line) => {
      if (!generation.isOver) this.#say(`${paint('bold', 'run')} | ${line}`)
    })
    const how = await child.ended
    if (!generation.isOver)
      this.#say(how === 0 ? 'waiting for a change' : `the run ended with exit code ${how}; waiting for a change`)
  }

  #start(generation: Generation, program: string, args: readonly string[], onLine: (line: string) => void): DevChild {
    const { env, folder } = this.#host
    // not as a flag: an address may hold a password, and all users of the machine see the flags of a process
    const store = this.#url === undefined ? {} : { GRAFLOW_REDIS_URL: this.#url }
    const child = new DevChild({ program, args, folder, onLine, env: { ...env, ...store } })
    generation.children.add(child)
    void child.ended.then(() => generation.children.delete(child))
    return child
  }

  /** What was set, for a worker; how it finds the store it is told otherwise. */
  #workerFlags(): readonly string[] {
    const others = ['redisUrl', 'redisHost', 'redisPort', 'redisDb', 'workerId', 'tasks', 'metricsPort', 'logFormat']
    const options = this.#options as Readonly<Record<string, unknown>>
    const flags = Object.entries(WORKER_OPTIONS).flatMap(([option, { flag }]) => {
      const value = options[option]
      if (value === undefined || others.includes(option)) return []
      return (Array.isArray(value) ? value : [value]).map((item: unknown) => `--${flag}=${String(item)}`)
    })
    const { gracefulShutdownTimeoutMs, metricsPort } = this.#options
    return [
      ...this.#paths.map((path) => `--tasks=${path}`),
      ...flags,
      ...(gracefulShutdownTimeoutMs === undefined ? ['--graceful-shutdown-timeout-ms', RELOAD_GRACE_MS] : []),
      ...(metricsPort === undefined ? [] : ['--metrics-port', '0']), // they would share the port
      ...['--log-format', 'text'],
    ]
  }

  #say(line: string): void {
    this.#host.out.write(`${line}\n`)
  }
}
