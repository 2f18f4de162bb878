/** Where the systems that are compared over Redis are. Importing this loads none of them. */
import type { Adapter } from './adapter.js'

/** In the order of the tables. */
export const PEER_NAMES = [
  'graflow',
  'bullmq-flows',
  'bullmq-bulk',
  'bee-queue',
  'ping-pong',
  'batched-loop',
  'redis-pipeline',
] as const
export type PeerName = (typeof PEER_NAMES)[number]

/** Loads one system into this process. */
export async function loadAdapter(name: PeerName): Promise<Adapter> {
  switch (name) {
    case 'graflow':
      return import('./adapters/graflow.js')
    case 'bullmq-flows':
      return import('./adapters/bullmq-flows.js')
    case 'bullmq-bulk':
      return import('./adapters/bullmq-bulk.js')
    case 'bee-queue':
      return import('./adapters/bee-queue.js')
    case 'ping-pong':
      return import('./adapters/ping-pong.js')
    case 'batched-loop':
      return import('./adapters/batched-loop.js')
    case 'redis-pipeline':
      return import('./adapters/redis-pipeline.js')
    default:
      return name satisfies never
  }
}
