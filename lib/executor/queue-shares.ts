/**
 * Which queues to ask, and for how many branches, when some queues have a limit in this process. One call asks several queues, and all its branches
 * may come from one of them. So a call that includes a limited queue asks for at most the room of that queue, and calls without it alternate with
 * such calls.
 */
import { newShare, type QueueShare } from './slots.js'

/** What to ask for. */
export interface Ask {
  /** Empty where no queue has room. */
  readonly queues: readonly string[] | 'all'
  readonly max: number
  /** There is room for more than is asked for. */
  readonly isNarrowed: boolean
  /** Not every queue with room is asked: whatever the answer, the next call is due. */
  readonly isPartial: boolean
}

export class QueueShares {
  readonly #queues: readonly string[] | 'all'
  readonly #unlimited: readonly string[]
  readonly #shares: ReadonlyMap<string, QueueShare>
  #isUnlimitedNext = false

  constructor(queues: readonly string[] | 'all', limits: ReadonlyMap<string, number> = new Map()) {
    this.#queues = queues
    this.#shares = new Map([...limits].map(([queue, limit]) => [queue, newShare(limit)]))
    this.#unlimited = queues === 'all' ? [] : queues.filter((queue) => !limits.has(queue))
  }

  /** The share of a queue that has a limit. */
  of(queue: string): QueueShare | undefined {
    return this.#shares.get(queue)
  }

  /** @param room for this many branches there is room in all */
  ask(room: number): Ask {
    if (this.#queues === 'all' || this.#shares.size === 0)
      return { queues: this.#queues, max: room, isNarrowed: false, isPartial: false }
    if (this.#isUnlimitedNext && this.#unlimited.length > 0)
      return { queues: this.#unlimited, max: room, isNarrowed: true, isPartial: true }
    let max = room
    const queues = [...this.#unlimited]
    for (const [queue, { limit, held }] of this.#shares) {
      if (held >= limit) continue
      queues.push(queue)
      max = Math.min(max, limit - held)
    }
    return { queues, max, isNarrowed: max < room, isPartial: false }
  }

  /** Whether there is room in a queue that is not among those `asked`, as there may be since a branch of it is over. */
  hasRoomBeyond(asked: readonly string[] | 'all'): boolean {
    if (asked === 'all') return false
    for (const [queue, { limit, held }] of this.#shares) if (held < limit && !asked.includes(queue)) return true
    return false
  }

  /** @param isMoreBeyond the last call was narrowed, and there may be more: the next asks the queues without a limit alone */
  hasAnswered(isMoreBeyond: boolean): void {
    this.#isUnlimitedNext = isMoreBeyond && !this.#isUnlimitedNext
  }
}
