/** One branch in this process: its slot, and where the report of its start goes. The only object that the executor makes for each branch. */
import type { Park } from '../backend/backend.js'
import type { BranchKeeper, FailedStart } from '../engine/branch-keeper.js'
import type { Execution } from '../engine/execution.js'
import type { GrantInFlight } from './grant-in-flight.js'
import type { QueueShare, SlotHolder, Slots, SlotState } from './slots.js'

/** Is called when a start is over and its report is among those of its grant. The branch has its slot until its `end` is called. */
export interface BranchEnds {
  ended(branch: BranchInFlight, execution: Execution, failure: FailedStart | undefined): void
  /** The same of a branch that is given back until it can go on. */
  parked(branch: BranchInFlight, execution: Execution): void
  /** Its handler waits for nothing but time or signals from now on. */
  waitsOnly(branch: BranchInFlight): void
}

export class BranchInFlight implements BranchKeeper, SlotHolder {
  /** Undefined until its start has returned. */
  execution: Execution | undefined
  slotState: SlotState = 'held'
  readonly grant: GrantInFlight
  /** Its number in the grant. */
  readonly k: number
  /** By the executor's own time. */
  readonly startedAt: number
  readonly #slots: Slots
  readonly #ends: BranchEnds

  /** @param slots one of which is in use for it from now on */
  constructor(slots: Slots, ends: BranchEnds, grant: GrantInFlight, k: number, startedAt: number) {
    this.grant = grant
    this.k = k
    this.startedAt = startedAt
    this.#slots = slots
    this.#ends = ends
  }

  get depth(): number {
    return this.grant.grant.spec.depth
  }

  get share(): QueueShare | undefined {
    return this.grant.share
  }

  succeeded(execution: Execution, output: unknown, maxBytes: number): number {
    const bytes = this.grant.reports.addSuccess(this.k, output, maxBytes, this.startedAt)
    if (bytes <= maxBytes) this.#ends.ended(this, execution, undefined)
    return bytes
  }

  failed(execution: Execution, failure: FailedStart): void {
    this.grant.reports.addFailure(this.k, failure, this.startedAt)
    this.#ends.ended(this, execution, failure)
  }

  parked(execution: Execution, park: Park): void {
    this.grant.reports.addParked(this.k, park)
    this.#ends.parked(this, execution)
  }

  waitsOnly(): void {
    this.#ends.waitsOnly(this)
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
