/** Events in order, each at a position that is larger than those before: a stream of Redis, in this process. */
import { isBefore } from '../event-positions.js'
import { DueQueue, type Due } from './due-queue.js'

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

  /** Drops the oldest of more than so many bytes; the last one stays. Says how many bytes are left. */
  keepLast(most: number, bytesOf: (event: T) => number): number {
    const sizes = this.entries.map(({ event }) => (event === undefined ? 0 : bytesOf(event)))
    let bytes = sizes.reduce((sum, size) => sum + size, 0)
    let from = 0
    for (; bytes > most && from < sizes.length - 1; from += 1) bytes -= sizes[from] ?? 0
    if (from > 0) this.entries = this.entries.slice(from)
    return bytes
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

/** What was seen of one run; due when it is kept no longer. */
export interface RunEventLog extends Due {
  readonly runId: string
  readonly log: EventLog<Uint8Array>
  seen: Uint8Array
  /** What all of it takes. */
  bytes: number
}

/** What was seen of runs, by run. */
export class RunEventLogs {
  readonly #byRun = new Map<string, RunEventLog>()
  readonly #due = new DueQueue<RunEventLog>()
  #bytes = 0

  get(runId: string): RunEventLog | undefined {
    return this.#byRun.get(runId)
  }

  /** Keeps one, in place of what was known of its size, until `dueAt`. */
  keep(own: RunEventLog, bytes: number, dueAt: number): void {
    this.#bytes += bytes - (this.#byRun.has(own.runId) ? own.bytes : 0)
    own.bytes = bytes
    this.#byRun.set(own.runId, own)
    this.#due.add(own, dueAt)
  }

  /** Drops those that are kept no longer. */
  dropDue(now: number): void {
    for (let old = this.#due.takeDue(now); old !== undefined; old = this.#due.takeDue(now)) this.#forget(old)
  }

  /** Drops others than `own`, soonest due first, until all together take no more than so many bytes. */
  dropBeyond(most: number, own: RunEventLog): void {
    const { dueAt } = own
    this.#due.remove(own)
    for (let next = this.#due.first(); this.#bytes > most && next !== undefined; next = this.#due.first()) {
      this.#due.remove(next)
      this.#forget(next)
    }
    this.#due.add(own, dueAt)
  }

  #forget({ runId, bytes }: RunEventLog): void {
    this.#byRun.delete(runId)
    this.#bytes -= bytes
  }
}
