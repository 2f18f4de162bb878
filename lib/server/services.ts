/** What all routes of the control plane get. Routes are thin: what they answer is what the client answers. */
import type { Graflow } from '../producer/types.js'
import type { Session } from '../session/open-session.js'
import type { Clock, Random } from '../time.js'
import type { KeyRing } from './keys.js'
import type { StoreWatch } from './store-watch.js'

/** One a server. */
export interface ServerServices {
  /** Runs, queues, workers, dead letters, builds and waits of the store. */
  readonly graflow: Graflow
  /** For what only the store knows: `session.store` fails while the store is away, `session.backend` repeats. */
  readonly session: Session
  /** Of all that the server shows. */
  readonly keyPrefix: string
  /** Where the store is, without a password; undefined where it is this process. */
  readonly address?: string
  readonly clock: Clock
  readonly random: Random
  readonly newId: () => string
  /** Aborts when the server is to end: streams end then. */
  readonly closing: AbortSignal
  readonly keys: KeyRing
  readonly watch: StoreWatch
  readonly log: (level: 'debug' | 'info' | 'warn' | 'error', message: string, details?: object) => void
}
