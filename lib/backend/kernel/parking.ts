/**
 * Parked branches: nobody holds them, and nothing of them is ready until what they wait for is there. Waking one only makes it ready: whoever gets
 * it sees for itself whether it can go on, so that an early or doubled wake is harmless.
 */
import { loseDriver } from './drivers.js'
import { noteRun } from './event-log.js'
import type { Group, ParkedBranch } from './group.js'
import { requeue } from './retries.js'
import type { KernelState } from './state.js'
import { addReady } from './waking.js'

/** The branch, of which nothing is held any more, is parked. `dueMs`: it is ready at the latest then. */
export function park(state: KernelState, group: Group, index: number, dueMs: number | undefined): void {
  const { run } = group
  group.parked += 1
  if (group.isRoot) {
    run.driver = undefined
    run.isParked = true
    noteRun(state, run)
  }
  if (dueMs === undefined) return
  const parked: ParkedBranch = { group, index, dueAt: 0, place: -1, order: 0 }
  group.parks = (group.parks ?? new Map()).set(index, parked)
  state.wakes.add(parked, state.now + dueMs)
}

/** Makes a parked branch ready; one that is not parked, or whose group is closed, stays as it is. */
export function wake(state: KernelState, group: Group, index: number): void {
  if (group.state !== 'open' || !group.table.isParked(index)) return
  const parked = group.parks?.get(index)
  if (parked !== undefined) {
    state.wakes.remove(parked)
    group.parks?.delete(index)
  }
  group.parked -= 1
  requeue(group, index)
  if (group.isRoot) {
    group.run.isParked = false
    loseDriver(state, group, true)
  }
  addReady(state, group, 1)
}

/** The group is closed: nothing of it is woken any more. */
export function unpark(state: KernelState, group: Group): void {
  group.parked = 0
  if (group.isRoot) group.run.isParked = false
  if (group.parks !== undefined) for (const parked of group.parks.values()) state.wakes.remove(parked)
  group.parks = undefined
}

/** Whether all branches that are left of an open group are parked. */
export const isIdle = ({ state, parked, left }: Group): boolean => state === 'open' && parked > 0 && parked === left

/** Notifies the holder of the branch that opened the group where it is idle. */
export function noteIdle(state: KernelState, group: Group): void {
  if (!isIdle(group)) return
  const waiter = group.parent?.grantHolding(group.parentIndex)?.session
  if (waiter !== undefined) state.effects.notice(waiter.id, { kind: 'idle', gid: group.spec.gid })
}
