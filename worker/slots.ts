/**
 * The slots of a worker loop: rights to run one branch each. A slot goes first to a branch that waits to go on, then to a new one. Also
 * counts the branches that have given theirs back, because with very many of them only what they wait for may be acquired.
 */

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

  /** Takes up to `most` slots for branches that are being asked for; says how many. Those not needed must be `putBack`. */
  reserve(most: number): number {
    const count = Math.min(this.#free, most)
    this.#free -= count
    return count
  }

  /** Reserved slots that were not needed: nobody has to ask again because of them. */
  putBack(count: number): void {
    for (let i = 0; i < count; i += 1) this.#pass()
  }

  /** A branch does not need its slot any more. */
  release(): void {
    if (this.#pass()) this.#onFree()
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

  /** A slot to whoever waits for one; true when nobody does, and it is free. */
  #pass(): boolean {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next()) return false
    }
    this.#free += 1
    return true
  }
}
