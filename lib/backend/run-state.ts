/** What a run is called, in every store: its state follows from facts that are kept apart, so that no two of them can contradict each other. */
import type { EndState, OpenRequest, RunState } from './backend.js'

/** A run whose driver is gone is called abandoned when nobody has taken it over for so long. A worker that can does it within a second. */
export const ABANDONED_AFTER_MS = 5_000

/** What the state of a run follows from. Times are of one clock. */
export interface RunFacts {
  readonly end: EndState | undefined
  /** Its driver is gone, and no worker may take it over. */
  readonly isAbandoned: boolean
  readonly isPaused: boolean
  /** Its root branch is parked. */
  readonly isWaiting: boolean
  /** Somebody drives it now. */
  readonly isDriven: boolean
  /** When the process that opened it, or the one that took it over, was lost; undefined while somebody drives it, and for submitted runs. */
  readonly lostAt: number | undefined
}

/** The state of a run at `now`. */
export function runStateOf(
  { end, isAbandoned, isPaused, isWaiting, isDriven, lostAt }: RunFacts,
  now: number,
): RunState {
  if (end !== undefined) return end
  if (isAbandoned) return 'abandoned'
  if (isPaused) return 'paused'
  if (isWaiting) return 'waiting'
  if (isDriven) return 'running'
  return lostAt !== undefined && now - lostAt >= ABANDONED_AFTER_MS ? 'abandoned' : 'pending'
}

/** Whether a run that loses its driver waits to be resumed, where else a worker takes it over. */
export const isLeftBehind = ({ ifLost, session }: Pick<OpenRequest, 'ifLost' | 'session'>): boolean =>
  ifLost === undefined ? session !== undefined : ifLost === 'abandon'
