/** Events in order, each at a position that is larger than those before: a stream of Redis, in this process. */
import { isBefore } from '../event-positions.js'

interface Entry<T> {
  readonly position: string
  readonly at: number
  readonly event: T
}

/** Entries in order, of which the oldest go. `undefined` begins a log. */
export class EventLog<T> {
  /** Kernel time. */
  keptUntil = Number.NEGATIVE_INFINITY
  entries: Entry<T | undefined>[] = []
  #lastAt = 0
  #number = 0

  add(event: T | undefined, at: number, most: number): string {
    const time = Math.max(this.#lastAt, Math.floor(at))
    this.#number = time === this.#lastAt ? this.#number + 1 : 0
    this.#lastAt = time
    const position = `${time}-${this.#number}`
    this.entries.push({ position, at: time, event })
    // not with each one: that would move all others
    if (this.entries.length > most * 2) this.entries = this.entries.slice(-most)
    return position
  }

  /** Drops the oldest of more than so many bytes; the last one stays. */
  keepLast(most: number, bytesOf: (event: T) => number): void {
    let bytes = 0
    const from = this.entries.findLastIndex(({ event }) => (bytes += event === undefined ? 0 : bytesOf(event)) > most)
    if (from >= 0) this.entries = this.entries.slice(Math.min(from + 1, this.entries.length - 1))
  }

  get last(): string | undefined {
    return this.entries.at(-1)?.position
  }

  /** By halving: of ten thousand entries people ask several times a second for those at the end. */
  #firstBehind(after: string): number {
    let [low, high] = [0, this.entries.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (isBefore(after, this.entries[middle]?.position ?? after)) high = middle
      else low = middle + 1
    }
    return low
  }

  behind(after: string | undefined, limit: number): readonly Entry<T | undefined>[] {
    if (after === undefined) return []
    const from = this.#firstBehind(after)
    return this.entries.slice(from, from + limit)
  }
}

/** What was seen of one run. */
export interface RunEventLog {
  readonly log: EventLog<Uint8Array>
  seen: Uint8Array
}
