/**
 * Hides how many branches may run at once, and in which order they get their slots. A slot is the right to run one branch. It goes first to
 * a branch that resumes, then to a new one. With very many branches suspended, only the groups that they wait for may be acquired.
 */
import { doHandlersAwaitRuns } from '../engine/calling-handler.js'
import type { Slot } from '../engine/execution.js'

/** Branches that may wait at inner barriers at once; beyond that only deeper groups are taken. */
const MOST_SUSPENDED = 1_000

/** Where a holder of a slot is in its life. Over is the end; between the others it goes back and forth. */
export type SlotState = 'held' | 'suspended' | 'over'

/** Whatever has a slot for a while. Its state is a field of its own, and not an object, because every branch has one. */
export interface SlotHolder {
  /** Changed by `Slots` alone. */
  slotState: SlotState
  /** Groups above it. */
  readonly depth: number
  /** Of its queue, where that has a limit here. */
  readonly share: QueueShare | undefined
}

/** What one queue may have in flight here. */
export interface QueueShare {
  readonly limit: number
  /** Acquired and not over, without those that wait without a slot: as many as are here are not asked for. */
  held: number
  /** Those of them that have a slot: never more than the limit, however they came by it. */
  running: number
  /** How many have begun or gone on so far. */
  starts: number
}

export const newShare = (limit: number): QueueShare => ({ limit, held: 0, running: 0, starts: 0 })

/** Waits for a slot, and for its share of it. */
interface Waiter {
  readonly share: QueueShare | undefined
  /** Says whether it still wants the slot that it is offered. */
  readonly use: () => boolean
}

export class Slots {
  readonly #onFree: () => void
  #free: number
  readonly #waiting: Waiter[] = []
  /** Those who wait are being served: a slot that comes free meanwhile is seen there. */
  #isServing = false
  /** How many suspended branches there are, in all and at each depth. */
  #suspended = 0
  readonly #suspendedAt = new Map<number, number>()
  #turnover = 0

  /** @param onFree there may be room for new branches: called inside whatever made it, so it must not start any at once */
  constructor(count: number, onFree: () => void) {
    this.#free = count
    this.#onFree = onFree
  }

  get free(): number {
    return this.#free
  }

  /** Grows whenever a slot changes hands. */
  get turnover(): number {
    return this.#turnover
  }

  /** With very many branches suspended: the depth below which groups are what they wait for. */
  get onlyDeeperThan(): number | undefined {
    return this.#suspended < MOST_SUSPENDED || doHandlersAwaitRuns() ? undefined : Math.max(...this.#suspendedAt.keys())
  }

  /** Whether a branch of this share may have a slot now. */
  hasRoom(share: QueueShare | undefined): boolean {
    return this.#free > 0 && (share === undefined || share.running < share.limit)
  }

  /** One slot for a new holder; there must be room. */
  use(share?: QueueShare): void {
    this.#turnover += 1
    this.#free -= 1
    if (share === undefined) return
    share.running += 1
    share.starts += 1
  }

  /** One slot for a new holder, as soon as there is room; the function that this gives takes it out of the line. */
  take(share: QueueShare | undefined, use: () => void): () => void {
    const waiter: Waiter = {
      share,
      use: () => {
        use()
        return true
      },
    }
    this.#offer(waiter)
    return () => {
      const place = this.#waiting.indexOf(waiter)
      if (place >= 0) this.#waiting.splice(place, 1)
    }
  }

  /** The holder waits: others may have its slot until it resumes. */
  suspend(holder: SlotHolder): void {
    if (holder.slotState !== 'held') return
    holder.slotState = 'suspended'
    if (holder.share !== undefined) holder.share.held -= 1
    this.#countSuspended(holder.depth, 1)
    this.#release(holder.share)
  }

  /** Resolves when the holder has a slot again, within its share, or needs none any more. */
  resume(holder: SlotHolder): Promise<void> {
    if (holder.slotState !== 'suspended') return Promise.resolve()
    return new Promise((resolve) => {
      const use = (): boolean => {
        resolve()
        if (holder.slotState !== 'suspended') return false
        holder.slotState = 'held'
        if (holder.share !== undefined) holder.share.held += 1
        this.#countSuspended(holder.depth, -1)
        return true
      }
      this.#offer({ share: holder.share, use })
    })
  }

  /** The holder is over, whatever its handler still does. Repeating it changes nothing. */
  end(holder: SlotHolder): void {
    const before = holder.slotState
    holder.slotState = 'over'
    if (before === 'held') {
      if (holder.share !== undefined) holder.share.held -= 1
      this.#release(holder.share)
    }
    if (before === 'suspended') this.#countSuspended(holder.depth, -1)
  }

  #offer(waiter: Waiter): void {
    if (this.hasRoom(waiter.share)) this.#serve(waiter)
    else this.#waiting.push(waiter)
  }

  #serve({ share, use }: Waiter): void {
    this.use(share)
    if (!use()) this.#giveBack(share)
  }

  #giveBack(share: QueueShare | undefined): void {
    this.#free += 1
    if (share !== undefined) share.running -= 1
  }

  /** First come, first served; a branch that waits for its share holds up no branch of another share. */
  #release(share: QueueShare | undefined): void {
    this.#turnover += 1
    this.#giveBack(share)
    // Whoever is served may be over at once, and free its slot in here: with thousands that wait, each inside the other would be too deep.
    if (this.#isServing) return
    this.#isServing = true
    for (let i = 0; i < this.#waiting.length && this.#free > 0; ) {
      const waiter = this.#waiting[i]
      if (waiter === undefined || !this.hasRoom(waiter.share)) {
        i += 1
        continue
      }
      this.#waiting.splice(i, 1)
      const before = this.#free
      this.#serve(waiter)
      if (this.#free >= before) i = 0 // one that was passed by may have room now
    }
    this.#isServing = false
    if (this.#free > 0) this.#onFree()
  }

  #countSuspended(depth: number, change: 1 | -1): void {
    const wasCrowded = this.#suspended >= MOST_SUSPENDED
    this.#suspended += change
    const count = (this.#suspendedAt.get(depth) ?? 0) + change
    if (count === 0) this.#suspendedAt.delete(depth)
    else this.#suspendedAt.set(depth, count)
    // The depth to ask for has changed, so the last request may have been too narrow.
    if (wasCrowded && change < 0) this.#onFree()
  }
}

/** The slot of a driven run. */
export class HeldSlot implements Slot, SlotHolder {
  slotState: SlotState = 'held'
  readonly depth = 0
  readonly share: QueueShare | undefined
  readonly #slots: Slots

  /** @param slots one of which is in use for it from now on */
  constructor(slots: Slots, share: QueueShare | undefined) {
    this.#slots = slots
    this.share = share
  }

  suspend(): void {
    this.#slots.suspend(this)
  }

  resume(): Promise<void> {
    return this.#slots.resume(this)
  }

  end(): void {
    this.#slots.end(this)
  }
}
