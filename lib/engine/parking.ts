/** How a branch that only waits is given back: thrown through the frames of the interpreter, to whoever holds the branch. */
import type { Park } from '../backend/backend.js'
import { Unreported } from './cancellation.js'

/** Nobody needs to hold the branch until what it waits for is there. What is finished is saved; the next holder begins anew, and passes over it. */
export class Parking extends Unreported {
  #park: Park

  constructor(park: Park) {
    super('the branch only waits, and is given back until it can go on')
    this.#park = park
  }

  get park(): Park {
    return this.#park
  }

  /** Something around it has a deadline: the branch is ready again by then. */
  atLatest(dueMs: number): void {
    this.#park = { ...this.#park, dueMs: Math.min(dueMs, this.#park.dueMs ?? dueMs) }
  }
}
