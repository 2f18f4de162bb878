/** sweep: any process, any time. */
import type { SweepAnswer } from '../../backend.js'
import { listOf, numberOf } from '../replies.js'
import type { Store } from '../store.js'
import { unexpectedAnswer, wordOf } from './words.js'

/** Sweeps once; within 100 ms of another it is `skip`. */
export async function sweep(store: Store): Promise<SweepAnswer> {
  const reply = await store.shard.call('sweep', [])
  const word = wordOf(reply)
  switch (word) {
    case 'OK': {
      const [, reclaimed, due] = listOf(reply)
      const nextDueMs = numberOf(due)
      return {
        status: 'ok',
        reclaimed: numberOf(reclaimed),
        nextDueMs: nextDueMs < 0 ? undefined : nextDueMs,
      }
    }
    case 'SKIP': {
      const nextLookMs = numberOf(listOf(reply)[1])
      return { status: 'skip', ...(nextLookMs >= 0 && { nextDueMs: nextLookMs }) }
    }
    case 'GRACE':
      return { status: 'grace' }
    default:
      throw unexpectedAnswer('sweep', word)
  }
}
