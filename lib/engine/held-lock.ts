/**
 * A lock on a channel while a handler holds it: renewed at a third of its lease, and given back once. Hides how it is found out that the lock is
 * lost: the store says so, or says nothing for a whole lease.
 */
import type { HeldLock as LockInStore, LockAnswer, LockRequest } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { Lock } from '../flow/context.js'
import { elapsedMs, withDeadline, type Clock } from '../time.js'
import { Cancellation } from './cancellation.js'
import { refusalOf, type Execution } from './execution.js'

/** A start of a handler that takes locks. */
export interface LockingStart {
  readonly execution: Execution
  /** Why this start should stop. */
  readonly cancel: Cancellation
}

/** What holding a lock takes. */
export interface HeldLockOptions extends LockInStore {
  readonly start: LockingStart
  readonly clock: Clock
  readonly fence: number
  readonly leaseMs: number
  /** When the call was sent that got it, by `elapsedMs`. */
  readonly askedAt: number
  readonly ask: (request: LockRequest) => Promise<LockAnswer>
}

/** A lease is renewed after this part of it; the rest is for the renewal. */
const RENEWALS = 3

export class HeldLock {
  readonly #options: HeldLockOptions
  /** Aborted when the lock is lost, or when the start should stop. */
  readonly #over: Cancellation
  #renewedAt: number
  #cancelTimer: (() => void) | undefined
  #end: Promise<void> | undefined

  constructor(options: HeldLockOptions) {
    this.#options = options
    this.#over = new Cancellation(options.start.cancel)
    this.#renewedAt = options.askedAt
    this.#planRenewal()
  }

  /** The start of the branch that has it. */
  get execution(): Execution {
    return this.#options.start.execution
  }

  /** As `LockAnswer` names it. */
  get branch(): string {
    const { gid, index } = this.execution.facts.holder
    return `${gid}#${index}`
  }

  /** How the store knows it. */
  get inStore(): LockInStore {
    const { key, nonce } = this.#options
    return { key, nonce }
  }

  /** What the handler gets. */
  get shown(): Lock {
    const over = this.#over
    return {
      fence: this.#options.fence,
      get signal(): AbortSignal {
        return over.signal
      },
    }
  }

  /** Why it is not held any more, or why its start should stop; undefined while neither is so. */
  get lostBecause(): Error | undefined {
    return this.#over.reason
  }

  /** Calls `listener` once as soon as it is lost, or its start should stop. */
  onLost(listener: () => void): void {
    this.#over.onAbort(listener)
  }

  /** The store says that somebody else has it, or may have it; gives the error of that. */
  lose(): Error {
    const { key, fence, leaseMs } = this.#options
    this.#over.abort(() => lockLost(key, fence, leaseMs))
    return this.#over.reason ?? lockLost(key, fence, leaseMs)
  }

  /**
   * Gives it back. Repeating it answers the same.
   * @throws GraflowError LOCK_LOST where it was lost before; why the start had to stop
   */
  giveBack(): Promise<void> {
    this.#end ??= this.#giveBack()
    return this.#end
  }

  async #giveBack(): Promise<void> {
    const { key, nonce, start, ask } = this.#options
    this.#cancelTimer?.()
    const { reason } = this.#over
    this.#over.leave()
    const answer = await ask({ kind: 'unlock', key, nonce })
    if (reason !== undefined) throw reason
    if (answer.status === 'fenced') throw refusalOf(start.execution)
    if (answer.status !== 'ok') throw this.lose()
  }

  #planRenewal(): void {
    const { clock, leaseMs } = this.#options
    const plan = (ms: number): void => {
      this.#cancelTimer = clock.after(ms, () => void this.#renew(), true)
    }
    if (this.#over.reason === undefined && this.#end === undefined) plan(leaseMs / RENEWALS)
  }

  async #renew(): Promise<void> {
    const { clock, key, nonce, leaseMs, ask, start } = this.#options
    if (this.#over.reason !== undefined) return
    const askedAt = elapsedMs(clock)
    // A process that stood still asks before it gives up: nobody may have wanted the lock meanwhile.
    const patienceMs = Math.max(this.#renewedAt + leaseMs - askedAt, leaseMs - leaseMs / RENEWALS)
    const asked = ask({ kind: 'renew', key, nonce, leaseMs })
    const answer = await withDeadline(clock, patienceMs, asked, () => undefined, true).catch(() => undefined)
    if (this.#end !== undefined) return
    if (answer?.status === 'ok') {
      this.#renewedAt = askedAt
      this.#planRenewal()
    } else if (answer?.status === 'fenced') this.#over.abort(() => refusalOf(start.execution))
    else this.lose()
  }
}

const lockLost = (key: string, fence: number, leaseMs: number): GraflowError =>
  new GraflowError(
    'LOCK_LOST',
    `the lock "${key}" was lost while it was held: it was not renewed within its leaseMs of ${leaseMs}, as when a handler computes without ` +
      'a pause, and another handler may have it; raise leaseMs, or await something now and then',
    { details: { key, fence, leaseMs } },
  )
