/**
 * The slots of a worker loop: rights to run one branch each. A slot goes first to a branch that waits to go on, then to a new one. Also
 * counts the branches that have given theirs back, because with very many of them only what they wait for may be acquired.
 */
import type { Slot } from '../engine/execution.js'

/** Branches that may wait at inner barriers at once; beyond that only deeper groups are taken. */
const MOST_SUSPENDED = 1_000

export class Slots {
  readonly #onFree: () => void
  #free: number
  readonly #waiting: (() => boolean)[] = []
  /** How many suspended branches there are, in all and at each depth. */
  #suspended = 0
  readonly #suspendedAt = new Map<number, number>()

  /** @param onFree there may be room for new branches: called inside whatever made it, so it must not start any at once */
  constructor(count: number, onFree: () => void) {
    this.#free = count
    this.#onFree = onFree
  }

  get free(): number {
    return this.#free
  }

  /** One slot for a new branch; there must be a free one. */
  use(): void {
    this.#free -= 1
  }

  /** A branch does not need its slot any more. */
  release(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next()) return
    }
    this.#free += 1
    this.#onFree()
  }

  /** Calls `use` when there is a slot; false from it means that the slot is not wanted any more. */
  take(use: () => boolean): void {
    if (this.#free === 0) {
      this.#waiting.push(use)
      return
    }
    this.#free -= 1
    if (!use()) this.#free += 1
  }

  /** A branch of this depth has given its slot back (1), or has one again or is over (-1). */
  countSuspended(depth: number, change: 1 | -1): void {
    const wasCrowded = this.#suspended >= MOST_SUSPENDED
    this.#suspended += change
    const count = (this.#suspendedAt.get(depth) ?? 0) + change
    if (count === 0) this.#suspendedAt.delete(depth)
    else this.#suspendedAt.set(depth, count)
    // What the loop may acquire has changed, and what it has asked for last it may have asked for too narrowly.
    if (wasCrowded && change < 0) this.#onFree()
  }

  /** With very many branches suspended: the depth below which groups are what they wait for. */
  get onlyDeeperThan(): number | undefined {
    return this.#suspended < MOST_SUSPENDED ? undefined : Math.max(...this.#suspendedAt.keys())
  }
}

/** What one queue may have in flight here. */
export interface QueueShare {
  readonly limit: number
  /** Acquired and not over, without those that wait at inner barriers. */
  held: number
}

/**
 * The slot of a driven run, through its life: held, given back while the run waits, taken again, over. A branch in flight does the same by
 * itself: it is one object, since there is one for every branch.
 */
export class SlotHold implements Slot {
  readonly #slots: Slots
  readonly #depth: number
  readonly #share: QueueShare | undefined
  #state: 'held' | 'given back' | 'over' = 'held'

  /** @param slots one of which is in use for it from now on */
  constructor(slots: Slots, depth: number, share: QueueShare | undefined) {
    this.#slots = slots
    this.#depth = depth
    this.#share = share
  }

  suspend(): void {
    if (this.#state !== 'held') return
    this.#state = 'given back'
    if (this.#share !== undefined) this.#share.held -= 1
    this.#slots.countSuspended(this.#depth, 1)
    this.#slots.release()
  }

  resume(): Promise<void> {
    if (this.#state !== 'given back') return Promise.resolve()
    return new Promise((resolve) => {
      this.#slots.take(() => {
        resolve()
        if (this.#state !== 'given back') return false
        this.#state = 'held'
        if (this.#share !== undefined) this.#share.held += 1
        this.#slots.countSuspended(this.#depth, -1)
        return true
      })
    })
  }

  /** It is over, whatever its handler still does. */
  end(): void {
    const before = this.#state
    this.#state = 'over'
    if (before === 'held') {
      if (this.#share !== undefined) this.#share.held -= 1
      this.#slots.release()
    }
    if (before === 'given back') this.#slots.countSuspended(this.#depth, -1)
  }
}
