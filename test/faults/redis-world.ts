/** The contract suite's world on a Redis: short words for a backend's calls, in real time. */
import { randomUUID } from 'node:crypto'
import type { Backend } from '../../lib/backend/backend.js'
import { type Harness, World } from '../contract/world.js'

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A store with a producer `driver` and a worker `w`. Who opened the backend closes it. */
export function worldOn(backend: Backend): Promise<World> {
  const harness: Harness = {
    backend,
    advance: sleep,
    stall: sleep,
    quiet: () => sleep(20),
    newNonce: () => randomUUID(),
    close: async () => undefined,
  }
  return World.make(harness)
}

/** Numbers that look random and are the same each time (mulberry32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}
