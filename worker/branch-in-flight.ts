/** One branch in this process: its slot, through its life (held, given back, waited for, over), and where its report goes. */
import type { Execution } from '../lib/engine/execution.js'
import type { PackedWriter } from '../lib/engine/packing.js'
import type { BranchKeeper, BranchReport } from '../lib/engine/task-start.js'
import type { GrantInFlight } from './grant-in-flight.js'
import type { Slots } from './slots.js'

/** Hears how a start ended; the branch has its slot until it is told to `end`. */
type Ended = (grant: GrantInFlight, k: number, execution: Execution, report: BranchReport) => void

export class BranchInFlight implements BranchKeeper {
  /** Undefined until its start has returned. */
  execution: Execution | undefined
  /** By the loop's own time. */
  readonly startedAt: number
  readonly #slots: Slots
  readonly #ended: Ended
  readonly #grant: GrantInFlight
  readonly #k: number
  #slot: 'held' | 'given back' | 'over' = 'held'

  constructor(slots: Slots, ended: Ended, grant: GrantInFlight, k: number, startedAt: number) {
    this.startedAt = startedAt
    this.#slots = slots
    this.#ended = ended
    this.#grant = grant
    this.#k = k
  }

  get values(): PackedWriter {
    return this.#grant.values
  }

  ended(execution: Execution, report: BranchReport): void {
    this.#ended(this.#grant, this.#k, execution, report)
  }

  giveBack(): void {
    if (this.#slot !== 'held') return
    this.#slot = 'given back'
    const { share, grant } = this.#grant
    if (share !== undefined) share.held -= 1
    this.#slots.countSuspended(grant.spec.depth, 1)
    this.#slots.release()
  }

  takeAgain(): Promise<void> {
    if (this.#slot !== 'given back') return Promise.resolve()
    return new Promise((resolve) => {
      this.#slots.take(() => {
        resolve()
        if (this.#slot !== 'given back') return false
        this.#slot = 'held'
        const { share, grant } = this.#grant
        if (share !== undefined) share.held += 1
        this.#slots.countSuspended(grant.spec.depth, -1)
        return true
      })
    })
  }

  /** The branch is over, whatever its handler still does. */
  end(): void {
    const before = this.#slot
    this.#slot = 'over'
    const { share, grant } = this.#grant
    if (before === 'held') {
      if (share !== undefined) share.held -= 1
      this.#slots.release()
    }
    if (before === 'given back') this.#slots.countSuspended(grant.spec.depth, -1)
  }
}
