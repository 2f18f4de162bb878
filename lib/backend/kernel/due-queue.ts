/**
 * What falls due, soonest first: a binary heap whose items know their place in it, so that what is no longer wanted is taken out at
 * once and never lingers until its time. Items due at the same time come in the order in which they were added.
 */

/** Something that falls due. An item is in one queue at most; both fields belong to that queue. */
export interface Due {
  /** Kernel time in milliseconds. */
  dueAt: number
  /** Place in the heap; -1 when in none. */
  place: number
  /** Order of adding. */
  order: number
}

export class DueQueue<T extends Due> {
  readonly #heap: T[] = []
  #added = 0

  get size(): number {
    return this.#heap.length
  }

  /** What is due next. */
  first(): T | undefined {
    return this.#heap[0]
  }

  /** Adds an item; one that is in the queue already is moved to its new time. */
  add(item: T, dueAt: number): void {
    this.remove(item)
    item.dueAt = dueAt
    item.order = this.#added++
    item.place = this.#heap.length
    this.#heap.push(item)
    this.#rise(item)
  }

  /** Takes an item out; one that is in no queue is left alone. */
  remove(item: T): void {
    const place = item.place
    if (place < 0) return
    item.place = -1
    const last = this.#heap.pop()
    if (last === undefined || last === item) return
    this.#put(last, place)
    this.#rise(last)
    this.#sink(last)
  }

  /** Takes out what is due at `now`, or nothing. */
  takeDue(now: number): T | undefined {
    const first = this.#heap[0]
    if (first === undefined || first.dueAt > now) return undefined
    this.remove(first)
    return first
  }

  #put(item: T, place: number): void {
    this.#heap[place] = item
    item.place = place
  }

  #rise(item: T): void {
    for (;;) {
      const place = item.place
      const above = place === 0 ? undefined : this.#heap[(place - 1) >> 1]
      if (above === undefined || isBefore(above, item)) return
      const abovePlace = above.place
      this.#put(above, place)
      this.#put(item, abovePlace)
    }
  }

  #sink(item: T): void {
    for (;;) {
      const place = item.place
      const left = this.#heap[place * 2 + 1]
      if (left === undefined) return
      const right = this.#heap[place * 2 + 2]
      const below = right !== undefined && isBefore(right, left) ? right : left
      if (isBefore(item, below)) return
      const belowPlace = below.place
      this.#put(below, place)
      this.#put(item, belowPlace)
    }
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.order < b.order)
}
