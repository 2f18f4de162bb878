/**
 * What is ready, and which sessions are notified of it. Hides when a group stands in its lane, how a group's and its queue's counters go
 * together, and which sessions get a `work` notice: one for each branch while those are few, and never none where a session waits beside work.
 */
import { takesOnlyTasks } from '../reserved.js'
import type { Group, Lane, Session } from './group.js'
import { isQuick, type Wait } from './sessions.js'
import type { KernelState } from './state.js'

const MOST_NOTIFIED = 16
const WORK = Object.freeze({ kind: 'work' })

/** Puts the group into its lane or out of it: it stands there exactly while something of it can be granted. */
export function place(group: Group): void {
  const { spec, run } = group
  const isGrantable =
    group.state === 'open' &&
    group.ready > 0 &&
    (spec.limit === 0 || group.inFlight < spec.limit) &&
    !run.isPaused &&
    !(group.isRoot && (run.isAbandoned || (run.isLeftBehind && run.lostAt !== undefined)))
  if (isGrantable === group.isQueued) return
  if (isGrantable) group.lane.enqueue(group)
  else group.lane.dequeue(group)
}

/** These many branches became ready: they are offered to sessions that wait. */
export function addReady(state: KernelState, group: Group, count: number): void {
  if (count === 0) return
  if (group.ready === 0) group.readySince = state.now
  group.ready += count
  countReady(group, count)
  place(group)
  notifyFor(state, group, count)
}

/** So many more, or fewer, of the group's branches are ready. */
export function countReady({ isOpeners, lane }: Group, more: number): void {
  if (isOpeners) return
  lane.ready += more
  lane.queue.ready += more
}

/** So many more, or fewer, of the group's branches are held. */
export function countGranted({ isOpeners, lane }: Group, more: number): void {
  if (!isOpeners) lane.queue.granted += more
}

/** Branches stopped being held, whatever they are now. */
export function endFlight(group: Group, count: number): void {
  group.inFlight -= count
  countGranted(group, -count)
}

/** Room under the group's limit came free. */
export function reopenLimit(state: KernelState, group: Group): void {
  if (group.spec.limit === 0 || group.isQueued || group.state !== 'open') return
  place(group)
  notifyFor(state, group, group.ready)
}

/**
 * Notifies waiting sessions for `count` branches of the group: one session for each branch, so that all get a share (for quick tasks, a session
 * counts for all its free slots). After `MOST_NOTIFIED` sessions it stops as soon as these have room for all branches, since each session that
 * acquires notifies the next.
 */
export function notifyFor(state: KernelState, group: Group, count: number): void {
  if (!group.isQueued || group.lane.queue.isPaused || state.waiting.size === 0) return
  const { limit } = group.spec
  const wanted = limit === 0 ? count : Math.min(count, limit - group.inFlight)
  let notified = 0
  let free = 0
  for (const session of state.waiting) {
    if (notified >= wanted || (notified >= MOST_NOTIFIED && free >= wanted)) return
    if (session.wait === undefined || !mayTake(state, session, session.wait, group)) continue
    free += session.wait.free
    notified += isQuick(session.wait.quick, group.lane) ? session.wait.free : 1
    notifyWork(state, session)
  }
}

/**
 * Notifies one session that waits beside work for which no notified session comes. Called when a session has asked and left something:
 * each that comes notifies the next, so that none is notified for what is granted by then. Never the one that asks.
 */
export function notifyNext(state: KernelState, asking?: Session): void {
  if (state.waiting.size === 0) return
  for (const queue of state.queues.values()) {
    if (queue.isPaused) continue
    for (const lane of queue.lanes) {
      for (const session of state.waiting) {
        if (session === asking) continue
        const group = firstIn(state, lane, session)
        if (group === undefined || isSomebodyComingFor(state, group)) continue
        notifyWork(state, session)
        return
      }
    }
  }
}

function notifyWork(state: KernelState, session: Session): void {
  state.waiting.delete(session)
  state.coming.add(session)
  session.notifiedAt = state.now
  state.effects.notice(session.id, WORK)
}

function firstIn(state: KernelState, lane: Lane, session: Session): Group | undefined {
  const { wait } = session
  if (wait === undefined || !session.canServe(lane, wait.capabilities)) return undefined
  for (let i = 0; i < lane.size; i++) {
    const group = lane.at(i)
    if (group !== undefined && mayTake(state, session, wait, group)) return group
  }
  return undefined
}

function isSomebodyComingFor(state: KernelState, group: Group): boolean {
  for (const session of state.coming) {
    if (session.wait !== undefined && mayTake(state, session, session.wait, group)) return true
  }
  return false
}

/** Offers all that is ready to sessions that wait: after a change that is not about one group. */
export function notifyAll(state: KernelState): void {
  if (state.waiting.size === 0) return
  for (const queue of state.queues.values()) {
    for (const lane of queue.lanes) {
      for (let i = 0; i < lane.size && state.waiting.size > 0; i++) {
        const group = lane.at(i)
        if (group !== undefined) notifyFor(state, group, group.ready)
      }
    }
  }
}

/** Whether a session may be granted branches of a group that stands in its lane. */
export function mayTake(
  state: KernelState,
  session: Session,
  wait: Omit<Wait, 'free' | 'quick'>,
  group: Group,
): boolean {
  return (
    (wait.queues === 'all' || wait.queues.includes(group.lane.queue.name)) &&
    session.canServe(group.lane, wait.capabilities) &&
    (group.spec.isOneTask === true || !takesOnlyTasks(wait.capabilities)) &&
    group.spec.depth > (wait.deeperThan === 0 ? -1 : wait.deeperThan) &&
    !isHeldForOther(state, session, group)
  )
}

/** Whether the group is reserved for a live worker other than this one. */
function isHeldForOther(state: KernelState, session: Session, group: Group): boolean {
  const { affinity } = group.spec
  if (affinity === undefined || group.affinityHold === undefined) return false
  return session.info.baseId !== affinity && state.bases.has(affinity)
}
