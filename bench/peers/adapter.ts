/** What an adapter of a system over Redis is: a producer and workers, each in a process of its own. */

/** Where a system's processes meet: a private server that nobody else uses, at its socket or behind a delay. */
export interface Place {
  /** As client libraries take it. */
  readonly connection: { readonly path: string } | { readonly host: string; readonly port: number }
  /** As `connect` takes it. */
  readonly url: string
}

/** What goes into a branch and comes out: a number, or a text that begins with it (loads.ts). */
export type Item = number | string

/** The branch: does next to nothing, waits, or fails, as its item says; and says which item it got. */
export type Handle = (item: Item) => Item | Promise<Item>

/** In a process of its own: fans out, and joins. */
export interface Producer {
  /** Resolves when this process has all results, in whatever order, and could go on. Several may be under way at once if the system can. */
  run(items: readonly Item[]): Promise<readonly Item[]>
  /** The same of branches that may fail: in place of a result comes the text of the error. */
  outcomes?(items: readonly Item[]): Promise<readonly Item[]>
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
