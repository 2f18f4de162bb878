/**
 * Hides that the store pushes grants to a session that waits. The store reclaims a pushed grant unless it is settled or confirmed soon, so
 * that a process that stands still does not keep it. A pushed grant may arrive after it was reclaimed: such a token is refused.
 */
import type { Grant, Token } from '../backend/backend.js'
import type { ExecutorOptions } from './executor-options.js'
import type { PendingGrants } from './pending-grants.js'

/** A pushed grant is confirmed when it takes longer. */
const CONFIRM_MS = 300
/** Tokens that were lost before their grant arrived, remembered. */
const MOST_REFUSED = 1_000

type Options = Pick<ExecutorOptions, 'backend' | 'clock' | 'session' | 'onError'>

interface Parts {
  readonly pending: PendingGrants
  readonly take: (grant: Grant) => void
  /** Grants in hand. */
  readonly known: () => readonly { readonly gid: string; readonly token: Token }[] | undefined
}

export class PushedGrants {
  readonly #options: Options
  readonly #parts: Parts
  /** The last few, oldest first. */
  readonly #refused = new Set<Token>()
  readonly #unconfirmed = new Set<Token>()
  #cancelConfirm: (() => void) | undefined

  constructor(options: Options, parts: Parts) {
    this.#options = options
    this.#parts = parts
  }

  receive(grant: Grant): void {
    if (this.#refused.delete(grant.token)) return
    this.#parts.take(grant)
    this.#unconfirmed.add(grant.token)
    this.#confirmLater()
  }

  /** The grant of this token was lost, and is not here: it may have been pushed, and arrive later. */
  refuse(token: Token): void {
    if (this.#refused.size >= MOST_REFUSED) {
      for (const oldest of this.#refused) {
        this.#refused.delete(oldest)
        break
      }
    }
    this.#refused.add(token)
  }

  /** Ends its timer. */
  stop(): void {
    this.#cancelConfirm?.()
  }

  #confirmLater(): void {
    this.#cancelConfirm ??= this.#options.clock.after(
      CONFIRM_MS,
      () => {
        this.#cancelConfirm = undefined
        this.#confirm()
      },
      true,
    )
  }

  #confirm(): void {
    const { backend, session, onError } = this.#options
    const { pending, known } = this.#parts
    const held = (known() ?? []).filter(({ token }) => this.#unconfirmed.delete(token))
    // While grants are pending it is not known which of these are among them.
    if (pending.isNone) this.#unconfirmed.clear()
    else this.#confirmLater()
    if (held.length > 0) backend.session({ kind: 'confirm', session, grants: held }).catch(onError)
  }
}
