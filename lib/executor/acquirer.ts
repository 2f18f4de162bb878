/**
 * Hides when the store is asked for branches, and for how many: never more than there are slots, but on a distant store short tasks are
 * acquired ahead (lookahead.ts), so that there is work while answers travel. Without a distant store it stands still, without a timer,
 * when there is nothing to do.
 */
import type { AcquireAnswer, AcquireRequest } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import { elapsedMs } from '../time.js'
import type { ExecutorOptions } from './executor-options.js'
import type { Intake } from './intake.js'
import type { Lookahead } from './lookahead.js'
import type { PendingGrants } from './pending-grants.js'
import type { Phase } from './phase.js'
import type { Ask, QueueShares } from './queue-shares.js'
import type { Slots } from './slots.js'
import { LONGEST_TURN_MS, type Starter } from './starter.js'
import { SLOW_CHECK_MS, StoreCheck, type CheckCause } from './store-check.js'
import type { WaitingRuns } from './waiting-runs.js'

/** After a call that failed. */
const ERROR_PAUSE_MS = 500

type Options = Pick<
  ExecutorOptions,
  'backend' | 'clock' | 'emitter' | 'session' | 'capabilities' | 'newId' | 'distant' | 'onNoSession' | 'onError'
>

interface Parts {
  readonly phase: Phase
  readonly slots: Slots
  readonly shares: QueueShares
  readonly ahead: Lookahead
  readonly pending: PendingGrants
  readonly intake: Intake
  readonly starter: Starter
  readonly runs: WaitingRuns
  /** It has stopped asking for now. */
  readonly onIdle: () => void
}

export class Acquirer {
  readonly #options: Options
  readonly #parts: Parts
  readonly #check: StoreCheck
  /** `woken`: there may be more than the call under way finds. */
  #state: 'idle' | 'asking' | 'woken' = 'idle'
  /** What the next call is made for. */
  #cause: CheckCause | 'notice' = 'notice'
  /**
   * A distant store has nothing more, and sends a notice when it has: asking again with each settle would keep Redis from notifying others
   * of what was settled. It does so for what it was asked for, and in these queues. Undefined: the store is to be asked.
   */
  #promised: { readonly deeperThan: number | undefined; readonly queues: Ask['queues'] } | undefined

  constructor(options: Options, parts: Parts) {
    this.#options = options
    this.#parts = parts
    this.#check = new StoreCheck(options, (cause) => {
      this.#cause = this.isIdle ? cause : 'notice'
      this.wake()
    })
  }

  get isIdle(): boolean {
    return this.#state === 'idle'
  }

  /** There may be work: repeating it is free. */
  wake(): void {
    this.#promised = undefined // a notice is sent once
    if (!this.isIdle) this.#state = 'woken'
    else if (this.#room() > 0) void this.#pump()
  }

  /** Asks if the store is to be asked. Called at the end of each turn. */
  goOn(): void {
    const { slots, shares } = this.#parts
    const promised = this.#promised
    const isKept = promised?.deeperThan === slots.onlyDeeperThan && promised !== undefined
    if (!isKept || shares.hasRoomBeyond(promised.queues)) this.wake()
  }

  /** What the store has promised does not hold any more. */
  forgetPromise(): void {
    this.#promised = undefined
  }

  /** Ends its timer. */
  stop(): void {
    this.#check.cancel()
  }

  async #pump(): Promise<void> {
    const { onIdle } = this.#parts
    let begunAt = elapsedMs(this.#options.clock)
    try {
      do {
        this.#state = 'asking'
        while (await this.#acquire()) begunAt = await this.#breathe(begunAt)
      } while (this.#isToGoOn())
    } catch (error) {
      if (this.#parts.phase.current !== 'stopped') this.#options.onError(error)
      this.#checkAfter(ERROR_PAUSE_MS)
    } finally {
      this.#state = 'idle'
      onIdle()
    }
  }

  #isToGoOn(): boolean {
    return this.#state === 'woken' && this.#room() > 0
  }

  /** Lets timers and sockets in when handlers have kept the event loop for long. @returns when the turn has begun */
  async #breathe(begunAt: number): Promise<number> {
    const { clock } = this.#options
    if (!this.#parts.starter.isPausing && elapsedMs(clock) - begunAt < LONGEST_TURN_MS) return begunAt
    await new Promise<void>((resolve) => setImmediate(resolve))
    return elapsedMs(clock)
  }

  /** Slots for branches that are not here yet; less than 0 where some were acquired ahead. */
  #free(): number {
    const { slots, starter, intake, runs } = this.#parts
    return slots.free - starter.waiting - intake.preparing - runs.count
  }

  /** How many branches may be asked for now. */
  #room(): number {
    if (this.#parts.phase.current !== 'taking') return 0
    const free = this.#free()
    const { slots, starter } = this.#parts
    const ahead = this.#parts.ahead.most(slots.free, starter.startsLately, starter.restMs)
    // In large portions: each costs a call.
    return ahead === 0 || free > 0 || starter.waiting * 2 <= ahead ? Math.max(0, free + ahead) : 0
  }

  /** True when it is worth asking again at once. */
  async #acquire(): Promise<boolean> {
    const { backend, emitter } = this.#options
    const { shares, slots, pending } = this.#parts
    const room = Math.min(this.#room(), backend.limits.itemsPerCall)
    if (room === 0) return false
    const ask = shares.ask(room)
    if (ask.queues.length === 0) return false
    const deeperThan = slots.onlyDeeperThan
    const cause = this.#cause
    this.#cause = 'notice'
    this.#check.cancel()
    this.#promised = undefined
    pending.begin()
    try {
      const answer = await backend.acquire(this.#request(ask, deeperThan))
      if (answer.status === 'nosession') {
        this.#meetNoSession()
        return false
      }
      if (cause === 'slow check' && answer.grants.length > 0) emitter.emit('wakeup:missed', { count: 1 })
      return this.#receive(answer, ask, deeperThan)
    } finally {
      pending.end()
    }
  }

  #request({ queues, max }: Ask, deeperThan: number | undefined): AcquireRequest {
    const { session, capabilities, newId, distant } = this.#options
    return {
      session,
      nonce: newId(),
      max,
      ...(distant !== undefined && { quick: this.#parts.ahead.quick, acceptsPush: true }),
      ...(distant !== undefined && { startable: Math.max(0, this.#free()) }),
      queues,
      capabilities,
      ...(deeperThan !== undefined && { deeperThan }),
    }
  }

  #receive(answer: AcquireAnswer & { status: 'ok' }, ask: Ask, deeperThan: number | undefined): boolean {
    let taken = 0
    for (const grant of answer.grants) {
      taken += grant.indexes.length
      this.#parts.intake.take(grant)
    }
    const isWoken = this.#state === 'woken'
    // No notice is sent to a session that got all it asked for: there may be more for what is room now.
    const isMore = ask.isPartial || taken >= ask.max || (taken > 0 && (answer.isMore || isWoken))
    this.#parts.shares.hasAnswered(isMore && ask.isNarrowed)
    const hasPromised = !isMore && !answer.isMore && !isWoken && this.#options.distant !== undefined
    this.#promised = hasPromised ? { deeperThan, queues: ask.queues } : undefined
    if (!isMore) this.#checkAfter(Math.min(SLOW_CHECK_MS, answer.nextDueMs ?? SLOW_CHECK_MS))
    return isMore
  }

  #meetNoSession(): void {
    const { session, onNoSession, onError } = this.#options
    if (this.#parts.phase.current === 'stopped') return
    if (onNoSession === undefined) onError(new GraflowError('INTERNAL', `session ${session} is gone`))
    else onNoSession()
    this.#checkAfter(ERROR_PAUSE_MS)
  }

  #checkAfter(ms: number): void {
    if (this.#parts.phase.current === 'taking') this.#check.plan(ms)
  }
}
