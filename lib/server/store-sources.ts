/** How metrics ask the store: each question has an answer soon, or none. */
import type { Backend } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { StoreSources } from '../observe/store-metrics.js'
import { type Clock, withDeadline } from '../time.js'

/** Asked whether it is there, the store answers within this. */
const PROBE_MS = 1_000

/** @throws GraflowError REDIS_UNAVAILABLE when there is no answer soon */
export const soon = <T>(clock: Clock, answer: Promise<T>): Promise<T> =>
  withDeadline(clock, PROBE_MS, answer, () => {
    throw new GraflowError('REDIS_UNAVAILABLE', `no answer within ${PROBE_MS} ms`)
  })

/**
 * @param ask gives a question to the store; rejects where there is none (yet)
 * @param waits counts what waits; undefined where another process says it
 */
export const storeSources = (
  keyPrefix: string,
  ownQueues: readonly string[],
  ask: <T>(question: (store: Pick<Backend, 'inspect' | 'ping'>) => Promise<T>) => Promise<T>,
  onLeftOut: StoreSources['onLeftOut'],
  waits: StoreSources['waits'],
): StoreSources => ({
  keyPrefix,
  ownQueues,
  ping: () => ask((store) => store.ping()),
  queues: () => ask(({ inspect }) => inspect.queues()),
  totals: () => ask(({ inspect }) => inspect.totals()),
  serving: () => ask(({ inspect }) => inspect.serving()),
  isLed: () => ask(async ({ inspect }) => (await inspect.lead()) !== undefined),
  waits,
  onLeftOut,
})
