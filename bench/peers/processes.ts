/** Producers and workers as processes of their own, and what is said between them and the driver. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { LastWork } from './last-work.js'
import type { Load } from './loads.js'
import type { PeerName } from './systems.js'
import type { Place } from './adapter.js'

export const ROLES = ['producer', 'worker'] as const
export type Role = (typeof ROLES)[number]

/** The load, again and again. */
export interface Stream {
  readonly load: Load
  /** Unmeasured, before. */
  readonly warmMs: number
  /** Runs until this much time is over, and so many at least. */
  readonly timedMs: number
  readonly leastRuns: number
}

export type Request =
  /** The load, once; answered with OnceReport. By producers. */
  | { readonly kind: 'once'; readonly load: Load }
  /** Run after run; answered with StreamReport. By producers. */
  | ({ readonly kind: 'stream' } & Stream)
  /** Answered with LastWork. By workers. */
  | { readonly kind: 'last' }
  /** Answered with Spent. By both. */
  | { readonly kind: 'spent' }

/** Milliseconds of the machine's monotonic clock. */
export interface OnceReport {
  readonly startedAt: number
  /** The producer had all results and could go on. */
  readonly wentOnAt: number
}
export interface StreamReport {
  /** Of each run, from its start to the moment its producer could go on. */
  readonly timesMs: readonly number[]
  /** Runs of the unmeasured part. */
  readonly warmRuns: number
}
/** Of one process, since its start. */
export interface Spent {
  readonly cpuUs: number
  /** The most memory that was resident. */
  readonly peakBytes: number
}

type Reply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly report: unknown }
  | { readonly kind: 'failed'; readonly message: string }

/** What a child does: answers requests one at a time, and ends when its parent has gone. */
export function serve(answer: (request: Request) => unknown): void {
  const reply = (message: Reply): void => void process.send?.(message)
  const failed = (error: unknown): void => {
    reply({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
  process.on('disconnect', () => process.exit())
  process.on('uncaughtException', failed)
  process.on('message', (request: Request) => {
    Promise.resolve(request)
      .then(answer)
      .then((report) => reply({ kind: 'done', report }), failed)
  })
  reply({ kind: 'ready' })
}

const START_MS = 30_000

/** A process of one system. `stop` it when done. */
export class Child {
  readonly #name: string
  readonly #process: ChildProcess
  #received: (reply: Reply) => void = () => undefined
  #failed: (error: Error) => void = () => undefined

  private constructor(system: PeerName, role: Role, place: Place, flags: readonly string[]) {
    this.#name = `${system}, ${role}`
    this.#process = fork(fileURLToPath(new URL('child.ts', import.meta.url)), [system, role, JSON.stringify(place)], {
      execArgv: [...process.execArgv, ...flags],
    })
    this.#process.on('message', (reply: Reply) => this.#received(reply))
    this.#process.on('error', (error) => this.#failed(error))
    this.#process.on('exit', (code, signal) =>
      this.#failed(new Error(`${this.#name} ended: ${signal ?? `code ${code ?? ''}`}`)),
    )
  }

  /** @param flags further ones of Node.js, to profile with */
  static async start(system: PeerName, role: Role, place: Place, flags: readonly string[]): Promise<Child> {
    const child = new Child(system, role, place, flags)
    try {
      await child.#reply(START_MS)
    } catch (error) {
      child.stop()
      throw error
    }
    return child
  }

  once(load: Load, withinMs: number): Promise<OnceReport> {
    return this.#ask({ kind: 'once', load }, withinMs) as Promise<OnceReport>
  }

  stream(stream: Stream, withinMs: number): Promise<StreamReport> {
    return this.#ask({ kind: 'stream', ...stream }, withinMs) as Promise<StreamReport>
  }

  last(): Promise<LastWork> {
    return this.#ask({ kind: 'last' }, START_MS) as Promise<LastWork>
  }

  spent(): Promise<Spent> {
    return this.#ask({ kind: 'spent' }, START_MS) as Promise<Spent>
  }

  stop(): void {
    this.#failed = () => undefined
    this.#process.kill('SIGKILL')
  }

  /** Lets it end by itself, so that it can write its profile. */
  async end(): Promise<void> {
    this.#failed = () => undefined
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    const late = setTimeout(() => this.#process.kill('SIGKILL'), START_MS)
    if (this.#process.connected) this.#process.disconnect()
    await ended
    clearTimeout(late)
  }

  async #ask(request: Request, withinMs: number): Promise<unknown> {
    const replied = this.#reply(withinMs)
    this.#process.send(request)
    return replied
  }

  #reply(withinMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.#name}: no answer within ${withinMs} ms`)), withinMs)
      const ended = (end: () => void): void => {
        clearTimeout(timer)
        this.#received = () => undefined
        end()
      }
      this.#received = (reply) =>
        ended(() => {
          if (reply.kind === 'failed') reject(new Error(`${this.#name}: ${reply.message}`))
          else resolve(reply.kind === 'done' ? reply.report : undefined)
        })
      this.#failed = (error) => ended(() => reject(error))
    })
  }
}
