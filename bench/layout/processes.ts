/** Producers and workers as processes of their own, one layout each, so that none runs what the compiler learnt from the other. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { LayoutName } from './layout.js'

export interface WorkerRequest {
  readonly kind: 'work' | 'rest'
  /** Branches an acquire. */
  readonly batch: number
}
/** Of the time between `work` and `rest`. */
export interface WorkerReport {
  readonly branches: number
  readonly flushes: number
  /** Acquires that got nothing. */
  readonly empty: number
}

export interface RunsRequest {
  readonly count: number
  readonly bytes: number
  /** Runs until this much time is over, and so many runs at least. */
  readonly timedMs: number
  readonly leastRuns: number
}
/** Every outcome of every run was checked. */
export interface RunsReport {
  readonly runs: number
  readonly totalMs: number
  readonly timesUs: readonly number[]
}

type Reply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly report: unknown }
  | { readonly kind: 'failed'; readonly message: string }

/** What a child's file does: answers requests one at a time, and ends when its parent has gone. */
export function serve<Request>(answer: (request: Request) => Promise<unknown>): void {
  const reply = (message: Reply): void => void process.send?.(message)
  process.on('disconnect', () => process.exit())
  process.on('message', (request: Request) => {
    answer(request).then(
      (report) => reply({ kind: 'done', report }),
      (error: unknown) =>
        reply({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    )
  })
  reply({ kind: 'ready' })
}

/** A process that answers requests. `stop` it when done. */
export class Child<Request, Report> {
  readonly #process: ChildProcess
  readonly #file: string
  #received: (reply: Reply) => void = () => undefined
  #failed: (error: Error) => void = () => undefined

  private constructor(file: string, args: readonly string[]) {
    this.#file = file
    this.#process = fork(fileURLToPath(new URL(file, import.meta.url)), args, { execArgv: ['--import', 'tsx'] })
    this.#process.on('message', (reply: Reply) => this.#received(reply))
    this.#process.on('error', (error) => this.#failed(error))
    this.#process.on('exit', (code, signal) =>
      this.#failed(new Error(`${file} ${args[0] ?? ''} ended: ${signal ?? `code ${code ?? ''}`}`)),
    )
  }

  static async start<Request, Report>(
    file: 'producer.ts' | 'worker.ts',
    layout: LayoutName,
    socket: string,
    session: string,
  ): Promise<Child<Request, Report>> {
    const child = new Child<Request, Report>(file, [layout, socket, session])
    await child.#reply()
    return child
  }

  async ask(request: Request): Promise<Report> {
    const replied = this.#reply()
    this.#process.send(request as object)
    const reply = await replied
    if (reply.kind === 'done') return reply.report as Report
    throw new Error(`${this.#file}: ${reply.kind === 'failed' ? reply.message : 'answered out of turn'}`)
  }

  stop(): void {
    this.#failed = () => undefined
    this.#process.kill()
  }

  #reply(): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#received = resolve
      this.#failed = reject
    })
  }
}
