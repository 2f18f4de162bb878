/**
 * Hides how the reports of one grant's branches are kept until they are settled: value, kind and delay of each are noted together, in flat
 * lists, without an object for each branch.
 */
import type { BackendLimits, Grant, Park, SavedValues, SettleKind, SettleRange } from '../backend/backend.js'
import type { FailedStart } from '../engine/branch-keeper.js'
import { encodeTimes, type RangeTimes } from '../values/branch-times.js'
import { byteLength, EMPTY_BYTES, slice } from '../values/packed-items.js'
import { PackedValue } from '../values/packed-arrays.js'
import { ValueWriter } from '../values/value-lists.js'

/** Of a branch that is released, or that waits. */
const NOT_STARTED = -1
const FINAL: ReadonlySet<SettleKind> = new Set(['succeeded', 'failed', 'dead'])

/** When the branches of a range were over, and where. */
export type Over = Pick<RangeTimes, 'workerId' | 'isNamed' | 'end' | 'endAt'>

/** One a grant. */
export class Reports {
  readonly #grant: Grant
  /** Results and errors, by position as the lists below. */
  readonly #values = new ValueWriter()
  /** When each was started, in the executor's own time. */
  #starts: number[] = []
  #count = 0
  #firstK = 0
  /** Undefined while they are neighbours in order, as nearly always: `#count` of them from `#firstK` on. */
  #ks: number[] | undefined
  /** Undefined while all have succeeded, as nearly always. */
  #kinds: SettleKind[] | undefined
  /** Undefined while none is to wait. */
  #delaysMs: number[] | undefined
  /** One for each kind `parked`, in their order. */
  #parks: Park[] | undefined
  readonly #savePaths: string[] = []
  #saves: ValueWriter | undefined

  /** Whether some of the grant's branches were started before. */
  readonly #isAgain: boolean

  constructor(grant: Grant) {
    this.#grant = grant
    this.#isAgain = grant.errors.some((n) => n > 0) || grant.losses.some((n) => n > 0)
  }

  /**
   * Branch k succeeded; its output may be packed. Says how many bytes it has; with more than `maxBytes` nothing is noted.
   * @throws GraflowError NOT_SERIALISABLE, with nothing noted
   */
  addSuccess(k: number, output: unknown, maxBytes: number, startedAt = NOT_STARTED): number {
    const bytes = output instanceof PackedValue ? output.bytes.length : this.#values.encode(output, maxBytes)
    if (bytes > maxBytes) return bytes
    if (output instanceof PackedValue) this.#values.push(output.bytes)
    this.#add(k, 'succeeded', 0, startedAt)
    return bytes
  }

  /** A start of branch k failed. */
  addFailure(k: number, { kind, delayMs, error }: FailedStart, startedAt = NOT_STARTED): void {
    this.#values.encodeFailure(error)
    this.#add(k, kind, delayMs, startedAt)
  }

  /** Branch k is released, unspent. */
  addReleased(k: number): void {
    this.#values.push(EMPTY_BYTES)
    this.#add(k, 'released', 0)
  }

  /** Branch k is given back until what it waits for is there. */
  addParked(k: number, park: Park): void {
    this.#values.push(EMPTY_BYTES)
    this.#add(k, 'parked', 0)
    this.#parks ??= []
    this.#parks.push(park)
  }

  /** Outputs inside a branch that are to be saved with the next settle. */
  addSaves({ paths, values }: SavedValues): void {
    this.#saves ??= new ValueWriter()
    for (const [i, path] of paths.entries()) {
      this.#savePaths.push(path)
      this.#saves.push(values.bytes, values.ends[i - 1] ?? 0, values.ends[i])
    }
  }

  /**
   * What was noted since the last time, in as many ranges as it takes to keep each within the limits of a call.
   * @param over when all of it was over; undefined where the store is not to know
   */
  takeRanges({ itemsPerCall, bytesPerCall }: BackendLimits, over?: Over): SettleRange[] {
    const indexes = this.#takeIndexes()
    const kinds = this.#kinds ?? successes(indexes.length)
    const delaysMs = this.#delaysMs
    const parks = this.#parks
    const values = this.#values.take()
    const saves = this.#savePaths.length > 0 ? this.#saves : undefined
    const isAll = indexes.length <= itemsPerCall && values.bytes.length <= bytesPerCall
    const starts = this.#starts
    this.#starts = []
    const ranges: SettleRange[] = []
    for (let from = 0; from < indexes.length; ) {
      let to = isAll ? indexes.length : from + 1
      while (to < indexes.length && to - from < itemsPerCall && byteLength(values, from, to + 1) <= bytesPerCall)
        to += 1
      ranges.push({
        gid: this.#grant.spec.gid,
        token: this.#grant.token,
        indexes: isAll ? indexes : indexes.slice(from, to),
        kinds: isAll ? kinds : kinds.slice(from, to),
        values: isAll ? values : slice(values, from, to),
        ...(delaysMs !== undefined && { delaysMs: delaysMs.slice(from, to) }),
        ...(parks !== undefined && { parks: parks.splice(0, countParked(kinds, from, to)) }),
        ...(over !== undefined && this.#times(indexes, kinds, starts, from, to, over)),
        ...(from === 0 && saves !== undefined && { save: { paths: this.#savePaths.splice(0), values: saves.take() } }),
      })
      from = to
    }
    this.#kinds = undefined
    this.#delaysMs = undefined
    this.#parks = undefined
    return ranges
  }

  /** Its value is the last of `#values`. */
  #add(k: number, kind: SettleKind, delayMs: number, startedAt = NOT_STARTED): void {
    const count = this.#count
    if (count === 0) this.#firstK = k
    else if (k !== this.#firstK + count) this.#ks ??= Array.from({ length: count }, (_, i) => this.#firstK + i)
    if (kind !== 'succeeded') this.#kinds ??= [...successes(count)]
    if (delayMs > 0) this.#delaysMs ??= new Array<number>(count).fill(0)
    this.#count += 1
    this.#starts.push(startedAt)
    this.#ks?.push(k)
    this.#kinds?.push(kind)
    this.#delaysMs?.push(delayMs)
  }

  /** What the store keeps of the branches `from` on, before `to`, of those that were noted. */
  #times(
    indexes: Uint32Array,
    kinds: readonly SettleKind[],
    starts: readonly number[],
    from: number,
    to: number,
    over: Over,
  ): Pick<SettleRange, 'times'> {
    const isAll = to - from === starts.length
    const isMixed = this.#kinds !== undefined && kinds.slice(from, to).some((kind) => !FINAL.has(kind))
    const own = isAll ? indexes : indexes.subarray(from, to)
    const counts = this.#isAgain ? this.#countsOf(own) : undefined
    const times = encodeTimes({
      ...over,
      starts: isAll ? starts : starts.slice(from, to),
      ...(isMixed && { indexes: own }),
      ...(counts !== undefined && { counts }),
    })
    return times === undefined ? {} : { times }
  }

  #countsOf(indexes: Uint32Array): RangeTimes['counts'] {
    const { errors, losses } = this.#grant
    const ks = Array.from(indexes, (index) => this.#grant.indexes.indexOf(index))
    return { errors: ks.map((k) => errors[k] ?? 0), losses: ks.map((k) => losses[k] ?? 0) }
  }

  /** A list of the grant's own, or a view of it, wherever that will do. */
  #takeIndexes(): Uint32Array {
    const { indexes } = this.#grant
    const ks = this.#ks
    const from = this.#firstK
    const to = from + this.#count
    this.#ks = undefined
    this.#count = 0
    if (ks !== undefined) return Uint32Array.from(ks, (k) => indexes[k] as number) // each is one of the grant's branches
    return to - from === indexes.length ? indexes : indexes.subarray(from, to)
  }
}

function countParked(kinds: readonly SettleKind[], from: number, to: number): number {
  let count = 0
  for (let i = from; i < to; i += 1) if (kinds[i] === 'parked') count += 1
  return count
}

let lastSuccesses: readonly SettleKind[] = []

/** So many times `succeeded`; the store keeps such a list for every batch, so batches of one size share theirs. */
function successes(count: number): readonly SettleKind[] {
  if (lastSuccesses.length !== count) lastSuccesses = new Array<SettleKind>(count).fill('succeeded')
  return lastSuccesses
}
