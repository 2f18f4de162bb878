/**
 * Counts what may still bring grants: calls under way, and grants that wait for their graph. A grant may be withdrawn before it is here,
 * since notices and answers travel by different ways: what was withdrawn meanwhile is remembered for as long.
 */
import type { Token } from '../backend/backend.js'

export class PendingGrants {
  readonly #onNone: () => void
  #count = 0
  /** By token, or by group where all its grants were withdrawn. */
  readonly #withdrawn = new Set<string>()

  /** @param onNone none is pending any more */
  constructor(onNone: () => void) {
    this.#onNone = onNone
  }

  get isNone(): boolean {
    return this.#count === 0
  }

  begin(): void {
    this.#count += 1
  }

  end(): void {
    this.#count -= 1
    if (this.#count > 0) return
    this.#withdrawn.clear()
    this.#onNone()
  }

  /** A grant, or all grants of a group, are not wanted any more. */
  withdraw(tokenOrGid: string): void {
    if (this.#count > 0) this.#withdrawn.add(tokenOrGid)
  }

  isWithdrawn(gid: string, token: Token): boolean {
    return this.#withdrawn.has(gid) || this.#withdrawn.has(token)
  }
}
