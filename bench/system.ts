/** What an adapter is: a system that fans out and joins, opened for one workload. */
import type { Workload } from './workload.js'

/** A system, ready to run one workload any number of times. */
export interface System<T> {
  /** Fans out over the items, joins, and gives what the final step made of the results. */
  run(items: readonly T[]): Promise<number>
  close(): Promise<void>
}

/** What an adapter exports as `open`. All that can be done once (a flow, a queue, a compiled graph) is done here. */
export type OpenSystem = <T>(workload: Workload<T>) => Promise<System<T>>
