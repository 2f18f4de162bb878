/**
 * What happens in the store, kept for those who look at it from outside: only while somebody has asked for it. And what those have seen of single
 * runs who watch them, so that whoever goes on from there tells the same. Positions are times, each larger than the one before.
 */
import type { EventPage, LoggedEvent, RunEventPage, RunEventsAnswer, RunEventsRequest } from '../backend.js'
import { isGapBehind } from '../event-positions.js'
import type { Run } from './group.js'
import { EventLog, type RunEventLog } from './kept-events.js'
import type { KernelState } from './state.js'

const MOST_EVENTS = 10000
const MOST_RUN_EVENTS = 1000
const MOST_RUN_BYTES = 2 * 1024 * 1024
/** Of all runs together; and what a log takes beside what is in it. */
const MOST_LOGS_BYTES = 64 * 1024 * 1024
const LOG_BYTES = 1024

/** From now on what happens is kept; where it was not until now, the log begins anew. */
export function keepEvents(state: KernelState, forMs: number): void {
  const { events } = state
  if (!isKept(state)) {
    events.entries = []
    events.add(undefined, state.wallNow, MOST_EVENTS)
  }
  events.keptUntil = state.now + forMs
}

/** Whether somebody wants to know what happens. */
function isKept(state: KernelState): boolean {
  return state.events.keptUntil > state.now
}

/** Keeps an event. */
export function noteEvent(state: KernelState, event: LoggedEvent): void {
  if (isKept(state)) state.events.add(event, state.wallNow, MOST_EVENTS)
}

/** The facts of a run have changed: tells its watchers, and keeps what the run is called from now on, if that is another state. */
export function noteRun(state: KernelState, run: Run): void {
  state.effects.activity(run.id, 'state', run.id)
  const { noted: from, id: runId, workflow } = run
  run.noted = run.stateAt(state.wallNow)
  if (from !== run.noted) noteEvent(state, { kind: 'run', runId, workflow, from, to: run.noted })
}

/** What was kept behind a position. */
export function readEvents(state: KernelState, after: string | undefined, limit: number): EventPage {
  const { events } = state
  const found = events.behind(after, limit)
  return {
    isKept: isKept(state),
    last: events.last,
    isGap: isGapBehind(after, events.entries[0]?.position, events.last),
    events: found.flatMap(({ position, at, event }) => (event === undefined ? [] : [{ position, at, event }])),
    next: found.at(-1)?.position,
  }
}

/** Adds to what was seen of a run. */
export function appendRunEvents(state: KernelState, request: RunEventsRequest): RunEventsAnswer {
  const { runEvents, now } = state
  const { runId, after, events, seen, keptMs } = request
  runEvents.dropDue(now)
  const known = runEvents.get(runId)
  if (state.isFull(events.length + seen.length)) return { status: 'backpressure' }
  if (known?.log.last !== after) return { status: 'stale' }
  const own = known ?? { runId, log: new EventLog<Uint8Array>(), seen, bytes: 0, dueAt: 0, place: -1, order: 0 }
  own.seen = seen
  const position = own.log.add(events, state.wallNow, MOST_RUN_EVENTS)
  const left = own.log.keepLast(MOST_RUN_BYTES, (one) => one.length)
  boundLogs(state, own, left + seen.length + LOG_BYTES, keptMs)
  return { status: 'ok', position }
}

/** Keeps how much the log of a run takes; where all take too much, those go that would be over soonest. */
function boundLogs({ runEvents, now }: KernelState, own: RunEventLog, bytes: number, keptMs: number): void {
  runEvents.keep(own, bytes, now + keptMs)
  runEvents.dropBeyond(MOST_LOGS_BYTES, own)
}

/** What was kept behind a position of what was seen of a run. */
export function readRunEvents(
  state: KernelState,
  runId: string,
  after: string | undefined,
  limit: number,
): RunEventPage {
  state.runEvents.dropDue(state.now)
  const { log = new EventLog<Uint8Array>(), seen } = state.runEvents.get(runId) ?? {}
  return {
    last: log.last,
    isGap: isGapBehind(after, log.entries[0]?.position, log.last),
    seen,
    entries: log
      .behind(after, limit)
      .flatMap(({ position, event: events }) => (events === undefined ? [] : [{ position, events }])),
  }
}
