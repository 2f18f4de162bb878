/**
 * Processes of a test: workers, producers and anything else that is to be killed, stopped and waited for by real signals. They end with
 * the test's file at the latest, also when the test's own process is killed: a shell that knows their pids waits for the end of its
 * input and then kills what is left.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compiled } from './compiled.js'
import { freeze } from './freeze.js'
import { inRelease } from './old-release.js'
import { within } from './waits.js'

export interface ChildOptions {
  /** For messages. */
  readonly name: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** process.execPath unless told otherwise. */
  readonly command?: string
  readonly cwd?: string
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** By performance.now() of this process. */
  readonly at: number
}

const project = fileURLToPath(new URL('../..', import.meta.url))
const READY_MS = 15_000
const SHOWN_CHARS = 4_000

/** Pids come as `+ 12` and go as `- 12`. */
const REAPER = `
pids=' '
while read -r sign pid; do
  rest=' '
  for p in $pids; do [ "$p" = "$pid" ] || rest="$rest$p "; done
  pids=$rest
  [ "$sign" = + ] && pids="$pids$pid "
done
for p in $pids; do kill -9 "$p" 2>/dev/null; done
`
let reaper: ChildProcess | undefined

function tellReaper(line: string): void {
  reaper ??= spawn('sh', ['-c', REAPER], { stdio: ['pipe', 'ignore', 'inherit'], detached: true })
  reaper.stdin?.write(`${line}\n`)
}

/** A process that was started by a test. */
export class Child {
  readonly name: string
  /** How it ended. */
  readonly exited: Promise<Exit>
  /** As `exited`, once all that it printed is here, too. */
  readonly closed: Promise<Exit>
  readonly #process: ChildProcess
  #output = ''
  readonly #printed = { stdout: '', stderr: '' }
  #exit: Exit | undefined
  readonly #onOutput = new Set<() => void>()

  constructor({ name, args, env = {}, command = process.execPath, cwd = project }: ChildOptions) {
    this.name = name
    this.#process = spawn(command, args, {
      cwd,
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (this.#process.pid !== undefined) tellReaper(`+ ${this.#process.pid}`)
    for (const name of ['stdout', 'stderr'] as const) {
      this.#process[name]?.setEncoding('utf8').on('data', (chunk: string) => {
        this.#output += chunk
        this.#printed[name] += chunk
        for (const check of this.#onOutput) check()
      })
    }
    this.exited = new Promise((resolve, reject) => {
      this.#process.on('error', reject)
      this.#process.on('exit', (code, signal) => {
        this.#exit = { code, signal, at: performance.now() }
        tellReaper(`- ${this.pid}`)
        resolve(this.#exit)
      })
    })
    this.exited.catch(() => undefined)
    // its pipes close a moment after its end, with what it said last
    this.closed = new Promise((resolve) => {
      this.#process.on('close', () => {
        for (const check of this.#onOutput) check()
        resolve(this.exited)
      })
    })
    this.closed.catch(() => undefined)
    children.push(this)
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** What it printed so far, on both outputs. */
  get output(): string {
    return this.#output
  }

  get stdout(): string {
    return this.#printed.stdout
  }

  get stderr(): string {
    return this.#printed.stderr
  }

  get isRunning(): boolean {
    return this.#exit === undefined && this.#process.pid !== undefined
  }

  /** Calls the listener whenever it has printed something. */
  onOutput(listener: () => void): void {
    this.#onOutput.add(listener)
  }

  /** Resolves when its output matches; rejects with the output when it ends or takes too long before. */
  async said(pattern: RegExp, withinMs = READY_MS): Promise<RegExpExecArray> {
    const what = (): string => `${this.name} to say ${String(pattern)}; it said:\n${this.#shown()}`
    let check = (): void => undefined
    const said = new Promise<RegExpExecArray>((resolve, reject) => {
      check = () => {
        const found = pattern.exec(this.#output)
        if (found !== null) resolve(found)
        else if (!this.isRunning)
          reject(new Error(`it ended (${JSON.stringify(this.#exit)}), expected before that: ${what()}`))
      }
    })
    this.#onOutput.add(check)
    check()
    try {
      return await within(withinMs, said, what)
    } finally {
      this.#onOutput.delete(check)
    }
  }

  /** SIGKILL; resolves when it is gone. */
  async kill9(): Promise<Exit> {
    this.signal('SIGKILL')
    return this.exited
  }

  /** SIGSTOP: it stands still when this resolves, and its connections stay open. */
  async freeze(): Promise<void> {
    if (this.isRunning) await freeze(this.pid)
  }

  /** SIGCONT. */
  thaw(): void {
    this.signal('SIGCONT')
  }

  signal(name: NodeJS.Signals): void {
    if (this.isRunning) process.kill(this.pid, name)
  }

  /** How it ends; rejects with its output when it does not in time. */
  ends(withinMs: number): Promise<Exit> {
    return within(withinMs, this.exited, () => `${this.name} to end; it said:\n${this.#shown()}`)
  }

  #shown(): string {
    return this.#output.slice(-SHOWN_CHARS)
  }
}

const children: Child[] = []

/** Kills every process of this test that still runs, and waits for their end. Safe to repeat. */
export async function endChildren(): Promise<void> {
  const running = children.splice(0).filter((child) => child.isRunning)
  await Promise.all(running.map((child) => child.kill9()))
  const last = reaper
  reaper = undefined
  if (last === undefined) return
  const ended = once(last, 'exit')
  last.stdin?.end()
  await ended
}

/** Whether there is a process of this id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** What `graflow-worker` is told; flags as in its documentation. */
export interface WorkerOptions {
  /** Absolute path of a task module, or several; TypeScript is compiled before. */
  readonly tasks: string | readonly string[]
  readonly url: string
  readonly keyPrefix: string
  readonly id: string
  readonly maxConcurrentTasks?: number
  readonly queues?: readonly string[]
  readonly capabilities?: readonly string[]
  readonly gracefulShutdownTimeoutMs?: number
  /** Folder of another package than the one that is built here, such as `oldRelease` gives. */
  readonly release?: string
  /** Further flags, as they are. */
  readonly flags?: readonly string[]
  /** Of Node.js itself, as `--import`. */
  readonly nodeFlags?: readonly string[]
  /** Starts it without leave to write a core file, for one that will abort. */
  readonly isAborting?: boolean
  readonly env?: Readonly<Record<string, string>>
}

/** Starts a worker process of the built package; resolves when it takes work. */
export async function startWorker(options: WorkerOptions): Promise<Child> {
  return workerReady(spawnWorker(options))
}

/** The worker, once it takes work. */
export async function workerReady(worker: Child): Promise<Child> {
  await worker.said(WORKER_IS_READY)
  return worker
}

const WORKER_IS_READY = /\bready\b/

/** Starts a worker process and does not wait. */
export function spawnWorker({ tasks, url, keyPrefix, id, nodeFlags = [], flags = [], ...rest }: WorkerOptions): Child {
  const { release } = rest
  const program = join(release ?? project, 'dist/bin/graflow-worker.js')
  if (!existsSync(program)) throw new Error(`expected ${program}; run: npm run setup`)
  const {
    maxConcurrentTasks,
    queues = [],
    capabilities = [],
    gracefulShutdownTimeoutMs,
    env = {},
    isAborting = false,
  } = rest
  const args = [
    ...nodeFlags,
    program,
    ...[tasks].flat().flatMap((path) => ['--tasks', inRelease(compiled(path), release)]),
    ...['--redis-url', url, '--redis-key-prefix', keyPrefix, '--worker-id', id],
    ...(maxConcurrentTasks === undefined ? [] : ['--max-concurrent-tasks', String(maxConcurrentTasks)]),
    ...queues.flatMap((queue) => ['--queue', queue]),
    ...capabilities.flatMap((capability) => ['--capability', capability]),
    ...(gracefulShutdownTimeoutMs === undefined
      ? []
      : ['--graceful-shutdown-timeout-ms', String(gracefulShutdownTimeoutMs)]),
    ...flags,
  ]
  if (!isAborting) return new Child({ name: id, args, env })
  const quiet = ['-c', 'ulimit -c 0; exec "$0" "$@"', process.execPath, ...args]
  return new Child({ name: id, command: 'sh', args: quiet, env })
}

/** Starts a TypeScript file as a process of its own, compiled before; on another package where one is given. */
export const spawnScript = (
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  release?: string,
): Child => new Child({ name: relative(project, file), args: [inRelease(compiled(file), release), ...args], env })
