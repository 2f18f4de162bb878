/** How fast the backlog of queues grows or shrinks: from what the pages of this tab have seen of it, since no store keeps that. */
import type { Queue } from '../wire.js'

interface Sample {
  readonly at: number
  readonly backlog: number
}
/** A line is drawn over so long; of less than the least nothing is said. */
const OVER_MS = 60_000
const LEAST_MS = 5_000
const MINUTE_MS = 60_000

export const backlogOf = ({ running, ready, delayed }: Queue): number => running + ready + delayed

/** One a page of queues; tell it of each answer. */
export class BacklogTrend {
  readonly #samples = new Map<string, Sample[]>()

  /** @param at when the queues were so, in milliseconds */
  add(queues: readonly Queue[], at: number): void {
    const names = new Set(queues.map(({ name }) => name))
    for (const name of this.#samples.keys()) if (!names.has(name)) this.#samples.delete(name)
    for (const queue of queues) {
      const samples = this.#samples.get(queue.name) ?? []
      if (samples.at(-1)?.at === at) continue
      samples.push({ at, backlog: backlogOf(queue) })
      while ((samples[1]?.at ?? at) < at - OVER_MS) samples.shift()
      this.#samples.set(queue.name, samples)
    }
  }

  /** Branches a minute, negative where it shrinks; undefined before enough was seen. */
  of(name: string): number | undefined {
    const samples = this.#samples.get(name) ?? []
    const [first, last] = [samples[0], samples.at(-1)]
    if (first === undefined || last === undefined || last.at - first.at < LEAST_MS) return undefined
    return ((last.backlog - first.backlog) / (last.at - first.at)) * MINUTE_MS
  }
}
