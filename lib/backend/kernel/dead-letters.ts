/** Dead letters, newest kept: bounded in number and in bytes, so that a task that always fails cannot fill the store. */
import type { DeadLetter } from '../backend.js'
import { MOST_DEAD_LETTERS } from '../kept.js'
import type { Group } from './group.js'

const MOST_BYTES = 16 * 2 ** 20

export class DeadLetters {
  #letters: DeadLetter[] = []
  #bytes = 0
  #made = 0

  /** How many there were, those that are kept no more included. */
  get made(): number {
    return this.#made
  }

  /** Keeps copies of the bytes: what they are part of may be large and may go. */
  add(letter: Omit<DeadLetter, 'id'>): void {
    this.#made += 1
    this.#letters.push({ ...letter, id: String(this.#made), input: letter.input.slice(), error: letter.error.slice() })
    this.#bytes += letter.input.length + letter.error.length
    if (this.#letters.length <= MOST_DEAD_LETTERS * 2 && this.#bytes <= MOST_BYTES * 2) return
    let from = Math.max(0, this.#letters.length - MOST_DEAD_LETTERS)
    for (let i = 0; i < from; i++) this.#bytes -= bytesOf(this.#letters[i])
    for (; this.#bytes > MOST_BYTES && from < this.#letters.length - 1; from++)
      this.#bytes -= bytesOf(this.#letters[from])
    this.#letters = this.#letters.slice(from)
  }

  /** Newest first. */
  list(limit: number): readonly DeadLetter[] {
    const kept = this.#letters.slice(-Math.min(MOST_DEAD_LETTERS, Math.max(0, limit)))
    return limit <= 0 ? [] : kept.reverse()
  }
}

function bytesOf(letter: DeadLetter | undefined): number {
  return letter === undefined ? 0 : letter.input.length + letter.error.length
}

/** The branch is spent: keeps it with its input and error. */
export function addDeadLetter(
  state: { readonly deadLetters: DeadLetters; readonly wallNow: number },
  group: Group,
  index: number,
  kind: 'failed' | 'dead',
  error: Uint8Array,
): void {
  state.deadLetters.add({
    gid: group.spec.gid,
    index,
    runId: group.run.id,
    kind,
    errors: group.table.errors(index),
    losses: group.table.losses(index),
    at: state.wallNow,
    input: group.input(index),
    error,
  })
}
