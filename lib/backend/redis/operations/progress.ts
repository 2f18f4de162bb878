/** How far handlers of a run are. */
import { GraflowError } from '../../../errors.js'
import type { ProgressRequest } from '../../backend.js'
import type { Store } from '../store.js'
import { unexpectedAnswer, wordOf } from './words.js'

export async function noteProgress(
  store: Store,
  { runId, notes }: ProgressRequest,
): Promise<'ok' | 'gone' | 'backpressure'> {
  const args = notes.flatMap(({ path, fence, value }) => [path, fence, value])
  try {
    const word = wordOf(await store.shard.call('progress', [runId, ...args]))
    if (word !== 'OK' && word !== 'GONE') throw unexpectedAnswer('progress', word)
    return word === 'OK' ? 'ok' : 'gone'
  } catch (error) {
    if (error instanceof GraflowError && error.code === 'BACKPRESSURE') return 'backpressure'
    throw error
  }
}
