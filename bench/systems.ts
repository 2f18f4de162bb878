/** The systems that are compared: what an adapter is, and where each one is. Importing this loads none of them. */
import type { Workload } from './workload.js'

/** A system, ready to run one workload any number of times. */
export interface System<T> {
  /** Fans out over the items, joins, and gives what the final step made of the results. */
  run(items: readonly T[]): Promise<number>
  close(): Promise<void>
}

/** What an adapter exports as `open`. All that can be done once (a flow, a queue, a compiled graph) is done here. */
export type OpenSystem = <T>(workload: Workload<T>) => Promise<System<T>>

/** In the order of the tables: what the others are measured against comes first. */
export const SYSTEM_NAMES = ['promise-all', 'graflow-embedded', 'p-queue', 'langgraph'] as const
export type SystemName = (typeof SYSTEM_NAMES)[number]

/** Loads one system into this process. */
export async function loadSystem(name: SystemName): Promise<OpenSystem> {
  switch (name) {
    case 'promise-all':
      return (await import('./adapters/promise-all.js')).open
    case 'graflow-embedded':
      return (await import('./adapters/graflow-embedded.js')).open
    case 'p-queue':
      return (await import('./adapters/p-queue.js')).open
    case 'langgraph':
      return (await import('./adapters/langgraph.js')).open
    default:
      return name satisfies never
  }
}
