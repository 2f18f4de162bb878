/**
 * Submitted runs that this process has acquired, and that wait for a slot. Few do: the store grants no more runs than can start, so only a
 * branch that resumes meanwhile takes a slot away from one. A run that waits for long, or when the process leaves, is released unspent, for
 * another process to drive.
 */
import type { Grant, SettleRange, Token } from '../backend/backend.js'
import { EMPTY_BYTES, packOne } from '../values/packed-items.js'
import { elapsedMs } from '../time.js'
import type { ExecutorOptions } from './executor-options.js'
import type { PendingGrants } from './pending-grants.js'
import { HeldSlot, type QueueShare, type Slots } from './slots.js'
import { LONGEST_WAIT_MS } from './starter.js'
import type { Turn } from './turn.js'

type Options = Pick<ExecutorOptions, 'backend' | 'clock' | 'session' | 'driveRun' | 'distant' | 'onError'>

interface Parts {
  readonly slots: Slots
  readonly turn: Turn
  readonly pending: PendingGrants
}

interface WaitingRun {
  readonly gid: string
  readonly token: Token
  readonly index: number
  readonly share: QueueShare | undefined
  readonly since: number
  /** It wants no slot any more. */
  readonly leave: () => void
}

export class WaitingRuns {
  readonly #options: Options
  readonly #parts: Parts
  /** In order of their arrival. */
  readonly #runs = new Set<WaitingRun>()
  #cancelWatch: (() => void) | undefined

  constructor(options: Options, parts: Parts) {
    this.#options = options
    this.#parts = parts
  }

  get count(): number {
    return this.#runs.size
  }

  /** The grants of the runs that wait. */
  *grants(): Iterable<{ readonly gid: string; readonly token: Token }> {
    for (const { gid, token } of this.#runs) yield { gid, token }
  }

  /** Drives the run as soon as there is a slot. */
  take(grant: Grant, k: number, share: QueueShare | undefined): void {
    const { driveRun, clock } = this.#options
    const { slots } = this.#parts
    if (slots.hasRoom(share)) {
      slots.use(share)
      driveRun(grant, k, new HeldSlot(slots, share))
      return
    }
    const use = (): void => {
      this.#runs.delete(run)
      driveRun(grant, k, new HeldSlot(slots, share))
    }
    const { spec, token, indexes } = grant
    const facts = { gid: spec.gid, token, index: indexes[k] ?? 0, share, since: elapsedMs(clock) }
    const run: WaitingRun = { ...facts, leave: slots.take(share, use) }
    this.#runs.add(run)
    this.#watch()
  }

  /** The store has decided on the run, or given it to another process: it is not driven here. With a token: only under that. */
  withdraw(gid: string, token?: Token): void {
    for (const run of [...this.#runs]) {
      if (run.gid === gid && (token === undefined || run.token === token)) this.#forget(run)
    }
  }

  /** All that wait go back unspent. */
  releaseAll(): void {
    this.#release([...this.#runs])
  }

  /** Ends its timer. */
  stop(): void {
    this.#cancelWatch?.()
  }

  #forget(run: WaitingRun): void {
    this.#runs.delete(run)
    run.leave()
    if (run.share !== undefined) run.share.held -= 1
    this.#parts.turn.plan()
  }

  #release(runs: readonly WaitingRun[]): void {
    const { backend, session, onError } = this.#options
    const { pending } = this.#parts
    for (const run of runs) this.#forget(run)
    const { itemsPerCall } = backend.limits
    for (let from = 0; from < runs.length; from += itemsPerCall) {
      const ranges = runs.slice(from, from + itemsPerCall).map(releasedRange)
      pending.begin() // until the store has it, it is not known what is in hand
      backend
        .settle({ session, ranges })
        .catch(onError)
        .finally(() => pending.end())
    }
  }

  #watch(): void {
    const { clock, distant } = this.#options
    const [oldest] = this.#runs
    if (distant === undefined || oldest === undefined || this.#cancelWatch !== undefined) return
    this.#cancelWatch = clock.after(
      Math.max(0, oldest.since + LONGEST_WAIT_MS - elapsedMs(clock)),
      () => {
        this.#cancelWatch = undefined
        const now = elapsedMs(clock)
        this.#release([...this.#runs].filter(({ since }) => now - since >= LONGEST_WAIT_MS))
        this.#watch()
      },
      true,
    )
  }
}

const releasedRange = ({ gid, token, index }: WaitingRun): SettleRange => ({
  ...{ gid, token, indexes: [index], kinds: ['released'] },
  values: packOne(EMPTY_BYTES),
})
