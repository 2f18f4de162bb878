/** Workers in code: `graflow-worker` as objects. Puts the worker's room together with the store, as connect.ts does for clients. */
import { openStore } from '../lib/connect.js'
import { WorkerCore, type WorkerHost } from './worker.js'
import type { WorkerOptions } from './worker-options.js'
import { WorkerPoolCore, type WorkerPoolOptions } from './worker-pool.js'

export { startExporter, type Exporter, type ExporterOptions } from './exporter.js'
export type { WorkerOptions } from './worker-options.js'
export type { WorkerPoolOptions } from './worker-pool.js'

/**
 * A worker in this process: acquires branches of its queues from Redis, runs them, settles them.
 * `start` it with tasks, flows, or paths of modules that export some; `stop` lets what runs finish, and releases the rest.
 */
export class Worker extends WorkerCore {
  /** @throws GraflowError INVALID_OPTION */
  constructor(options: WorkerOptions, host: Partial<WorkerHost> = {}) {
    super(options, { openStore, folder: process.cwd(), ...host })
  }
}

/**
 * Several workers in this process; `scale` changes how many.
 * Counters are sums over all that were ever in it.
 */
export class WorkerPool extends WorkerPoolCore {
  /** @throws GraflowError INVALID_OPTION */
  constructor(options: WorkerPoolOptions) {
    super(options, (one) => new Worker(one))
  }
}
