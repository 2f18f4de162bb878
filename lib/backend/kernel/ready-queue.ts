/**
 * Queues and their order. A queue holds groups, not branches: those of which something can be granted now, in lanes of equal demands
 * (capabilities and tasks), so that a session skips all groups it cannot serve at the cost of one comparison. Within a lane: higher
 * priority first, then deeper, then dispatched earlier.
 */
import type { AskedTasks } from '../backend.js'
import { type Due, DueQueue } from './due-queue.js'

/** What this file knows of a group. */
interface Queued {
  readonly spec: { readonly priority: number; readonly depth: number }
  /** Dispatch order. */
  readonly sequence: number
  /** Whether it stands in its lane. */
  isQueued: boolean
}

/** A branch that waits for its retry. */
export interface DelayedBranch<G> extends Due {
  readonly group: G
  readonly index: number
}

/** With this many lanes a queue forgets the empty ones. */
const MANY_LANES = 64

/** Served places are cut off when there are this many and they are most of the array. */
const MANY_SERVED = 1_024

/** Groups of one queue that ask the same of a worker, in order. */
export class Lane<G extends Queued = Queued> {
  readonly queue: Queue<G>
  readonly requires: readonly string[]
  readonly tasks: readonly string[]
  /** What a session must know of its tasks; other than `all` while it is wide (wide-lanes.ts). */
  asks: AskedTasks = 'all'
  /** Branches of its open groups that are ready. */
  ready = 0
  /** Places below `#head` are empty: taking the first of many groups must not move the others. */
  readonly #groups: (G | undefined)[] = []
  #head = 0

  constructor(queue: Queue<G>, requires: readonly string[], tasks: readonly string[]) {
    this.queue = queue
    this.requires = requires
    this.tasks = tasks
  }

  get size(): number {
    return this.#groups.length - this.#head
  }

  at(position: number): G | undefined {
    return this.#groups[this.#head + position]
  }

  /** The group stands in the lane from now on. */
  enqueue(group: G): void {
    group.isQueued = true
    if (this.size === 0) this.queue.lanes.add(this)
    this.insert(group)
  }

  /** The group stands in the lane no more. */
  dequeue(group: G): void {
    group.isQueued = false
    this.remove(group)
    if (this.size === 0) this.queue.lanes.delete(this)
  }

  insert(group: G): void {
    const last = this.#groups[this.#groups.length - 1]
    if (last === undefined || isServedBefore(last, group)) {
      this.#groups.push(group)
      return
    }
    const place = this.#placeOf(group)
    if (place === this.#head && this.#head > 0) {
      this.#head -= 1
      this.#groups[this.#head] = group
    } else {
      this.#groups.splice(place, 0, group)
    }
  }

  remove(group: G): void {
    const place = this.#placeOf(group)
    if (this.#groups[place] !== group) return
    if (place > this.#head) {
      this.#groups.splice(place, 1)
      return
    }
    this.#groups[place] = undefined
    this.#head += 1
    const isMostlyServed = this.#head > MANY_SERVED && this.#head * 2 > this.#groups.length
    if (this.#head < this.#groups.length && !isMostlyServed) return
    this.#groups.splice(0, this.#head)
    this.#head = 0
  }

  /** Where the group stands or would stand. */
  #placeOf(group: G): number {
    let low = this.#head
    let high = this.#groups.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#groups[middle]
      if (other !== undefined && isServedBefore(other, group)) low = middle + 1
      else high = middle
    }
    return low
  }
}

export class Queue<G extends Queued = Queued> {
  readonly name: string
  isPaused = false
  /** Branches of its open groups, by what they are now. */
  ready = 0
  delayed = 0
  granted = 0
  readonly delays = new DueQueue<DelayedBranch<G>>()
  /** Lanes in which a group stands. */
  readonly lanes = new Set<Lane<G>>()
  /** Lanes by their demands; a forgotten one lives on in its groups, and two of one kind do no harm. */
  readonly #byKey = new Map<string, Lane<G>>()

  constructor(name: string) {
    this.name = name
  }

  lane(requires: readonly string[], tasks: readonly string[]): Lane<G> {
    const key = `${requires.join(' ')}|${tasks.join(' ')}`
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    if (this.#byKey.size >= MANY_LANES) this.#forgetUnused()
    const lane = new Lane<G>(this, requires, tasks)
    this.#byKey.set(key, lane)
    return lane
  }

  /** Nothing was ever put here. */
  get isUnused(): boolean {
    return this.#byKey.size === 0
  }

  #forgetUnused(): void {
    for (const [key, lane] of this.#byKey) if (lane.size === 0) this.#byKey.delete(key)
  }
}

/** From now on a group of which nothing is ready stands in the lane of what is left of it: of a worker it asks these tasks. */
export function relane<G extends Queued & { lane: Lane<G> }>(group: G, tasks: readonly string[]): void {
  const { queue, requires } = group.lane
  group.lane = queue.lane(requires, tasks)
}

/** The order of service; no two groups have one sequence number. */
export function isServedBefore(a: Pick<Queued, 'spec' | 'sequence'>, b: Pick<Queued, 'spec' | 'sequence'>): boolean {
  if (a.spec.priority !== b.spec.priority) return a.spec.priority > b.spec.priority
  if (a.spec.depth !== b.spec.depth) return a.spec.depth > b.spec.depth
  return a.sequence < b.sequence
}
