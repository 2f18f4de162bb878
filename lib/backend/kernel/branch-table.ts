/**
 * The branch table: 8 bytes a branch, and the only truth about it. Byte 0 is its state, 1 the starts that ended in an error, 2 the
 * grants that were lost, 3 flags, 4 to 7 the number of the grant under which it was last granted (0: none, or reclaimed).
 * This file alone knows the layout. Loops over many branches live here, since they decide what a branch costs.
 */
import type { SettleKind } from '../backend.js'
import { MOST_COUNTED } from '../request-checks.js'

export type BranchState = 'ready' | 'granted' | 'delayed' | 'succeeded' | 'failed' | 'dead'

const STATES: readonly BranchState[] = ['ready', 'granted', 'delayed', 'succeeded', 'failed', 'dead']
const READY = 0
const GRANTED = 1
const DELAYED = 2
const SUCCEEDED = 3
const FAILED = 4
const DEAD = 5

const OUTLASTED_FLAG = 1 << 24
const PARKED_FLAG = 1 << 25
const STATE_MASK = 0xff
/** What a final state keeps of the word: the counters. */
const COUNTERS_MASK = 0x00ffff00

/** Branches that were not final when their group closed. */
export interface WithdrawnBranches {
  readonly indexes: Uint32Array
  readonly kinds: readonly ('cancelled' | 'skipped')[]
}

/** Two words a branch: state and counters, then the grant number. An index outside the table reads as no branch at all. */
export class BranchTable {
  readonly size: number
  readonly #words: Uint32Array

  constructor(size: number) {
    this.size = size
    this.#words = new Uint32Array(size * 2)
  }

  /** The table's bytes, for snapshots; not to be changed. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.#words.buffer)
  }

  state(index: number): BranchState {
    return STATES[this.#word(index) & STATE_MASK] ?? 'ready'
  }

  errors(index: number): number {
    return (this.#word(index) >>> 8) & 0xff
  }

  losses(index: number): number {
    return (this.#word(index) >>> 16) & 0xff
  }

  /** Number of the grant it was last granted under. */
  grantNumber(index: number): number {
    return this.#words[index * 2 + 1] ?? 0
  }

  isReady(index: number): boolean {
    return index < this.size && (this.#word(index) & STATE_MASK) === READY
  }

  isHeldUnder(index: number, grant: number): boolean {
    return this.#words[index * 2 + 1] === grant && (this.#word(index) & STATE_MASK) === GRANTED
  }

  /** Whether the deadline of its group counts no more under the current grant: a step of its holder reported the task in hand. */
  hasOutlasted(index: number): boolean {
    return (this.#word(index) & OUTLASTED_FLAG) !== 0
  }

  /** Grants branches that were never granted before: `from` (with) to `to` (without). */
  grantFresh(from: number, to: number, grant: number): void {
    const words = this.#words
    for (let at = from * 2, end = to * 2; at < end; at += 2) {
      words[at] = GRANTED
      words[at + 1] = grant
    }
  }

  /** Grants one branch and says under which grant it stood before. */
  grant(index: number, grant: number): number {
    const before = this.grantNumber(index)
    this.#setState(index, GRANTED)
    this.#words[index * 2 + 1] = grant
    return before
  }

  /**
   * Settles branches held under this grant, in order, until one is met that is not held so or whose kind is not final. Says how many
   * it settled; a doubled index stops it, because the first mention has settled the branch.
   */
  settleFinals(indexes: Uint32Array, kinds: readonly SettleKind[], grant: number): number {
    const words = this.#words
    const count = indexes.length
    for (let i = 0; i < count; i++) {
      const kind = kinds[i]
      const state = kind === 'succeeded' ? SUCCEEDED : kind === 'failed' ? FAILED : kind === 'dead' ? DEAD : READY
      const at = (indexes[i] as number) * 2 // i is below the length
      const word = words[at]
      if (state === READY || word === undefined || (word & STATE_MASK) !== GRANTED || words[at + 1] !== grant) return i
      words[at] = (word & COUNTERS_MASK) | state
    }
    return count
  }

  /** The branch has its final state. */
  finish(index: number, kind: 'succeeded' | 'failed' | 'dead'): void {
    const state = kind === 'succeeded' ? SUCCEEDED : kind === 'failed' ? FAILED : DEAD
    this.#setState(index, state)
  }

  makeReady(index: number): void {
    this.#setState(index, READY)
  }

  /** Ready as one that was never started. */
  makeAnew(index: number): void {
    this.#words[index * 2] = READY
  }

  makeDelayed(index: number): void {
    this.#setState(index, DELAYED)
  }

  /** Delayed until somebody wakes it. */
  makeParked(index: number): void {
    this.#setState(index, DELAYED)
    this.#words[index * 2] = this.#word(index) | PARKED_FLAG
  }

  isParked(index: number): boolean {
    return (this.#word(index) & (PARKED_FLAG | STATE_MASK)) === (PARKED_FLAG | DELAYED)
  }

  /** The grant it was granted under means nothing any more: it was reclaimed. */
  forgetGrant(index: number): void {
    this.#words[index * 2 + 1] = 0
  }

  /** Counts a start that ended in an error; says how many there are now. */
  addError(index: number): number {
    const errors = this.errors(index)
    if (errors === MOST_COUNTED) return errors
    this.#words[index * 2] = this.#word(index) + 0x100
    return errors + 1
  }

  /** Counts a lost grant; says how many there are now. */
  addLoss(index: number): number {
    const losses = this.losses(index)
    if (losses === MOST_COUNTED) return losses
    this.#words[index * 2] = this.#word(index) + 0x10000
    return losses + 1
  }

  /** Its holder has taken a step: its deadline does not count until it is granted again. */
  markOutlasted(index: number): void {
    this.#words[index * 2] = this.#word(index) | OUTLASTED_FLAG
  }

  /** How many branches are in each state. */
  counts(): Record<BranchState, number> {
    const counts: Record<BranchState, number> = { ready: 0, granted: 0, delayed: 0, succeeded: 0, failed: 0, dead: 0 }
    for (let i = 0; i < this.size; i++) counts[this.state(i)] += 1
    return counts
  }

  /**
   * Branches without a final state: cancelled where a start had begun or one was counted before, skipped where none was. A grant
   * that was released counts nothing, so it is no start; a parked branch has begun.
   */
  withdrawn(): WithdrawnBranches {
    const indexes: number[] = []
    const kinds: ('cancelled' | 'skipped')[] = []
    for (let i = 0; i < this.size; i++) {
      const word = this.#word(i)
      if ((word & STATE_MASK) >= SUCCEEDED) continue
      indexes.push(i)
      const hasBegun = (word & STATE_MASK) === GRANTED || (word & (COUNTERS_MASK | PARKED_FLAG)) !== 0
      kinds.push(hasBegun ? 'cancelled' : 'skipped')
    }
    return { indexes: Uint32Array.from(indexes), kinds }
  }

  #word(index: number): number {
    return this.#words[index * 2] ?? READY
  }

  #setState(index: number, state: number): void {
    this.#words[index * 2] = (this.#word(index) & COUNTERS_MASK) | state
  }
}
