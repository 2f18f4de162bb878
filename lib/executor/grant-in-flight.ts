/** One grant in this process, from its arrival until all of its branches are over: which of them were started, and what they reported. */
import type { Grant } from '../backend/backend.js'
import type { Execution } from '../engine/execution.js'
import type { PreparedGrant } from '../engine/prepared-grant.js'
import { Reports } from './reports.js'
import type { QueueShare } from './slots.js'

/** A branch that was started and is not over. */
export interface StartedBranch {
  readonly execution: Execution | undefined
  /** Its slot is free from now on. */
  end(): void
}

export class GrantInFlight {
  readonly grant: Grant
  readonly prepared: PreparedGrant
  /** Of its queue, where that has a limit here. */
  readonly share: QueueShare | undefined
  /** By k, as far as they were started; undefined once over. */
  readonly branches: (StartedBranch | undefined)[] = []
  readonly reports: Reports
  /** Branches not over, whether started or not. */
  left: number
  /** Starts that have ended and whose time is not in the counters yet, and when they were started, summed up. */
  untimed = 0
  untimedStarts = 0
  /** In ms, as of the turn. */
  readonly arrivedAt: number
  /** When its run was last known not to be paused; undefined while that is being asked. As `arrivedAt`. */
  goesOnAt: number | undefined
  #toStart: number
  #labels: Map<number, string | undefined> | undefined

  /** @param arrivedAt when its run was not paused */
  constructor(prepared: PreparedGrant, share: QueueShare | undefined, arrivedAt: number) {
    this.prepared = prepared
    this.grant = prepared.grant
    this.share = share
    this.arrivedAt = arrivedAt
    this.goesOnAt = arrivedAt
    this.reports = new Reports(this.grant)
    this.left = this.grant.indexes.length
    this.#toStart = this.left
  }

  /** Branches that wait for a slot: from number `branches.length` on. */
  get unstarted(): number {
    return this.#toStart - this.branches.length
  }

  /** Those that wait behind the first `keep` will not be started; says how many they were. */
  withdrawUnstarted(keep = 0): number {
    const count = Math.max(0, this.unstarted - keep)
    this.#toStart -= count
    this.left -= count
    return count
  }

  /** Branch k, which was started, is over. */
  endBranch(k: number): void {
    this.branches[k] = undefined
    this.left -= 1
  }

  /** Whether all branches have the same label: those of an `each` do. */
  get isOneTask(): boolean {
    return this.prepared.node?.kind === 'each'
  }

  /** What metrics call the branch of this index; undefined when it is counted where its task runs. */
  labelOf(index: number): string | undefined {
    const key = this.isOneTask ? -1 : index
    this.#labels ??= new Map()
    if (this.#labels.has(key)) return this.#labels.get(key)
    const k = this.grant.indexes.indexOf(index)
    const label = this.prepared.isForwarded(k) ? undefined : this.prepared.branch(k).label
    this.#labels.set(key, label)
    return label
  }
}
