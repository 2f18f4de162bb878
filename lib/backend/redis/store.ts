/** What every operation of the Redis backend gets: where to send scripts, how much a call may carry, and the lengths of time. */
import type { StoreTimes } from '../../options.js'
import type { BackendLimits } from '../backend.js'
import type { Keys } from './keys.js'
import type { ReleasedChunks } from './released-chunks.js'
import type { Shard } from './shard.js'

export interface Store {
  readonly shard: Shard
  readonly keys: Keys
  readonly limits: BackendLimits
  readonly times: StoreTimes
  readonly released: ReleasedChunks
}

/** What a call carries where the options say nothing: no script runs longer than a few milliseconds (docs/redis-layout.md). */
export const LIMIT_DEFAULTS: BackendLimits = Object.freeze({ itemsPerCall: 1_024, bytesPerCall: 1_024 * 1_024 })
