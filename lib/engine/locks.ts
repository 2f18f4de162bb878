/**
 * Locks on channels, for the handlers of one process. Hides how a handler waits for one: those of this process that want the same lock stand in
 * a line, and only the first of them asks the store, the longer the less often.
 */
import type { Backend, LockAnswer, LockRequest } from '../backend/backend.js'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import type { Lock, LockOptions } from '../flow/context.js'
import { checkOptions, defaultsOf, LOCK_OPTIONS } from '../options.js'
import { elapsedMs, type Clock, type NewId, type Random } from '../time.js'
import { refusalOf } from './execution.js'
import { HeldLock, type LockingStart } from './held-lock.js'

/** How long the first in line waits before it asks again: ever longer, within these. The store reserves a lock for longer than the last. */
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 100
const GROWTH = 1.5
/** How soon the others see that one before them waits without its slot. */
const LOOK_MS = 100

const DEFAULTS = defaultsOf(LOCK_OPTIONS)

/** What locks are made of. */
export interface LocksOptions {
  readonly backend: Backend
  readonly clock: Clock
  readonly random: Random
  readonly newId: NewId
}

/** A handler's wish for a lock. */
interface Wish {
  readonly start: LockingStart
  readonly key: string
  readonly nonce: string
  readonly leaseMs: number
  readonly waitMs: number
  /** By `elapsedMs`. */
  readonly since: number
  /** Between two times that it asks. */
  pauseMs: number
  wake: () => void
}

/** Handlers of this process that want one lock of one run, and the one that has it. */
class Line {
  readonly wishes: Wish[] = []
  holder: HeldLock | undefined

  get isIdle(): boolean {
    return this.holder === undefined && this.wishes.length === 0
  }

  isTurnOf(wish: Wish): boolean {
    return this.holder === undefined && this.wishes[0] === wish
  }

  /** Whether the holder, or the first in line, waits without its slot: it may need the one that this handler has. */
  isShortOfSlots({ start }: Wish): boolean {
    return [this.holder?.execution, this.wishes[0]?.start.execution].some(
      (execution) => execution !== undefined && execution !== start.execution && !execution.hasSlot,
    )
  }

  leave(wish: Wish): void {
    this.wishes.splice(this.wishes.indexOf(wish), 1)
    this.wishes[0]?.wake()
  }

  /** The holder of this process has it no more. */
  free(holder: HeldLock): void {
    if (this.holder !== holder) return
    this.holder = undefined
    this.wishes[0]?.wake()
  }
}

/** One a process. */
export class Locks {
  readonly #options: LocksOptions
  /** By run and key. */
  readonly #lines = new Map<string, Line>()

  constructor(options: LocksOptions) {
    this.#options = options
  }

  /**
   * What `fn` gives, called while this start has the lock.
   * @param held has the lock while it lasts
   * @throws GraflowError LOCK_TIMEOUT, LOCK_LOST, INVALID_OPTION; why the start had to stop; what `fn` throws
   */
  async hold<T>(
    start: LockingStart,
    key: string,
    options: LockOptions,
    held: Set<HeldLock>,
    fn: (lock: Lock) => T | Promise<T>,
  ): Promise<T> {
    const wish = this.#wish(start, key, options)
    if (typeof fn !== 'function') {
      throw new GraflowError('INVALID_OPTION', `lock calls a function while the lock is held, got ${describe(fn)}`)
    }
    const name = `${start.execution.facts.runId} ${key}`
    const line = this.#lines.get(name) ?? new Line()
    this.#lines.set(name, line)
    try {
      const lock = await this.#take(line, wish)
      try {
        return await holding(lock, held, fn)
      } finally {
        line.free(lock)
      }
    } finally {
      if (line.isIdle && this.#lines.get(name) === line) this.#lines.delete(name)
    }
  }

  #wish(start: LockingStart, key: string, options: LockOptions): Wish {
    const { clock, newId } = this.#options
    const { leaseMs, waitMs } = { ...DEFAULTS, ...checkOptions('lock', LOCK_OPTIONS, options) }
    const since = elapsedMs(clock)
    return { start, key, nonce: newId(), leaseMs, waitMs, since, pauseMs: FIRST_PAUSE_MS, wake: () => undefined }
  }

  /** Waits in the line until the lock is taken. */
  async #take(line: Line, wish: Wish): Promise<HeldLock> {
    const { cancel } = wish.start
    let isAsked = false
    let holder = ''
    line.wishes.push(wish)
    const offAbort = cancel.onAbort(() => wish.wake())
    try {
      for (;;) {
        cancel.throwIfAborted()
        if (line.isTurnOf(wish)) {
          isAsked = true
          const asked = await this.#askFor(wish)
          cancel.throwIfAborted()
          if (typeof asked !== 'string') {
            line.holder = asked
            asked.onLost(() => line.free(asked))
            return asked
          }
          holder = asked
        }
        const leftMs = wish.since + wish.waitMs - elapsedMs(this.#options.clock)
        if (leftMs <= 0) throw lockTimeout(wish, line.holder?.branch ?? holder)
        await this.#pause(line, wish, leftMs)
      }
    } catch (error) {
      // The lock is not kept for a wish that is given up; nobody waits for the answer.
      if (isAsked) this.#ask(wish.start, { kind: 'unlock', key: wish.key, nonce: wish.nonce }).catch(() => undefined)
      throw error
    } finally {
      offAbort()
      line.leave(wish)
    }
  }

  /** The lock; or who has it, `''` where that is not known. */
  async #askFor({ start, key, nonce, leaseMs }: Wish): Promise<HeldLock | string> {
    const { clock } = this.#options
    const askedAt = elapsedMs(clock)
    const ask = (request: LockRequest): Promise<LockAnswer> => this.#ask(start, request)
    const answer = await ask({ kind: 'lock', key, nonce, leaseMs })
    switch (answer.status) {
      case 'ok':
        return new HeldLock({ start, clock, key, nonce, fence: answer.fence, leaseMs, askedAt, ask })
      case 'locked':
        return answer.holder
      case 'fenced':
        throw refusalOf(start.execution)
      case 'lost':
        throw new GraflowError('INTERNAL', `the lock "${key}" was answered as one that was given back`)
      default:
        return answer satisfies never
    }
  }

  #ask({ execution }: LockingStart, request: LockRequest): Promise<LockAnswer> {
    const { runId, holder } = execution.facts
    return this.#options.backend.lock(runId, holder, request)
  }

  /** Until it is worth asking or looking again, `leftMs` at most. */
  async #pause(line: Line, wish: Wish, leftMs: number): Promise<void> {
    if (line.isTurnOf(wish)) {
      const ms = wish.pauseMs * (0.5 + this.#options.random() / 2)
      wish.pauseMs = Math.min(wish.pauseMs * GROWTH, LONGEST_PAUSE_MS)
      await this.#elapse(wish, Math.min(ms, leftMs))
    } else if (line.isShortOfSlots(wish)) await wish.start.execution.withoutSlot(() => this.#elapse(wish, leftMs))
    else await this.#elapse(wish, Math.min(LOOK_MS, leftMs))
  }

  #elapse(wish: Wish, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancelTimer = this.#options.clock.after(ms, resolve)
      wish.wake = () => {
        cancelTimer()
        resolve()
      }
    })
  }
}

/** Calls `fn` with the lock, and gives the lock back. */
async function holding<T>(lock: HeldLock, held: Set<HeldLock>, fn: (lock: Lock) => T | Promise<T>): Promise<T> {
  held.add(lock)
  try {
    const output = await fn(lock.shown)
    await lock.giveBack()
    return output
  } catch (thrown) {
    await lock.giveBack().catch(() => undefined)
    throw thrown
  } finally {
    held.delete(lock)
  }
}

const lockTimeout = ({ key, waitMs }: Wish, holder: string): GraflowError =>
  new GraflowError(
    'LOCK_TIMEOUT',
    `the lock "${key}" was not free within its waitMs of ${waitMs}${holder === '' ? '' : `: branch ${holder} has it`}; raise waitMs, or hold ` +
      'the lock for a shorter time',
    { details: { key, waitMs, holder } },
  )
