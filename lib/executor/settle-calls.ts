/** Ranges to be settled, as calls that the store takes, and what came of such a call. */
import type { BackendLimits, SettleAnswer, SettleKind, SettleRange } from '../backend/backend.js'
import type { GraflowError } from '../errors.js'
import { encodeFailure } from '../values/codec.js'
import { byteLength, packOne, slice } from '../values/packed-items.js'
import type { TaskCounts } from '../events.js'
import type { GrantInFlight } from './grant-in-flight.js'

/** A range, whose it is, and how long its starts took, each on average. */
export interface Unsettled {
  readonly range: SettleRange
  readonly grant: GrantInFlight
  readonly meanMs: number
}

/** Ranges in as many lists as it takes to keep each within the limits of a call; each range alone is. */
export function inCalls(all: readonly Unsettled[], { itemsPerCall, bytesPerCall }: BackendLimits): Unsettled[][] {
  const calls: Unsettled[][] = []
  let call: Unsettled[] = []
  let items = 0
  let bytes = 0
  for (const unsettled of all) {
    const { kinds, values } = unsettled.range
    items += kinds.length
    bytes += byteLength(values)
    if (call.length === 0 || items > itemsPerCall || bytes > bytesPerCall) {
      calls.push((call = []))
      items = kinds.length
      bytes = byteLength(values)
    }
    call.push(unsettled)
  }
  return calls
}

/**
 * What to settle instead of a range that the store does not take, since a value in it is too large: each branch alone; of one alone, that it
 * failed for this. Nothing where even that was refused.
 */
export function insteadOf({ range, ...rest }: Unsettled, error: GraflowError): readonly Unsettled[] {
  const { gid, token, indexes, kinds, values, delaysMs, save } = range
  const parks = [...(range.parks ?? [])]
  if (kinds.length > 1) {
    return kinds.map((kind, i) => ({
      ...rest,
      range: {
        ...{ gid, token, indexes: indexes.slice(i, i + 1), kinds: [kind], values: slice(values, i, i + 1) },
        ...(delaysMs !== undefined && { delaysMs: delaysMs.slice(i, i + 1) }),
        ...(kind === 'parked' && { parks: parks.splice(0, 1) }),
        ...(save !== undefined && i === 0 && { save }),
      },
    }))
  }
  const failure = packOne(encodeFailure(error))
  if (save === undefined && byteLength(values) <= byteLength(failure)) return []
  return [{ ...rest, range: { gid, token, indexes, kinds: ['failed'], values: failure } }]
}

/** What the store counted of the ranges of a call: in all, and by task, without what counts elsewhere; what it refused as fenced, too. */
export function countKinds(
  call: readonly Unsettled[],
  answers: readonly SettleAnswer[],
): {
  readonly succeeded: number
  readonly failed: number
  readonly retried: number
  readonly fenced: number
  readonly tasks: readonly TaskCounts[]
} {
  const byTask = new Map<string, MutableCounts>()
  let fenced = 0
  for (const [i, { range, grant, meanMs }] of call.entries()) {
    const { kinds, indexes } = range
    if (answers[i] === 'fenced') fenced += kinds.length
    if (answers[i] !== 'ok') continue
    const { isOneTask } = grant
    for (let from = 0; from < kinds.length; ) {
      const to = isOneTask ? kinds.length : from + 1
      const task = grant.labelOf(indexes[from] ?? 0)
      if (task !== undefined) addKinds(countsOf(byTask, task), kinds, from, to, meanMs)
      from = to
    }
  }
  const tasks = [...byTask.values()].filter(({ succeeded, failed, retried }) => succeeded + failed + retried > 0)
  const sum = (of: 'succeeded' | 'failed' | 'retried'): number => tasks.reduce((all, counts) => all + counts[of], 0)
  return { succeeded: sum('succeeded'), failed: sum('failed'), retried: sum('retried'), fenced, tasks }
}

type MutableCounts = { -readonly [K in keyof TaskCounts]: TaskCounts[K] }

function countsOf(byTask: Map<string, MutableCounts>, task: string): MutableCounts {
  let counts = byTask.get(task)
  if (counts === undefined) byTask.set(task, (counts = { task, succeeded: 0, failed: 0, retried: 0, durationMs: 0 }))
  return counts
}

/** Those from `from` on, before `to`; what was released counts for nothing. */
function addKinds(counts: MutableCounts, kinds: readonly SettleKind[], from: number, to: number, meanMs: number): void {
  for (let k = from; k < to; k += 1) {
    const kind = kinds[k]
    if (kind === 'released' || kind === 'parked') continue
    if (kind === 'succeeded') counts.succeeded += 1
    else if (kind === 'retry') counts.retried += 1
    else counts.failed += 1
    counts.durationMs += meanMs
  }
}
