/**
 * What becomes of a process, for those who want to know: it leads or leads no more, or something went wrong in the background. Hides that a lease
 * may be over before anybody has noticed. One a process, made before its session, so that listeners miss nothing.
 */
import { describe, describeError } from '../describe.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import { elapsedMs, type Clock } from '../time.js'

/** Ends a subscription. Repeating it is safe. */
type Unsubscribe = () => void

export class Lifecycle {
  readonly #emitter: Emitter
  readonly #clock: Clock
  readonly #became = new Set<(term: number) => unknown>()
  readonly #lost = new Set<(term: number) => unknown>()
  readonly #failed = new Set<(error: Error) => unknown>()
  #term: number | undefined
  /** By the clock: from then on another may lead. */
  #leadsUntil = Number.NEGATIVE_INFINITY

  constructor(emitter: Emitter, clock: Clock) {
    this.#emitter = emitter
    this.#clock = clock
  }

  /** Whether this process leads; false from the moment on at which another may. */
  get isLeader(): boolean {
    return this.term !== undefined
  }

  /** The term in which this process leads. */
  get term(): number | undefined {
    return elapsedMs(this.#clock) < this.#leadsUntil ? this.#term : undefined
  }

  /** Calls `fn` with the term whenever this process becomes the leader, and soon if it is. @throws GraflowError INVALID_OPTION */
  onBecameLeader(fn: (term: number) => unknown): Unsubscribe {
    const stop = add('onBecameLeader', this.#became, fn)
    const term = this.#term
    if (term === undefined) return stop
    queueMicrotask(() => {
      if (this.#term === term && this.#became.has(fn)) this.#call('onBecameLeader', [fn], term)
    })
    return stop
  }

  /** Calls `fn` with the term when this process leads no more. @throws GraflowError INVALID_OPTION */
  onLostLeadership(fn: (term: number) => unknown): Unsubscribe {
    return add('onLostLeadership', this.#lost, fn)
  }

  /** Calls `fn` with what goes wrong in the background, where no caller gets it. @throws GraflowError INVALID_OPTION */
  onError(fn: (error: Error) => unknown): Unsubscribe {
    return add('onError', this.#failed, fn)
  }

  /** This process leads until then, by the clock; also said when its lease is renewed. */
  leads(term: number, until: number): void {
    const before = this.#term
    this.#leadsUntil = until
    if (before === term) return
    if (before !== undefined) this.leadsNoMore()
    this.#leadsUntil = until
    this.#term = term
    this.#call('onBecameLeader', this.#became, term)
  }

  /** Whether it led until now. Repeating it is safe. */
  leadsNoMore(): boolean {
    const term = this.#term
    this.#leadsUntil = Number.NEGATIVE_INFINITY
    this.#term = undefined
    if (term !== undefined) this.#call('onLostLeadership', this.#lost, term)
    return term !== undefined
  }

  failed(error: unknown): void {
    const known = error instanceof Error ? error : new GraflowError('INTERNAL', describeError(error), { cause: error })
    this.#call('onError', this.#failed, known)
  }

  /** A listener that fails disturbs nobody: that goes to the log. */
  #call<T>(what: string, listeners: Iterable<(value: T) => unknown>, value: T): void {
    const blame = (error: unknown): void => {
      this.#emitter.emit('log', { level: 'error', message: `a listener of ${what} failed: ${describeError(error)}` })
    }
    for (const listener of [...listeners]) {
      try {
        const returned = listener(value)
        if (returned instanceof Promise) returned.catch(blame)
      } catch (error) {
        blame(error)
      }
    }
  }
}

function add<F>(what: string, listeners: Set<F>, fn: F): Unsubscribe {
  if (typeof fn !== 'function')
    throw new GraflowError('INVALID_OPTION', `${what} takes a function, got ${describe(fn)}`, {
      details: { option: what },
    })
  listeners.add(fn)
  return () => {
    listeners.delete(fn)
  }
}
