/** How metrics ask the store: each question has an answer soon, or none. */
import type { Inspector } from '../lib/backend/backend.js'
import { GraflowError } from '../lib/errors.js'
import type { StoreSources } from '../lib/observe/store-metrics.js'
import { type Clock, withDeadline } from '../lib/time.js'

/** Asked whether it is there, the store answers within this. */
const PROBE_MS = 1_000

/** @throws GraflowError REDIS_UNAVAILABLE when there is no answer soon */
export const soon = <T>(clock: Clock, answer: Promise<T>): Promise<T> =>
  withDeadline(clock, PROBE_MS, answer, () => {
    throw new GraflowError('REDIS_UNAVAILABLE', `no answer within ${PROBE_MS} ms`)
  })

/** @param ask gives a question to the store; rejects where there is none (yet) */
export const storeSources = (
  keyPrefix: string,
  ownQueues: readonly string[],
  ask: <T>(question: (inspector: Inspector) => Promise<T>) => Promise<T>,
): StoreSources => ({
  keyPrefix,
  ownQueues,
  queues: () => ask((inspector) => inspector.queues()),
  totals: () => ask((inspector) => inspector.totals()),
  sessions: () => ask((inspector) => inspector.sessions()),
})
