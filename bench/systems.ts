/** Where the systems that are compared are. Importing this loads none of them. */
import type { OpenSystem } from './system.js'

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
