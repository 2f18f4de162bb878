/** Ranges to be settled, as calls that the store takes, and what came of such a call. */
import type { BackendLimits, SettleAnswer, SettleRange } from '../lib/backend/backend.js'
import { byteLength } from '../lib/backend/packed.js'

/** Ranges in as many lists as it takes to keep each within the limits of a call; each range alone is. */
export function inCalls(
  ranges: readonly SettleRange[],
  { itemsPerCall, bytesPerCall }: BackendLimits,
): SettleRange[][] {
  const calls: SettleRange[][] = []
  let call: SettleRange[] = []
  let items = 0
  let bytes = 0
  for (const range of ranges) {
    items += range.kinds.length
    bytes += byteLength(range.values)
    if (call.length === 0 || items > itemsPerCall || bytes > bytesPerCall) {
      calls.push((call = []))
      items = range.kinds.length
      bytes = byteLength(range.values)
    }
    call.push(range)
  }
  return calls
}

/** What the store counted of the ranges of a call, by kind; what it refused as fenced, too. */
export function countKinds(
  ranges: readonly SettleRange[],
  answers: readonly SettleAnswer[],
): { succeeded: number; failed: number; retried: number; fenced: number } {
  const counts = { succeeded: 0, failed: 0, retried: 0, fenced: 0 }
  for (const [i, { kinds }] of ranges.entries()) {
    if (answers[i] !== 'ok') {
      if (answers[i] === 'fenced') counts.fenced += kinds.length
      continue
    }
    for (const kind of kinds) {
      if (kind === 'succeeded') counts.succeeded += 1
      else if (kind === 'failed') counts.failed += 1
      else if (kind === 'retry') counts.retried += 1
    }
  }
  return counts
}
