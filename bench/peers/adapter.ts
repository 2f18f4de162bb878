/** What an adapter of a system over Redis is: a producer and workers, each in a process of its own. */

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
