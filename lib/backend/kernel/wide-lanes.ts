/**
 * Wide lanes: those that no live session serves whole. Sessions that know some of the tasks take from such a lane, and forward what they do not
 * know; where none knows any, every session of the queue does. Hides which lanes are wide, and until when.
 */
import type { AskedTasks, ControlAnswer } from '../backend.js'
import { takesOnlyTasks } from '../reserved.js'
import type { Group, Lane, Session } from './group.js'
import { asSet } from './sessions.js'
import type { KernelState } from './state.js'

/** So many lanes are wide at most: the one that has been so for longest is narrow again then. */
const MOST_WIDE = 64

/** The lane of a group becomes wide, if no live session serves it whole and some could take from it. */
export function widenLane(state: KernelState, gid: string, orNone: boolean): ControlAnswer {
  const group = state.groups.get(gid)
  if (group?.state !== 'open') return 'gone'
  const { lane } = group
  const asks = widthFor(state, group, orNone)
  if (asks === undefined) return 'fenced'
  if (lane.asks === asks) return 'dup'
  const [oldest] = state.wideLanes
  if (oldest !== undefined && state.wideLanes.size >= MOST_WIDE && lane.asks === 'all') narrow(state, oldest)
  narrow(state, lane)
  lane.asks = asks
  state.wideLanes.add(lane)
  return 'ok'
}

/** A session opens: lanes that it serves whole are not wide any more. */
export function narrowLanes(state: KernelState, session: Session): void {
  for (const lane of state.wideLanes) {
    if (isOfLane(session, lane) && !isForTasks(session) && session.knows(lane, 'all')) narrow(state, lane)
  }
}

function narrow(state: KernelState, lane: Lane): void {
  lane.asks = 'all'
  state.wideLanes.delete(lane)
}

/** Whether a session takes what the lane has, but for its tasks. */
function isOfLane({ info: { role, queues, capabilities } }: Session, { queue, requires }: Lane): boolean {
  if (role === 'client' || role === 'observer') return false
  const has = asSet(capabilities)
  return (queues === 'all' || queues.includes(queue.name)) && (has === 'all' || requires.every((name) => has.has(name)))
}

/** It takes branches of one task only, and forwards nothing. */
const isForTasks = ({ info }: Session): boolean => takesOnlyTasks(info.capabilities)

/** What can be asked of a session so that one can serve the lane; undefined where one serves the group whole, or none could take from it. */
function widthFor(state: KernelState, { lane, spec }: Group, orNone: boolean): AskedTasks | undefined {
  let asks: AskedTasks | undefined
  for (const session of state.sessions.values()) {
    if (session.expiresAt <= state.now || !isOfLane(session, lane)) continue
    const isLimited = isForTasks(session)
    if (session.knows(lane, 'all') && (spec.isOneTask === true || !isLimited)) return undefined
    if (isLimited) continue
    if (session.knows(lane, 'some')) asks = 'some'
    else if (orNone) asks ??= 'none'
  }
  return asks
}
