/** What the engine needs of the executor or driver that keeps a branch while it runs: a slot, and one place to report how its start ended. */
import type { Park } from '../backend/backend.js'
import type { GraflowError } from '../errors.js'
import type { Execution, Slot } from './execution.js'

/** How a start ended that did not succeed. */
export interface FailedStart {
  readonly kind: 'failed' | 'dead' | 'retry'
  /** Before the next start; 0 after the last. */
  readonly delayMs: number
  readonly error: GraflowError
}

/**
 * One of its methods is called once when the start is over, maybe before it was begun in full; none once the execution's `cancel` was
 * aborted: a branch that was withdrawn or lost reports nothing.
 */
export interface BranchKeeper extends Slot {
  /**
   * Takes the output of a start that succeeded, and says how many bytes it has. With more than `maxBytes` it is not taken, and the start is
   * not over.
   * @throws GraflowError NOT_SERIALISABLE: nor is it then
   */
  succeeded(execution: Execution, output: unknown, maxBytes: number): number
  failed(execution: Execution, failure: FailedStart): void
  /** The branch only waits: it is given back until it can go on. */
  parked(execution: Execution, park: Park): void
}
