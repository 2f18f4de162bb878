/** acquire: branches for a session. */
import { GraflowError } from '../../../errors.js'
import type { AcquireAnswer, AcquireRequest } from '../../backend.js'
import { listOf, numberOf } from '../replies.js'
import type { Store } from '../store.js'
import { grantsFrom } from './grants.js'
import { laneRegistryOf, listed } from './lane-registry.js'
import { unexpectedAnswer, wordOf } from './words.js'

/** Lanes come one by one while flows are new; a client that makes one with every call would keep workers from ever acquiring. */
const MOST_TRIES = 20

/** Grants up to `max` branches. Repeated with the same nonce it answers the same grants, as far as they are still held. */
export async function acquire(store: Store, request: AcquireRequest): Promise<AcquireAnswer> {
  const { session, nonce, max, queues, capabilities, deeperThan, startable, quick, acceptsPush } = request
  const { limits, times } = store
  const registry = laneRegistryOf(store)
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const reply = await store.shard.call('acquire', [
      session,
      nonce,
      Math.min(max, limits.itemsPerCall),
      limits.bytesPerCall,
      deeperThan ?? 0,
      times.deadlineGraceMs,
      registry.last,
      listed(queues),
      listed(capabilities),
      startable ?? max,
      times.shareMs,
      listed(quick ?? []),
      acceptsPush === true ? 1 : 0,
      ...(await registry.lanesFor(store, request)),
    ])
    const parts = listOf(reply)
    const word = wordOf(reply)
    switch (word) {
      case 'OK': {
        const due = numberOf(parts[2])
        return {
          status: 'ok',
          grants: await grantsFrom(store, parts, 3),
          isMore: numberOf(parts[1]) === 1,
          nextDueMs: due < 0 ? undefined : due,
        }
      }
      case 'NOSESSION':
        return { status: 'nosession' }
      case 'LANES':
        registry.learn(parts)
        break
      default:
        throw unexpectedAnswer('acquire', word)
    }
  }
  throw new GraflowError(
    'INTERNAL',
    `expected to know all kinds of groups after ${MOST_TRIES} calls, got new ones with each: flows with new names are made all the time`,
  )
}
