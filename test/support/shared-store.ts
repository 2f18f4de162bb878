/** A client and workers on one store in this process, each as far from it as from a server: what tests of workers play on. */
import { operatorsOf } from '../../lib/admin/operators.js'
import { Client } from '../../lib/producer/client.js'
import type { Backend } from '../../lib/backend/backend.js'
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import { openSession } from '../../lib/session/open-session.js'
import { DEFAULT_LIMITS } from '../../lib/options.js'
import { Emitter } from '../../lib/events.js'
import { systemClock, systemId, systemRandom } from '../../lib/time.js'
import { startExporter, Worker, type Exporter, type ExporterOptions, type WorkerOptions } from '../../worker/index.js'
import { wired } from './wired-backend.js'
import type { WorkerHost } from '../../worker/worker.js'
import { WorkerPoolCore, type WorkerPoolOptions } from '../../worker/worker-pool.js'

export class SharedStore {
  readonly backend: Backend = openMemoryBackend({ clock: systemClock })
  /** What workers see of it; tests may put something between. */
  view: Backend = this.backend
  readonly #ends: (() => Promise<unknown>)[] = []

  /** A client without a loop: what it dispatches, workers run. */
  async client(store = this.backend): Promise<Client> {
    const session = await openSession({
      store: unclosed(store),
      isEmbedded: true,
      ...{ clock: systemClock, random: systemRandom, newId: systemId, limits: DEFAULT_LIMITS },
      emitter: new Emitter(() => systemClock.now()),
      info: { baseId: 'client', role: 'client', metadata: {}, queues: [], capabilities: [], tasks: [] },
    })
    const client = new Client({ session, operators: operatorsOf, retentionMs: 60_000 })
    this.#ends.push(() => client.close())
    return client
  }

  /** A worker, not started. */
  worker(options: WorkerOptions, writeLog?: WorkerHost['writeLog']): Worker {
    const worker = new Worker(
      { logLevel: 'silent', ...options },
      { openStore: () => Promise.resolve(unclosed(this.view)), ...(writeLog !== undefined && { writeLog }) },
    )
    this.#ends.push(() => worker.stop(0))
    return worker
  }

  /** An exporter that listens on a free port of this machine. */
  async exporter(options: ExporterOptions = {}, writeLog?: WorkerHost['writeLog']): Promise<Exporter> {
    const exporter = await startExporter(
      { logLevel: 'silent', metricsPort: 0, metricsHost: '127.0.0.1', ...options },
      { openStore: () => Promise.resolve(unclosed(this.view)), ...(writeLog !== undefined && { writeLog }) },
    )
    this.#ends.push(() => exporter.close())
    return exporter
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

/** The same store, which goes on when this one is closed. */
const unclosed = (backend: Backend): Backend =>
  wired(backend, { call: (_, send) => send() }, { close: () => Promise.resolve() })
