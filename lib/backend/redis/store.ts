/** What every operation of the Redis backend gets: where to send scripts, how much a call may carry, and the lengths of time. */
import { STORE_DEFAULTS } from '../../options.js'
import type { BackendLimits } from '../backend.js'
import type { Keys } from './keys.js'
import type { ReleasedChunks } from './released-chunks.js'
import type { Shard } from './shard.js'

/** Lengths and bounds, as plain numbers for scripts. */
export interface Tuning {
  /** How long only the preferred worker may take a group with an affinity. */
  readonly affinityMs: number
  /** How long after its timeout a start is reclaimed; the worker itself is faster. */
  readonly deadlineGraceMs: number
  /** How long sessions that were notified are waited for with their share. */
  readonly shareMs: number
  /** How long group payloads are kept after a run's end. */
  readonly payloadRetentionMs: number
}

export interface Store {
  readonly shard: Shard
  readonly keys: Keys
  readonly limits: BackendLimits
  readonly tuning: Tuning
  readonly released: ReleasedChunks
}

/** The lengths where nobody says otherwise; the kernel has the same. */
export const TUNING_DEFAULTS: Tuning = STORE_DEFAULTS

/** What a call carries where the options say nothing: no script runs longer than a few milliseconds (docs/redis-layout.md). */
export const LIMIT_DEFAULTS: BackendLimits = Object.freeze({ itemsPerCall: 1_024, bytesPerCall: 1_024 * 1_024 })
