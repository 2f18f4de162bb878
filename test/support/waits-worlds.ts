/** A store without workers, in this process and on Redis: clients and workers in the test's process come and go as a test wants. */
import { join } from 'node:path'
import type { AnyNode, Graflow } from 'graflow'
import type { WorkerOptions } from '../../worker/index.js'
import { workerHere } from './local-worker.js'
import { Stage } from './redis-stage.js'
import { sharedRedis } from './shared-redis.js'
import { SharedStore } from './shared-store.js'

export interface OpenStore {
  readonly name: 'embedded' | 'redis'
  client(): Promise<Graflow>
  worker(
    workerId: string,
    tasks: readonly AnyNode[],
    options?: Pick<WorkerOptions, 'capabilities' | 'maxConcurrentTasks' | 'queues'>,
  ): Promise<{ stop(timeoutMs?: number): Promise<void> }>
  /** Takes all graphs away; false where a store cannot lose them. */
  loseGraphs(): Promise<boolean>
  end(): Promise<unknown>
}

export const STORES = ['embedded', 'redis'] as const

export async function openStore(name: (typeof STORES)[number]): Promise<OpenStore> {
  if (name === 'embedded') {
    const store = new SharedStore()
    return {
      name,
      client: () => store.client(),
      worker: (workerId, tasks, options) => store.started({ workerId, tasks: [...tasks], ...options }),
      loseGraphs: () => Promise.resolve(false),
      end: () => store.end(),
    }
  }
  const stage = new Stage(await sharedRedis(), join(__dirname, 'none.tasks.ts'))
  return {
    name,
    client: () => stage.client({ logLevel: 'silent' }),
    worker: (workerId, tasks, options) => workerHere(stage, workerId, tasks, options),
    loseGraphs: async () => {
      const graphs = await stage.redis.keys(stage.keys.graph('*'))
      await stage.redis.del(...graphs)
      return true
    },
    end: () => stage.end(),
  }
}
