/**
 * Starts a private Redis and worker processes for an example, on a unix socket in a temporary folder. They end with the process that
 * started them, even when it is killed with SIGKILL: each child has a shell that waits for the end of its standard input and then ends the
 * child. That input ends at `stop`, and when this process ends.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** A redis-server or a valkey-server, found on PATH. */
export interface ServerProgram {
  readonly name: string
  readonly path: string
  readonly version: string
}

export interface ClusterOptions {
  readonly server: ServerProgram
  /** Absolute path of the module whose tasks the workers run. */
  readonly tasks: string
  /** Number of worker processes. */
  readonly workers: number
  /** Branches that a worker runs at once. */
  readonly maxConcurrentTasks: number
  /** Threads of a worker for tasks that want one. */
  readonly threads?: number | undefined
  /** Aborts the start with its reason. Processes that were started by then are stopped. */
  readonly signal: AbortSignal
}

const OLDEST_MAJOR = 7
const START_MS = 20_000
const POLL_MS = 20
/** The time that a child has to end by itself. */
const GRACE_MS = 5_000
const WORKER_GRACE_MS = 1_000

/** How to install a server, for people. */
export const HOW_TO_INSTALL = 'Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis'

/** The first usable server on PATH; undefined when there is none. */
export function findServer(path = process.env['PATH'] ?? ''): ServerProgram | undefined {
  for (const folder of path.split(delimiter)) {
    for (const name of ['redis-server', 'valkey-server']) {
      const file = join(folder, name)
      if (!isExecutable(file)) continue
      const { stdout, error } = spawnSync(file, ['--version'], { encoding: 'utf8' })
      const version = error === undefined ? /v=(\d+)\.\S+/.exec(stdout) : null
      if (version === null || Number(version[1]) < OLDEST_MAJOR) continue
      return { name, path: file, version: version[0].slice(2) }
    }
  }
  return undefined
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** A running server with workers that are ready. `stop` it, or hold it with `await using`. */
export class LocalCluster implements AsyncDisposable {
  readonly server: ServerProgram
  readonly workers: number
  readonly keyPrefix = 'example'
  /** `unix://…`, for `connect`. */
  readonly url: string
  /** In their start order. */
  readonly #children: Child[] = []
  readonly #folder: string

  private constructor({ server, workers }: ClusterOptions) {
    this.#folder = mkdtempSync(join(tmpdir(), 'graflow-example-'))
    this.server = server
    this.workers = workers
    this.url = `unix://${this.#socket}`
  }

  get #socket(): string {
    return join(this.#folder, 'redis.sock')
  }

  /**
   * Resolves when the server and all workers are ready.
   * @throws Error when one of them ends instead, or the signal's reason. All processes are stopped then
   */
  static async start(options: ClusterOptions): Promise<LocalCluster> {
    const cluster = new LocalCluster(options)
    try {
      await cluster.#startServer(options)
      await Promise.all(Array.from({ length: options.workers }, (_, i) => cluster.#startWorker(options, i + 1)))
      options.signal.throwIfAborted()
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  /** Stops the workers, then the server, and removes the folder. Repeating it is safe. */
  async stop(): Promise<void> {
    const [server, ...workers] = this.#children
    await Promise.all(workers.map((worker) => worker.stop()))
    await server?.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #startServer({ server, signal }: ClusterOptions): Promise<void> {
    signal.throwIfAborted()
    const options = { port: '0', unixsocket: this.#socket, dir: this.#folder, save: '', appendonly: 'no' }
    const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
    const child = new Child(server.name, [server.path, ...words], this.#folder)
    this.#children.push(child)
    await child.until(child.said(/ready to accept connections/i), signal)
  }

  async #startWorker({ tasks, maxConcurrentTasks, threads, signal }: ClusterOptions, number: number): Promise<void> {
    signal.throwIfAborted()
    const port = await freePort()
    const flags = {
      tasks,
      'redis-url': this.url,
      'redis-key-prefix': this.keyPrefix,
      'worker-id': `worker-${number}`,
      'max-concurrent-tasks': String(maxConcurrentTasks),
      ...(threads !== undefined && { threads: String(threads) }),
      'graceful-shutdown-timeout-ms': String(WORKER_GRACE_MS),
      'metrics-host': '127.0.0.1',
      'metrics-port': String(port),
      'log-level': 'warn',
    }
    const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
    const child = new Child(`worker-${number}`, [process.execPath, workerProgram(), ...words])
    child.mute()
    this.#children.push(child)
    await child.until(answers(`http://127.0.0.1:${port}/readyz`, child), signal)
  }
}

/** The command `graflow-worker`, as the package names it. */
function workerProgram(): string {
  const manifest = fileURLToPath(import.meta.resolve('graflow/package.json'))
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: { readonly 'graflow-worker': string } }
  return join(dirname(manifest), bin['graflow-worker'])
}

const KEEPER = `
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- & child=$!
(read -r _ <&3; kill "$child" 2>/dev/null) & watcher=$!
wait "$child" 2>/dev/null; status=$?
kill "$watcher" 2>/dev/null
if [ -n "$folder" ]; then rm -rf "$folder"; fi
exit "$status"
`

/** One child and its shell. */
class Child {
  readonly #name: string
  readonly #process: ChildProcess
  readonly #ended: Promise<never>

  /** @param folder removed when the child has ended */
  constructor(name: string, command: readonly string[], folder = '') {
    this.#name = name
    this.#process = spawn('sh', ['-c', KEEPER, 'sh', folder, ...command], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true, // Ctrl-C reaches only this process, which then stops the others in order
    })
    this.#ended = once(this.#process, 'exit').then(([code]) => {
      throw new Error(`${name} ended with exit code ${String(code)} before it was ready`)
    })
    this.#ended.catch(() => undefined) // the callers that wait for it get the error
  }

  /** Drops its output. */
  mute(): void {
    this.#process.stdout?.resume()
  }

  get isGone(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null
  }

  /** Resolves when it prints a matching line. */
  async said(line: RegExp): Promise<void> {
    const { stdout } = this.#process
    if (stdout === null) throw new Error('expected a pipe from the child')
    for await (const said of createInterface({ input: stdout })) {
      if (!line.test(said)) continue
      stdout.resume() // drops further output
      return
    }
    throw new Error(`${this.#name} ended without a word`)
  }

  /** Resolves with `ready`. Rejects when the child ends first, when it takes too long, or with the signal's reason. */
  async until(ready: Promise<void>, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const over = new AbortController()
    const late = sleep(START_MS, undefined, { signal: over.signal }).then(() => {
      throw new Error(`${this.#name} was not ready after ${START_MS / 1_000} s`)
    })
    const aborted = once(signal, 'abort', { signal: over.signal }).then(() => signal.throwIfAborted())
    for (const promise of [ready, late, aborted]) promise.catch(() => undefined)
    try {
      await Promise.race([ready, this.#ended, late, aborted])
    } finally {
      over.abort()
    }
  }

  async stop(): Promise<void> {
    if (this.isGone) return
    const ended = once(this.#process, 'exit')
    this.#process.stdin?.end()
    const killed = setTimeout(() => {
      // The whole process group: the shell, and the child that did not end.
      if (this.#process.pid !== undefined) process.kill(-this.#process.pid, 'SIGKILL')
    }, GRACE_MS)
    await ended
    clearTimeout(killed)
  }
}

/** Resolves when the address answers with success. Stops when the child has ended. */
async function answers(url: string, child: Child): Promise<void> {
  while (!child.isGone) {
    const isReady = await fetch(url).then(
      ({ ok }) => ok,
      () => false, // it does not listen yet
    )
    if (isReady) return
    await sleep(POLL_MS)
  }
  throw new Error(`nobody answers at ${url}`)
}

/** A port of this machine that is free at the moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('expected a port')
  return address.port
}
