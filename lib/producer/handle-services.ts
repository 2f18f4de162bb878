/** What the parts of a run handle share: their way to the store, and when a run is over. */
import type { Backend, RunChange } from '../backend/backend.js'
import type { Cancellation } from '../engine/cancellation.js'
import type { DriveEnd } from '../engine/driver.js'
import type { Engine } from '../engine/engine.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import type { RunStates } from './run-states.js'

/** What following a run needs of the client. */
export interface FollowServices {
  readonly backend: Backend
  readonly engine: Engine
  readonly emitter: Emitter
}

/** What handles need of the client. */
export interface HandleServices extends FollowServices {
  /** Aborted with CLOSED when the client is closed. It outlives every run: who waits for it stops waiting when done. */
  readonly closed: Cancellation
  readonly states: RunStates
  /** How a run ends that this process drives now; undefined for any other. Nobody needs to ask the store then. */
  driven(runId: string): Promise<DriveEnd> | undefined
}

export { isEnded } from '../engine/driver.js'

/** The error for a run that nobody knows. */
export const runNotFound = (runId: string): GraflowError =>
  new GraflowError('RUN_NOT_FOUND', `there is no run "${runId}" here, or it is past its retention`, {
    details: { runId },
  })

/** The error for a run that was there, and not over, when it was looked at before. */
export const runGone = (runId: string): GraflowError =>
  new GraflowError(
    'RUN_NOT_FOUND',
    `the store does not know run "${runId}" any more, which was not over when it was seen last: the store has lost its data ` +
      '(flushed, or restarted without a copy), or the run has ended since and is past its retention',
    { details: { runId } },
  )

/** Whether calls travel: then watching a run costs something, and its news may be lost. */
export const isDistant = (backend: Backend): boolean => backend.onReconnected !== undefined

/** News may be lost: after about so long it is worth a look all the same. */
const SLOW_LOOK_MS = 5_000

/** Calls `look` whenever it is worth looking at a run again, for news of these kinds; returns what ends that. */
export function followRun(
  runId: string,
  { backend, engine }: FollowServices,
  kinds: readonly RunChange[],
  look: () => void,
): () => void {
  const { clock, random } = engine.parts
  let disarm: (() => void) | undefined
  const arm = (): void => {
    disarm = clock.after(
      SLOW_LOOK_MS * (0.8 + 0.4 * random()),
      () => {
        arm()
        look()
      },
      true,
    )
  }
  const off = [
    backend.watch(runId, ({ kind }) => {
      if (kind !== 'events' && kinds.includes(kind)) look()
    }),
    backend.onReconnected?.(look),
  ]
  if (isDistant(backend)) arm()
  return () => {
    disarm?.()
    for (const end of off) end?.()
  }
}

/** News of a run, one after the other. `end` it. */
export interface News {
  /** Resolves at the next news. Ask before looking, then wait. */
  next(): Promise<void>
  end(): void
}

export function newsOf(runId: string, services: FollowServices, kinds: readonly RunChange[]): News {
  let wake: () => void = () => undefined
  const end = followRun(runId, services, kinds, () => wake())
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
    })
  return { next, end }
}
