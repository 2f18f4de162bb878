/** What an executor is given: the store, the engine, and what it may take. Each of its parts picks what it needs. */
import type { Backend, Grant } from '../backend/backend.js'
import type { Engine } from '../engine/engine.js'
import type { Emitter } from '../events.js'
import type { Announcer } from '../session/announcer.js'
import type { Clock, Random } from '../time.js'
import type { HeldSlot } from './slots.js'

export interface ExecutorOptions {
  readonly backend: Backend
  readonly engine: Pick<Engine, 'prepare' | 'start' | 'pauses'>
  readonly clock: Clock
  readonly emitter: Emitter
  /** Takes the emitter's events to other processes, where there are any. */
  readonly announcer?: Announcer
  readonly session: string
  readonly workerId: string
  /** Branches that run at once. */
  readonly maxConcurrentTasks: number
  readonly queues: readonly string[] | 'all'
  /** The most branches of a queue that may be in flight here, where that is less than all. */
  readonly queueLimits?: ReadonlyMap<string, number>
  readonly capabilities: readonly string[] | 'all'
  /** New random identifiers. */
  readonly newId: () => string
  /** Drives a run that was submitted, and so was granted as a branch. */
  readonly driveRun: (grant: Grant, k: number, slot?: HeldSlot) => void
  /** Whether the store keeps when each branch was started here; absent: it does. */
  readonly timings?: boolean
  /** A driven run has a slot whenever it does not wait at a barrier. */
  readonly runsHoldSlots?: boolean
  /** The store is another process: branches are acquired ahead, and the store is asked after an error and in case a notice was lost. */
  readonly distant?: { readonly random: Random }
  /** The first branch has arrived, or the last is over. */
  readonly onBusy?: (isBusy: boolean) => void
  /** The store does not know the session: it must be opened again. */
  readonly onNoSession?: () => void
  /** The store refused reports for good, and still has their branches as held here: it is to be asked what it has. */
  readonly onRefused?: () => void
  /** A broken contract or lost store: the executor goes on, and reports it here. */
  readonly onError: (error: unknown) => void
}
