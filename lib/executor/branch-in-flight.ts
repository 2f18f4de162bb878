/** One branch in this process: its slot, through its life (held, given back, waited for, over), and where its report goes. */
import type { Grant } from '../backend/backend.js'
import type { Execution } from '../engine/execution.js'
import type { ValueWriter } from '../values/value-lists.js'
import type { BranchKeeper, BranchReport } from '../engine/task-start.js'
import type { QueueShare, Slots } from './slots.js'

/** What a branch needs of the grant that it came with. */
export interface GrantOfBranch {
  readonly grant: Grant
  readonly share: QueueShare | undefined
  readonly values: ValueWriter
}

/** Hears how a start ended; the branch has its slot until it is told to `end`. */
type Ended<G extends GrantOfBranch> = (grant: G, k: number, execution: Execution, report: BranchReport) => void

export class BranchInFlight<G extends GrantOfBranch> implements BranchKeeper {
  /** Undefined until its start has returned. */
  execution: Execution | undefined
  /** By the loop's own time. */
  readonly startedAt: number
  readonly #slots: Slots
  readonly #ended: Ended<G>
  readonly #grant: G
  readonly #k: number
  #slot: 'held' | 'given back' | 'over' = 'held'

  constructor(slots: Slots, ended: Ended<G>, grant: G, k: number, startedAt: number) {
    this.startedAt = startedAt
    this.#slots = slots
    this.#ended = ended
    this.#grant = grant
    this.#k = k
  }

  get values(): ValueWriter {
    return this.#grant.values
  }

  ended(execution: Execution, report: BranchReport): void {
    this.#ended(this.#grant, this.#k, execution, report)
  }

  suspend(): void {
    if (this.#slot !== 'held') return
    this.#slot = 'given back'
    const { share, grant } = this.#grant
    if (share !== undefined) share.held -= 1
    this.#slots.countSuspended(grant.spec.depth, 1)
    this.#slots.release()
  }

  resume(): Promise<void> {
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
