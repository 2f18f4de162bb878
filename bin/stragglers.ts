/** Which branches of a run take much longer than others of their group. Fed with events; they may be lost, so it only ever hints. */
import type { RunEvent } from '../lib/events.js'

export interface Straggler {
  readonly path: string
  readonly task: string
  readonly label?: string
  readonly workerId: string
  readonly forMs: number
}

/** A branch is late when it takes so many times the median of its group, and at least so long. */
const TIMES = 3
const LEAST_MS = 1_000
const MOST_DURATIONS = 200
const MOST_IN_FLIGHT = 20_000

interface InFlight {
  readonly task: string
  readonly label?: string
  readonly workerId: string
  readonly since: number
}

/** One a run. */
export class Stragglers {
  readonly #inFlight = new Map<string, InFlight>()
  /** By group, the newest. */
  readonly #durations = new Map<string, number[]>()

  see(event: RunEvent): void {
    if (event.type === 'branch:started') {
      const { path, task, label, workerId, at } = event
      const started = { task, ...(label !== undefined && { label }), workerId, since: at.getTime() }
      if (this.#inFlight.size < MOST_IN_FLIGHT) this.#inFlight.set(path, started)
    } else if (event.type === 'branch:settled' || event.type === 'branch:retrying') {
      const started = this.#inFlight.get(event.path)
      this.#inFlight.delete(event.path)
      if (started !== undefined && event.type === 'branch:settled')
        this.#note(groupOf(event.path), event.at.getTime() - started.since)
    } else if (event.type === 'group:released') {
      // what was withdrawn settles without an event
      for (const path of this.#inFlight.keys()) if (groupOf(path) === event.path) this.#inFlight.delete(path)
      this.#durations.delete(event.path)
    }
  }

  /** The slowest now, at most `most`. */
  at(now: number, most: number): readonly Straggler[] {
    const medians = new Map([...this.#durations].map(([path, all]) => [path, medianOf(all)]))
    return [...this.#inFlight]
      .map(([path, { since, ...started }]) => ({ path, ...started, forMs: now - since }))
      .filter(({ path, forMs }) => {
        const median = medians.get(groupOf(path))
        return median !== undefined && forMs >= Math.max(LEAST_MS, TIMES * median)
      })
      .sort((a, b) => b.forMs - a.forMs)
      .slice(0, most)
  }

  #note(path: string, ms: number): void {
    const all = this.#durations.get(path) ?? []
    this.#durations.set(path, all)
    all.push(ms)
    if (all.length > MOST_DURATIONS) all.shift()
  }
}

const groupOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

const medianOf = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0
