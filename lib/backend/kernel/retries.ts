/** Branches that are to start again: at once, or after a delay. */
import type { DelayedBranch, Group, Queue } from './group.js'
import type { KernelState } from './state.js'
import { addReady } from './waking.js'

/** The branch is ready again, before those that were never granted; the caller adds it to what is ready. */
export function requeue(group: Group, index: number): void {
  group.table.makeReady(index)
  group.requeue(index)
}

/** The branch waits for its retry. */
export function delay(state: KernelState, group: Group, index: number, delayMs: number): void {
  group.table.makeDelayed(index)
  const delayed: DelayedBranch = { group, index, dueAt: 0, place: -1, order: 0 }
  group.delays ??= new Map()
  group.delays.set(index, delayed)
  group.delayed += 1
  group.lane.queue.delayed += 1
  group.lane.queue.delays.add(delayed, state.now + delayMs)
}

/** The retry is due; the caller has taken it from the queue's delays. */
function promote(state: KernelState, { group, index }: DelayedBranch): void {
  group.delays?.delete(index)
  group.delayed -= 1
  group.lane.queue.delayed -= 1
  requeue(group, index)
  addReady(state, group, 1)
}

/** Promotes up to `most` delayed branches of these queues whose time has come; says how many. */
export function promoteDue(state: KernelState, queues: Iterable<Queue>, most = Number.POSITIVE_INFINITY): number {
  let promoted = 0
  for (const { delays } of queues) {
    while (promoted < most) {
      const due = delays.takeDue(state.now)
      if (due === undefined) break
      promote(state, due)
      promoted += 1
    }
  }
  return promoted
}
