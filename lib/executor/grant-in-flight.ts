/** One grant's branches in this process, and what is to be settled of them. */
import type { BackendLimits, Grant, SavedValues, SettleKind, SettleRange } from '../backend/backend.js'
import { byteLength, slice } from '../values/packed-items.js'
import { ValueWriter } from '../values/value-lists.js'
import type { PreparedGrant } from '../engine/prepared-grant.js'
import type { BranchReport } from '../engine/task-start.js'
import type { BranchInFlight } from './branch-in-flight.js'
import type { QueueShare } from './slots.js'

/** From its arrival until all of its branches are over. */
export class GrantInFlight {
  readonly grant: Grant
  readonly prepared: PreparedGrant
  /** Of its queue, where that has a limit here. */
  readonly share: QueueShare | undefined
  /** By k, as far as they were started; undefined once over. */
  readonly branches: (BranchInFlight<GrantInFlight> | undefined)[] = []
  /** Branches not over, whether started or not. */
  left: number
  /** Starts that have ended and whose time is not in the counters yet, and when they were started, summed up. */
  untimed = 0
  untimedStarts = 0
  /** Results and errors of what is to be settled, by position as the lists below. */
  readonly values = new ValueWriter()
  #toStart: number
  #labels: Map<number, string | undefined> | undefined
  #count = 0
  #firstK = 0
  /** Undefined while they are neighbours in order, as nearly always: `#count` of them from `#firstK` on. */
  #ks: number[] | undefined
  /** Undefined while all have succeeded, as nearly always. */
  #kinds: SettleKind[] | undefined
  /** Undefined while none is to wait. */
  #delaysMs: number[] | undefined
  readonly #savePaths: string[] = []
  #saves: ValueWriter | undefined

  constructor(prepared: PreparedGrant, share: QueueShare | undefined) {
    this.prepared = prepared
    this.grant = prepared.grant
    this.share = share
    this.left = this.grant.indexes.length
    this.#toStart = this.left
  }

  /** Branches that wait for a slot: from number `branches.length` on. */
  get unstarted(): number {
    return this.#toStart - this.branches.length
  }

  /** Those that wait will not be started; says how many they were. */
  dismissUnstarted(): number {
    const count = this.unstarted
    this.#toStart -= count
    this.left -= count
    return count
  }

  /** What metrics call the branch of this index; undefined when it is counted where its task runs. */
  labelOf(index: number): string | undefined {
    // The branches of an each are all one task.
    const key = this.prepared.node?.kind === 'each' ? -1 : index
    this.#labels ??= new Map()
    if (this.#labels.has(key)) return this.#labels.get(key)
    const k = this.grant.indexes.indexOf(index)
    const label = this.prepared.isForwarded(k) ? undefined : this.prepared.branch(k).label
    this.#labels.set(key, label)
    return label
  }

  /** Notes how a start of branch k ended; its value is the last of `values`. */
  add(k: number, { kind, delayMs }: BranchReport): void {
    const count = this.#count
    if (count === 0) this.#firstK = k
    else if (k !== this.#firstK + count) this.#ks ??= Array.from({ length: count }, (_, i) => this.#firstK + i)
    if (kind !== 'succeeded') this.#kinds ??= [...successes(count)]
    if (delayMs > 0) this.#delaysMs ??= new Array<number>(count).fill(0)
    this.#count += 1
    this.#ks?.push(k)
    this.#kinds?.push(kind)
    this.#delaysMs?.push(delayMs)
  }

  addSaves({ paths, values }: SavedValues): void {
    this.#saves ??= new ValueWriter()
    for (const [i, path] of paths.entries()) {
      this.#savePaths.push(path)
      this.#saves.push(values.bytes, values.ends[i - 1] ?? 0, values.ends[i])
    }
  }

  /** What was noted since the last time, in as many ranges as it takes to keep each within the limits of a call. */
  takeRanges({ itemsPerCall, bytesPerCall }: BackendLimits): SettleRange[] {
    const indexes = this.#takeIndexes()
    const kinds = this.#kinds ?? successes(indexes.length)
    const delaysMs = this.#delaysMs
    const values = this.values.take()
    const saves = this.#savePaths.length > 0 ? this.#saves : undefined
    const isAll = indexes.length <= itemsPerCall && values.bytes.length <= bytesPerCall
    const ranges: SettleRange[] = []
    for (let from = 0; from < indexes.length; ) {
      let to = isAll ? indexes.length : from + 1
      while (to < indexes.length && to - from < itemsPerCall && byteLength(values, from, to + 1) <= bytesPerCall)
        to += 1
      ranges.push({
        gid: this.grant.spec.gid,
        token: this.grant.token,
        indexes: isAll ? indexes : indexes.slice(from, to),
        kinds: isAll ? kinds : kinds.slice(from, to),
        values: isAll ? values : slice(values, from, to),
        ...(delaysMs !== undefined && { delaysMs: delaysMs.slice(from, to) }),
        ...(from === 0 && saves !== undefined && { save: { paths: this.#savePaths.splice(0), values: saves.take() } }),
      })
      from = to
    }
    this.#kinds = undefined
    this.#delaysMs = undefined
    return ranges
  }

  /** A list of the grant's own, or a view of it, wherever that will do. */
  #takeIndexes(): Uint32Array {
    const { indexes } = this.grant
    const ks = this.#ks
    const from = this.#firstK
    const to = from + this.#count
    this.#ks = undefined
    this.#count = 0
    if (ks !== undefined) return Uint32Array.from(ks, (k) => indexes[k] as number) // each is one of the grant's branches
    return to - from === indexes.length ? indexes : indexes.subarray(from, to)
  }
}

let lastSuccesses: readonly SettleKind[] = []

/** So many times `succeeded`; the store keeps such a list for every batch, so batches of one size share theirs. */
function successes(count: number): readonly SettleKind[] {
  if (lastSuccesses.length !== count) lastSuccesses = new Array<SettleKind>(count).fill('succeeded')
  return lastSuccesses
}
