/**
 * Why work should stop, passed down a tree: the run, a branch, a workflow inside it, one start of a task. Cheap: an AbortSignal is made only
 * when a handler reads it.
 */
import { messageOf } from '../describe.js'
import { GraflowError } from '../errors.js'
import { isError } from '../values/error-record.js'

/** A place in the tree. Aborting it aborts all below it, once; the first reason stays. */
export class Cancellation {
  /** A function until it is read: an error with its stack costs more than the rest of a small run's end. */
  #reason: Error | (() => Error) | undefined
  #controller: AbortController | undefined
  #listeners: Set<(reason: Error) => void> | undefined
  #leaveParent: (() => void) | undefined

  /** @param parent aborts this one too, until `leave` is called */
  constructor(parent?: Cancellation) {
    if (parent === undefined) return
    if (parent.#reason !== undefined) this.#reason = parent.reason
    else this.#leaveParent = parent.onAbort((reason) => this.abort(reason))
  }

  /** Undefined while work may go on. */
  get reason(): Error | undefined {
    if (typeof this.#reason === 'function') this.#reason = this.#reason()
    return this.#reason
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.reason !== undefined) this.#controller.abort(this.reason)
    }
    return this.#controller.signal
  }

  /** Repeating it changes nothing. A reason given as a function is made when it is read. */
  abort(because: Error | (() => Error)): void {
    if (this.#reason !== undefined) return
    this.#reason = because
    const listeners = this.#listeners
    this.#listeners = undefined
    if (this.#controller === undefined && (listeners?.size ?? 0) === 0) return
    const reason = typeof because === 'function' ? because() : because
    this.#reason = reason
    this.#controller?.abort(reason)
    for (const listener of listeners ?? []) listener(reason)
  }

  /** Calls `listener` once when aborted, at once if it is; returns what ends that. */
  onAbort(listener: (reason: Error) => void): () => void {
    const { reason } = this
    if (reason !== undefined) {
      listener(reason)
      return () => undefined
    }
    this.#listeners ??= new Set()
    this.#listeners.add(listener)
    return () => {
      this.#listeners?.delete(listener)
    }
  }

  /** Ends the tie to the parent: this work is over. */
  leave(): void {
    this.#leaveParent?.()
    this.#leaveParent = undefined
  }

  throwIfAborted(): void {
    if (this.reason !== undefined) throw this.reason
  }

  /** `promise`, or a rejection with the reason as soon as this is aborted. What the promise does later is dropped. */
  race<T>(promise: PromiseLike<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const off = this.onAbort(reject)
      promise.then(
        (value) => {
          off()
          resolve(value)
        },
        (error: unknown) => {
          off()
          reject(isError(error) ? error : new Error(`thrown: ${messageOf(error)}`, { cause: error }))
        },
      )
    })
  }
}

/** The work was taken away (another process holds it now, or this one ends): stop, and report nothing. Handlers see it, too. */
export class Unreported extends GraflowError {
  constructor(message: string, code: 'FENCED' | 'CLOSED' = 'FENCED') {
    super(code, message)
  }
}
