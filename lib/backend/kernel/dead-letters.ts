/** Dead letters, newest kept: bounded in number and in bytes, so that a task that always fails cannot fill the store. */
import type { DeadLetter } from '../backend.js'
import { MOST_DEAD_LETTERS } from '../kept.js'
import { wrongCursor } from '../request-checks.js'
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

  /** Newest first; with `before` those that are older than the letter with this id. */
  list(limit: number, before?: string): readonly DeadLetter[] {
    if (before !== undefined && !/^\d{1,16}$/.test(before)) throw wrongCursor()
    const end = before === undefined ? this.#letters.length : this.#letters.findIndex(({ id }) => isFrom(id, before))
    const older = this.#letters.slice(0, end < 0 ? this.#letters.length : end)
    return limit <= 0 ? [] : older.slice(-Math.min(MOST_DEAD_LETTERS, limit)).reverse()
  }

  get(id: string): DeadLetter | undefined {
    return this.#letters.find((letter) => letter.id === id)
  }

  /** Deletes what `isGone` says; how many that were. */
  delete(isGone: (letter: DeadLetter) => boolean): number {
    const kept = this.#letters.filter((letter) => !isGone(letter))
    const gone = this.#letters.length - kept.length
    this.#letters = kept
    this.#bytes = kept.reduce((bytes, letter) => bytes + bytesOf(letter), 0)
    return gone
  }
}

/** Whether a letter is that with the id `from`, or newer. */
const isFrom = (id: string, from: string): boolean => Number(id) >= Number(from)

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
    graph: group.spec.graph,
    node: group.spec.node,
    kind,
    errors: group.table.errors(index),
    losses: group.table.losses(index),
    at: state.wallNow,
    input: group.input(index),
    error,
  })
}
