/** A client and workers on one store in this process, each as far from it as from a server: what tests of workers play on. */
import { Client } from '../../lib/producer/client.js'
import type { Backend } from '../../lib/backend/backend.js'
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import { Engine } from '../../lib/engine/engine.js'
import { DEFAULT_LIMITS } from '../../lib/options.js'
import { Emitter } from '../../lib/events.js'
import { systemClock, systemId, systemRandom } from '../../lib/time.js'
import { Worker, type WorkerOptions } from '../../worker/index.js'
import { WorkerPoolCore, type WorkerPoolOptions } from '../../worker/worker-pool.js'

export class SharedStore {
  readonly backend: Backend = openMemoryBackend({ clock: systemClock })
  /** What workers see of it; tests may put something between. */
  view: Backend = this.backend
  readonly #ends: (() => Promise<unknown>)[] = []

  /** A client without a loop: what it dispatches, workers run. */
  async client(): Promise<Client> {
    const clock = systemClock
    const emitter = new Emitter(() => clock.now())
    const backend: Backend = { ...bound(this.backend), close: () => Promise.resolve() }
    const session = `client:${systemId()}`
    const parts = { backend, clock, emitter, random: systemRandom, newId: systemId }
    const engine = new Engine({ ...parts, limits: DEFAULT_LIMITS, workerId: 'client' })
    const info = { baseId: 'client', hostname: 'here', pid: 1, role: 'client', metadata: {} } as const
    const served = { queues: [], capabilities: [], tasks: [] }
    await backend.session({ kind: 'open', session, ttlMs: Number.POSITIVE_INFINITY, info: { ...info, ...served } })
    const client = new Client({ ...parts, engine, session, instanceId: 'client', retentionMs: 60_000, onClose: [] })
    this.#ends.push(() => client.close())
    return client
  }

  /** A worker, not started. */
  worker(options: WorkerOptions): Worker {
    const worker = new Worker(
      { logLevel: 'silent', ...options },
      { openStore: () => Promise.resolve({ ...bound(this.view), close: () => Promise.resolve() }) },
    )
    this.#ends.push(() => worker.stop(0))
    return worker
  }

  async started(options: WorkerOptions): Promise<Worker> {
    const worker = this.worker(options)
    await worker.start()
    return worker
  }

  pool(options: WorkerPoolOptions): WorkerPoolCore {
    const pool = new WorkerPoolCore(options, (one) => this.worker(one))
    this.#ends.push(() => pool.stop(0))
    return pool
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
    await this.backend.close()
  }
}

/** A backend whose methods can be taken apart. */
export function bound(backend: Backend): Backend {
  const names = [...Object.getOwnPropertyNames(Object.getPrototypeOf(backend)), ...Object.keys(backend)]
  const methods = new Set(names.filter((name) => typeof backend[name as keyof Backend] === 'function'))
  methods.delete('constructor')
  const calls = [...methods].map((name) => [name, (backend[name as keyof Backend] as () => unknown).bind(backend)])
  return { ...Object.fromEntries(calls), limits: backend.limits, inspect: backend.inspect } as never // all of it is there
}

/** A gate that handlers wait at, and how many wait. */
export class Gate {
  waiting = 0
  most = 0
  #open: () => void = () => undefined
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve
  })
  readonly #onPass = new Set<() => void>()

  async pass(signal?: AbortSignal): Promise<void> {
    this.waiting += 1
    this.most = Math.max(this.most, this.waiting)
    for (const look of this.#onPass) look()
    try {
      await new Promise<void>((resolve, reject) => {
        void this.#opened.then(resolve)
        signal?.addEventListener('abort', () => reject(signal.reason as Error))
      })
    } finally {
      this.waiting -= 1
    }
  }

  open(): void {
    this.#open()
  }

  /** Resolves when so many wait. */
  reached(count: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.waiting < count) return
        this.#onPass.delete(look)
        resolve()
      }
      this.#onPass.add(look)
      look()
    })
  }
}
