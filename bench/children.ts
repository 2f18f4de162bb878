/** Systems in processes of their own, so that none runs with another's garbage or with what the compiler learnt from another. */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Memory, TimeRequest, Timing } from './measure.js'
import type { SystemName } from './systems.js'
import type { WorkloadName } from './workload.js'

export type Request =
  | ({ readonly kind: 'time'; readonly workload: WorkloadName } & TimeRequest)
  | { readonly kind: 'memory'; readonly workload: WorkloadName; readonly count: number }

export type Reply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'timing'; readonly timing: Timing }
  | { readonly kind: 'memory'; readonly memory: Memory }
  | { readonly kind: 'failed'; readonly message: string }

/** What a process is for. `smoke`: for both, where no number counts. */
export type Purpose = 'time' | 'memory' | 'smoke'

/**
 * Megabytes. For memory more than any system allocates in the one run that is measured; to clear so much costs more than all else that
 * a smoke run does.
 */
const YOUNG_GENERATION_MB = { time: undefined, memory: 512, smoke: 64 } as const satisfies Record<Purpose, unknown>

/** One system's process. `stop` it when done. */
export class Child {
  readonly system: SystemName
  readonly #process: ChildProcess
  #received: (reply: Reply) => void = () => undefined
  #failed: (error: Error) => void = () => undefined

  private constructor(system: SystemName, flags: readonly string[]) {
    this.system = system
    this.#process = fork(fileURLToPath(new URL('child.ts', import.meta.url)), [system], {
      execArgv: [...process.execArgv, ...flags],
    })
    this.#process.on('message', (reply: Reply) => this.#received(reply))
    this.#process.on('error', (error) => this.#failed(error))
    this.#process.on('exit', (code, signal) => this.#failed(new Error(`${system} ended: ${signal ?? `code ${code}`}`)))
  }

  /** A process that has loaded the system. */
  static async start(system: SystemName, purpose: Purpose): Promise<Child> {
    const young = YOUNG_GENERATION_MB[purpose]
    const child = new Child(
      system,
      young === undefined ? [] : ['--expose-gc', `--min-semi-space-size=${young}`, `--max-semi-space-size=${young}`],
    )
    await child.#next()
    return child
  }

  /** Microseconds of runs of `count` branches. Rejects when the system gave a wrong answer. */
  async time(workload: WorkloadName, request: TimeRequest): Promise<Timing> {
    const reply = await this.#ask({ kind: 'time', workload, ...request })
    if (reply.kind !== 'timing') throw new Error(`expected a timing of ${this.system}, got ${reply.kind}`)
    return reply.timing
  }

  /** Bytes of one run of `count` branches. Rejects when the system gave a wrong answer. */
  async memory(workload: WorkloadName, count: number): Promise<Memory> {
    const reply = await this.#ask({ kind: 'memory', workload, count })
    if (reply.kind !== 'memory') throw new Error(`expected the memory of ${this.system}, got ${reply.kind}`)
    return reply.memory
  }

  stop(): void {
    this.#failed = () => undefined
    this.#process.kill()
  }

  async #ask(request: Request): Promise<Reply> {
    const next = this.#next()
    this.#process.send(request)
    const reply = await next
    if (reply.kind === 'failed') throw new Error(`${this.system}: ${reply.message}`)
    return reply
  }

  #next(): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      this.#received = resolve
      this.#failed = reject
    })
  }
}
