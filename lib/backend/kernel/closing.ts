/**
 * Closing: a group and all below it. Hides that a group's counters, its queue's, its place in the lane, sessions and notices must change
 * together.
 */
import { removeChild, childrenOf } from './children.js'
import { endHolding } from './grants.js'
import type { Group } from './group.js'
import { unpark, wake } from './parking.js'
import type { KernelState } from './state.js'
import { countGranted, countReady, place } from './waking.js'

/**
 * Closes a group and all below it. Branches that are not final count as withdrawn through the group's state alone; the sessions that hold
 * them are notified, and the holder that waits for the group.
 */
export function close(state: KernelState, group: Group, as: 'released' | 'withdrawn', reason: string): void {
  if (group.state !== 'open') return
  group.state = as
  group.closedAt = state.now
  const { queue } = group.lane
  countReady(group, -group.ready)
  countGranted(group, -group.inFlight)
  queue.delayed -= group.delayed
  if (group.delays !== undefined) for (const delayed of group.delays.values()) queue.delays.remove(delayed)
  if (group.tasks !== undefined) for (const held of group.tasks.values()) state.taskDeadlines.remove(held)
  if (group.affinityHold !== undefined) state.affinityHolds.remove(group.affinityHold)
  const wasHeld = group.inFlight > 0
  group.ready = 0
  group.inFlight = 0
  group.delayed = 0
  group.delays = undefined
  group.affinityHold = undefined
  group.tasks = undefined
  unpark(state, group)
  place(group)
  const waiter = group.parent?.grantHolding(group.parentIndex)?.session
  if (wasHeld) notifyHolders(state, group, reason)
  if (group.children !== undefined) for (const child of group.children.all()) close(state, child, 'withdrawn', reason)
  removeChild(group.parent, group)
  if (group.parent !== undefined) wake(state, group.parent, group.parentIndex)
  if (waiter !== undefined) state.effects.notice(waiter.id, { kind: 'released', gid: group.spec.gid })
  if (!group.isRoot) state.effects.activity(group.run.id, 'group', group.spec.gid)
}

function notifyHolders(state: KernelState, group: Group, reason: string): void {
  const sessions = new Set<string>()
  for (const grant of group.heldGrants()) {
    sessions.add(grant.session.id)
    endHolding(state, grant, grant.held)
  }
  for (const id of sessions) state.effects.notice(id, { kind: 'withdrawn', gid: group.spec.gid, reason })
}

/** Withdraws the open groups that this branch opened. */
export function closeChildren(state: KernelState, group: Group, index: number, reason: string): void {
  for (const child of childrenOf(group, index)) close(state, child, 'withdrawn', reason)
}
