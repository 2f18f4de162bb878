/** Workers in code: `graflow-worker` as objects. Puts the worker's room together with the store, as connect.ts does for clients. */
import { openStore } from './connect.js'
import { WorkerCore, type WorkerOptions, type WorkerParts } from '../worker/worker.js'
import { WorkerPoolCore, type WorkerPoolOptions } from '../worker/worker-pool.js'

export type { WorkerOptions } from '../worker/worker.js'
export type { WorkerPoolOptions } from '../worker/worker-pool.js'

/**
 * A worker in this process: acquires branches of its queues from Redis, runs them, settles them.
 *
 * @example
 * const worker = new Worker({ redisUrl: 'redis://localhost:6379', tasks: [fetchUser, './more.js'] })
 * await worker.start()
 * await worker.stop() // lets what runs finish, and hands back the rest
 */
export class Worker extends WorkerCore {
  /** @throws GraflowError INVALID_OPTION; NOT_AVAILABLE for the role leader */
  constructor(options: WorkerOptions, parts: Partial<WorkerParts> = {}) {
    super(options, { openStore, folder: process.cwd(), ...parts })
  }
}

/**
 * Several workers in this process; `scale` changes how many.
 *
 * @example
 * const pool = new WorkerPool({ workers: 4, redisUrl: 'redis://localhost:6379', tasks: ['./tasks.js'] })
 * await pool.start()
 * await pool.scale(8)
 * await pool.stop()
 */
export class WorkerPool extends WorkerPoolCore {
  /** @throws GraflowError INVALID_OPTION; NOT_AVAILABLE for the role leader */
  constructor(options: WorkerPoolOptions) {
    super(options, (one) => new Worker(one))
  }
}
