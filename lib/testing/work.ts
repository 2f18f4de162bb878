/**
 * What of the user's code is under way: handlers, schemas, join policies. Time stands still while one is at work; one that waits by its context
 * (for a flow of its own, for a lock, for time) is not. Hides how that is counted.
 */
import { isThenable } from '../describe.js'

/** Something that has begun and not ended. */
export class Piece {
  readonly what: string
  /** Waits by the context that are not over. */
  waits = 0
  /** It was at work for longer than the test grants: time does not wait for it any more. */
  isOverdue = false
  readonly #changed: () => void

  constructor(what: string, changed: () => void) {
    this.what = what
    this.#changed = changed
  }

  /** Waits for what `begin` gives; that itself is handed on, so that a rejection is the caller's as before. */
  waiting<T>(begin: () => Promise<T>): Promise<T> {
    const back = this.pause()
    let waited: Promise<T>
    try {
      waited = begin()
    } catch (error) {
      back()
      throw error
    }
    waited.then(back, back)
    return waited
  }

  /** It waits, until the function that this gives is called. */
  pause(): () => void {
    this.waits += 1
    this.#changed()
    let isBack = false
    return () => {
      if (isBack) return
      isBack = true
      this.waits -= 1
      this.isOverdue = false
      this.#changed()
    }
  }
}

/** One a test run. */
export class Work {
  readonly #pieces = new Set<Piece>()
  #changes = 0

  /** Grows whenever something begins, waits, goes on or ends, and with each `note`. */
  get changes(): number {
    return this.#changes
  }

  /** What time stands still for. */
  get atWork(): readonly Piece[] {
    return [...this.#pieces].filter(({ waits, isOverdue }) => waits === 0 && !isOverdue)
  }

  /** What is at work for longer than was granted. */
  get overdue(): readonly Piece[] {
    return [...this.#pieces].filter(({ waits, isOverdue }) => waits === 0 && isOverdue)
  }

  note(): void {
    this.#changes += 1
  }

  begin(what: string): Piece {
    this.note()
    const piece = new Piece(what, () => this.note())
    this.#pieces.add(piece)
    return piece
  }

  end(piece: Piece): void {
    this.note()
    this.#pieces.delete(piece)
  }

  /** Calls `fn`: it is at work until it returns, or until the promise that it returns is settled. */
  during<T>(piece: Piece, fn: () => T): T {
    const end = (): void => this.end(piece)
    let output: T
    try {
      output = fn()
    } catch (error) {
      end()
      throw error
    }
    if (isThenable(output)) output.then(end, end)
    else end()
    return output
  }
}
