/**
 * Locks of a handler in a thread: held here, where the run is, for as long as the handler says. A thread that ends gives back what its start
 * held.
 */
import { GraflowError } from '../errors.js'
import type { Lock, LockOptions } from '../flow/context.js'
import { encode, encodeFailure } from '../values/codec.js'

/** What a handler in a thread asks for around a function that it calls itself. */
export type LockRequest =
  | { readonly name: 'lock'; readonly key: Uint8Array; readonly options: Uint8Array }
  /** Answered with undefined when it is given back, with the reason when its signal fires. */
  | { readonly name: 'lock-signal'; readonly number: number }
  | { readonly name: 'unlock'; readonly number: number }

/** What the answer to `lock` holds. */
export interface LockHere {
  readonly number: number
  readonly fence: number
}

type Take = (key: never, options: LockOptions, fn: (lock: Lock) => Promise<void>) => Promise<void>

interface Held {
  readonly lock: Lock
  readonly release: () => void
  readonly over: Promise<void>
}

/** Of one start. */
export class ThreadLocks {
  readonly #held = new Map<number, Held>()
  #last = 0

  /** @throws GraflowError as `ctx.channel.lock` */
  take(lock: Take, key: unknown, options: LockOptions): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const over = lock(key as never, options, (lock) => {
        const number = (this.#last += 1)
        return new Promise<void>((release) => {
          this.#held.set(number, { lock, release, over: Promise.resolve().then(() => over) })
          resolve(encode({ number, fence: lock.fence } satisfies LockHere))
        })
      })
      over.catch(reject)
    })
  }

  async signalOf(number: number): Promise<Uint8Array> {
    const { lock, over } = this.#of(number)
    const fired = new Promise<Uint8Array>((resolve) => {
      const tell = (): void => resolve(encodeFailure(lock.signal.reason))
      if (lock.signal.aborted) tell()
      else lock.signal.addEventListener('abort', tell, { once: true })
    })
    const none = (): Uint8Array => encode(undefined)
    return Promise.race([fired, over.then(none, none)])
  }

  /** @throws GraflowError LOCK_LOST */
  async giveBack(number: number): Promise<Uint8Array> {
    const { release, over } = this.#of(number)
    this.#held.delete(number)
    release()
    await over
    return encode(undefined)
  }

  /** The start is over. */
  giveBackAll(): void {
    for (const { release, over } of this.#held.values()) {
      over.catch(() => undefined) // nobody is left to be told that it was lost
      release()
    }
    this.#held.clear()
  }

  #of(number: number): Held {
    const held = this.#held.get(number)
    if (held === undefined) throw new GraflowError('INTERNAL', `a thread has no lock ${number}`)
    return held
  }
}
