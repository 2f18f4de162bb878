/** The systems that are compared over Redis: what an adapter is, and where each one is. Importing this loads none of them. */

/** Where a system's processes meet: a private server that nobody else uses. */
export interface Place {
  /** Path of its unix socket. */
  readonly socket: string
}

/** The branch: does next to nothing, and says which item it got. */
export type Handle = (item: number) => number

/** In a process of its own: fans out, and joins. */
export interface Producer {
  /** Resolves when this process has all results, in whatever order, and could go on. */
  run(items: readonly number[]): Promise<readonly number[]>
  close(): Promise<void>
}

/** In a process of its own: does the branches. */
export interface Worker {
  close(): Promise<void>
}

/** What an adapter exports. All that can be done once (connections, flows, queues) is done by the time these resolve. */
export interface Adapter {
  openProducer(place: Place): Promise<Producer>
  openWorker(place: Place, handle: Handle): Promise<Worker>
}

/** In the order of the tables. */
export const PEER_NAMES = ['graflow', 'bullmq-flows', 'bullmq-bulk', 'bee-queue', 'ping-pong', 'batched-loop'] as const
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
    default:
      return name satisfies never
  }
}
