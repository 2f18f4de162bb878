/** What the parts of a run handle share: their way to the store, and when a run is over. */
import type { Backend } from '../backend/backend.js'
import type { Cancellation } from '../engine/cancellation.js'
import type { Engine } from '../engine/engine.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'

/** What handles need of the client. */
export interface HandleServices {
  readonly backend: Backend
  readonly engine: Engine
  readonly emitter: Emitter
  /** Aborted with CLOSED when the client is closed. It outlives every run: who waits for it stops waiting when done. */
  readonly closed: Cancellation
}

export { isEnded } from '../engine/driver.js'

/** The error for a run that nobody knows. */
export const runNotFound = (runId: string): GraflowError =>
  new GraflowError('RUN_NOT_FOUND', `there is no run "${runId}" here, or it is past its retention`, {
    details: { runId },
  })
