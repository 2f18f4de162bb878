/** What the parts of a run handle share: their way to the store, and when a run is over. */
import type { Cancellation } from '../engine/cancellation.js'
import type { DriveEnd } from '../engine/driver.js'
import { GraflowError } from '../errors.js'
import type { AwaitingHandlers } from './awaiting-handlers.js'
import type { FollowServices } from './follow-run.js'
import type { RunStates } from './run-states.js'

/** What handles need of the client. */
export interface HandleServices extends FollowServices {
  /** Aborted with CLOSED when the client is closed. It outlives every run: who waits for it stops waiting when done. */
  readonly closed: Cancellation
  readonly states: RunStates
  readonly awaiting: AwaitingHandlers
  /** How a run ends that this process drives now; undefined for any other, of which the store is asked. */
  driven(runId: string): Promise<DriveEnd> | undefined
  /** Looks whether any worker can drive this run, until the function given is called. */
  watchRun(runId: string): () => void
  /** Whether this process takes the run up when nobody drives it. */
  standsBy(runId: string): boolean
}

/** The error for a run that the store does not have. */
export const runNotFound = (runId: string): GraflowError =>
  new GraflowError('RUN_NOT_FOUND', `there is no run "${runId}" here, or it is past its retention`, {
    details: { runId },
  })

/** The same for a dead letter. */
export const letterNotFound = (id: string): GraflowError =>
  new GraflowError('DEAD_LETTER_NOT_FOUND', `there is no dead letter "${id}", or none any more`, { details: { id } })

/** The error for a run that was there, and not over, when it was looked at before. */
export const runGone = (runId: string): GraflowError =>
  new GraflowError(
    'RUN_NOT_FOUND',
    `the store does not know run "${runId}" any more, which was not over when it was seen last: the store has lost its data ` +
      '(flushed, or restarted without a copy), or the run has ended since and is past its retention',
    { details: { runId } },
  )

/** The error for a run whose record is there, but not the group that stands for it: nothing can end it any more. */
export const runLost = (runId: string): GraflowError =>
  new GraflowError(
    'INTEGRITY',
    `expected the group of run "${runId}" in the store, got none: the store has lost it, and the run cannot go on; cancel it, and start another`,
    { details: { runId } },
  )
