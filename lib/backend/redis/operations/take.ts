/** take: a run by its id, for a session. */
import type { TakeAnswer, TakeRequest } from '../../backend.js'
import { listOf, textOf } from '../replies.js'
import type { Store } from '../store.js'
import { grantsFrom } from './grants.js'
import { unexpectedAnswer, wordOf } from './words.js'

/** Takes a run that nobody drives. Repeated with its nonce it answers the same grant, as long as that is held. */
export async function take(store: Store, { session, nonce, runId }: TakeRequest): Promise<TakeAnswer> {
  const reply = await store.shard.call('take', [session, nonce, runId, store.times.deadlineGraceMs])
  const word = wordOf(reply)
  switch (word) {
    case 'OK': {
      const [grant] = await grantsFrom(store, listOf(reply), 1, 1)
      return grant === undefined ? { status: 'gone' } : { status: 'ok', grant }
    }
    case 'HELD':
      return { status: 'held', session: textOf(listOf(reply)[1]) }
    case 'WAITING':
      return { status: 'waiting' }
    case 'PAUSED':
      return { status: 'paused' }
    case 'OVER':
      return { status: 'over' }
    case 'GONE':
      return { status: 'gone' }
    case 'NOSESSION':
      return { status: 'nosession' }
    default:
      throw unexpectedAnswer('take', word)
  }
}
