/**
 * The sweep: promotes what is due, reclaims what dead sessions and passed deadlines held, ends runs past their timeout, purges what
 * is past retention, and notifies sessions that wait beside work. It reads the state as it is at that moment, so that a branch that was
 * settled a moment before is left alone. Any number of processes may call it.
 */
import { EMPTY_BYTES } from '../../values/packed-items.js'
import type { SweepAnswer } from '../backend.js'
import { GRAPH_RETENTION_MS } from '../kept.js'
import { offerLead } from './leader.js'
import { noteStandstill, reclaimExpired } from './lost-sessions.js'
import { purge } from './purge.js'
import { reclaim } from './reclaim.js'
import { promoteDue } from './retries.js'
import { endRun } from './runs.js'
import { SWEEP_GAP_MS, sweepIntervalMs } from './session.js'
import type { KernelState } from './state.js'
import { notifyAll } from './waking.js'
import { wakeDue } from './waits.js'

/** Items a sweep handles at most; what is left over makes the next one due at once. */
const MOST_ITEMS = 256
/** Of those, waits and parked branches that are due. */
const MOST_WOKEN = 256
/** Runs and groups together that it purges, which has a bound of its own: nothing else waits behind it. One run is purged in one. */
const MOST_PURGED = 256

/**
 * Sweeps once. Repeating it is safe: within 100 ms it is `skip`, unless the one before left something over or `isForced`. While there
 * is reason to think that no session could renew it is `grace`, and reclaims nothing.
 */
export function sweep(state: KernelState, isForced = false): SweepAnswer {
  if (!isForced && !state.hasBacklog && state.now - state.lastSweepAt < SWEEP_GAP_MS) return { status: 'skip' }
  noteStandstill(state)
  state.lastSweepAt = state.now
  const isGrace = state.now < state.graceUntil
  const promoted = promoteDue(state, state.queues.values(), MOST_ITEMS / 2)
  const woken = wakeDue(state, MOST_WOKEN)
  let items = promoted + woken
  const reclaimed = isGrace ? 0 : reclaimDue(state, MOST_ITEMS - items)
  offerLead(state)
  items += reclaimed
  items += endOverdueRuns(state, MOST_ITEMS - items)
  const hasPurges = purgeDue(state, MOST_PURGED)
  endAffinities(state)
  notifyAll(state)
  state.hasBacklog =
    items >= MOST_ITEMS ||
    woken >= MOST_WOKEN ||
    promoted >= MOST_ITEMS / 2 ||
    hasPurges ||
    (!isGrace && state.lost.size > 0)
  const interval = sweepIntervalMs(state)
  state.sweepDueAt = interval === undefined ? Number.POSITIVE_INFINITY : state.now + interval
  if (isGrace) return { status: 'grace' }
  const dueAt = nextDueAt(state)
  return {
    status: 'ok',
    reclaimed,
    nextDueMs: dueAt === undefined ? undefined : Math.max(0, dueAt - state.now),
  }
}

/** When something is due next, in kernel time; undefined when nothing is planned. */
export function nextDueAt(state: KernelState): number | undefined {
  const dueAt = Math.min(awaitedDueAt(state), backgroundDueAt(state))
  return dueAt === Number.POSITIVE_INFINITY ? undefined : dueAt
}

/** When something is due next that a run or session may be waiting for; Infinity when there is none. */
export function awaitedDueAt(state: KernelState): number {
  let dueAt = state.hasBacklog ? state.now : Number.POSITIVE_INFINITY
  if (state.lost.size > 0) dueAt = Math.min(dueAt, Math.max(state.now, state.graceUntil))
  for (const queue of state.queues.values()) dueAt = Math.min(dueAt, queue.delays.first()?.dueAt ?? dueAt)
  dueAt = Math.min(dueAt, state.affinityHolds.first()?.dueAt ?? dueAt, state.runTimeouts.first()?.dueAt ?? dueAt)
  dueAt = Math.min(dueAt, state.wakes.first()?.dueAt ?? dueAt)
  const never = Number.POSITIVE_INFINITY
  const deadline = Math.min(state.deadlines.first()?.dueAt ?? never, state.taskDeadlines.first()?.dueAt ?? never)
  return Math.min(dueAt, Math.max(deadline, state.graceUntil))
}

/** When a sweep or a purge is due that no run or session waits for; Infinity when there is none. */
export function backgroundDueAt(state: KernelState): number {
  const runs = state.purges.first()?.dueAt ?? Number.POSITIVE_INFINITY
  return Math.min(state.sweepDueAt, runs, state.graphPurges.first()?.dueAt ?? Number.POSITIVE_INFINITY)
}

function endOverdueRuns(state: KernelState, most: number): number {
  let ended = 0
  while (ended < most) {
    const due = state.runTimeouts.takeDue(state.now)
    if (due === undefined) break
    endRun(state, due.run, 'failed', EMPTY_BYTES, 'the run took longer than its timeout')
    ended += 1
  }
  return ended
}

/** Reclaims what expired sessions held, then what is past its deadline. Says how many branches. */
function reclaimDue(state: KernelState, most: number): number {
  let reclaimed = reclaimExpired(state, most)
  while (reclaimed < most) {
    const grant = state.deadlines.first()
    if (grant === undefined || grant.dueAt > state.now) break
    reclaimed += reclaim(state, grant, 'late', most - reclaimed)
    if (reclaimed < most) state.deadlines.remove(grant)
  }
  while (reclaimed < most) {
    const late = state.taskDeadlines.takeDue(state.now)
    if (late === undefined) break
    const grant = late.group.grantHolding(late.index)
    if (grant !== undefined) reclaimed += reclaim(state, grant, 'late', 1, late.index)
  }
  return reclaimed
}

function endAffinities(state: KernelState): void {
  for (;;) {
    const hold = state.affinityHolds.takeDue(state.now)
    if (hold === undefined) return
    hold.group.affinityHold = undefined
  }
}

/** Purges what is due; true when that was not all. */
function purgeDue(state: KernelState, most: number): boolean {
  for (let left = most; left > 0; left -= 1) {
    const run = state.purges.takeDue(state.now)?.run
    if (run !== undefined) {
      left -= purge(state, run)
      continue
    }
    const graph = state.graphPurges.takeDue(state.now)
    if (graph === undefined) return false
    if (state.graphRuns.has(graph.hash)) {
      state.graphPurges.add(graph, state.now + GRAPH_RETENTION_MS)
    } else {
      state.graphs.delete(graph.hash)
      state.bytes -= graph.bytes.length
    }
  }
  return true
}
