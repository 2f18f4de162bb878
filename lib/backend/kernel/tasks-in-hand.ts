/**
 * The task in hand of a branch: its holder reports the terms of the task, which then hold in place of the group's. Hides what is remembered of
 * tasks before it, so that one that is started again goes on counting where it stopped.
 */
import type { StepRequest, TaskCounts } from '../backend.js'
import { MOST_IN_PLACE } from '../kept.js'
import { childrenOf } from './children.js'
import type { Group, HeldTask, SetAside } from './group.js'
import type { KernelState } from './state.js'

/** So many other tasks of a branch are remembered. */
const MOST_OTHERS = 32
const NONE: SetAside = Object.freeze({ errors: 0, losses: 0, startsAt: 0 })

/**
 * A step reports the task that its holder starts now, or `none`: that ends the deadline of the start before. Gives what was counted for the
 * task; undefined where there is none, or the step reports nothing.
 */
export function reportTask(
  state: KernelState,
  group: Group,
  index: number,
  report: StepRequest['task'],
): TaskCounts | undefined {
  if (report === undefined) return undefined
  const known = group.tasks?.get(index)
  if (known !== undefined) state.taskDeadlines.remove(known)
  if (report === 'none' && known === undefined) return undefined
  const held = known ?? newHeldTask(group, index)
  if (held.task?.path !== (report === 'none' ? undefined : report.path)) putAside(held)
  if (report === 'none') {
    held.task = undefined
    return undefined
  }
  const before = held.task === undefined ? takeUp(held, report.path, known === undefined ? report.losses : 0) : held
  held.task = report
  held.errors = Math.max(before.errors, report.errors)
  held.losses = before.losses
  if (report.timeoutMs > 0) state.taskDeadlines.add(held, state.now + report.timeoutMs + state.options.deadlineGraceMs)
  const counts = { errors: held.errors, losses: held.losses }
  if (report.delayMs !== undefined && report.delayMs > 0) putAside(held, state.now + report.delayMs)
  const waitMs = 'startsAt' in before ? before.startsAt - state.now : 0
  return waitMs > 0 ? { ...counts, waitMs } : counts
}

function newHeldTask(group: Group, index: number): HeldTask {
  const held: HeldTask = {
    ...{ group, index, task: undefined, errors: 0, losses: 0, counted: 0, others: new Map() },
    ...{ dueAt: 0, place: -1, order: 0 },
  }
  group.tasks ??= new Map()
  group.tasks.set(index, held)
  return held
}

/** Another task comes, or this one is to wait: what was counted for it is kept, in case that it is started again. */
function putAside(held: HeldTask, startsAt = 0): void {
  const { task, errors, losses, others } = held
  held.task = undefined
  if (task === undefined || errors + losses === 0) return
  others.set(task.path, { errors, losses, startsAt })
  for (const path of others.keys()) {
    if (others.size <= MOST_OTHERS) return
    others.delete(path)
  }
}

/** `losses`: losses of the branch that were counted for no task, and were of this one. */
function takeUp(held: HeldTask, path: string, losses: number): SetAside {
  const before = held.others.get(path) ?? NONE
  held.others.delete(path)
  held.counted += losses
  return { ...before, losses: before.losses + losses }
}

/** The branch is not held any more: the start of its task has no deadline. What was counted stays, unless it is over. */
export function endStart(state: KernelState, group: Group, index: number, isOver: boolean): void {
  const held = group.tasks?.get(index)
  if (held === undefined) return
  state.taskDeadlines.remove(held)
  if (isOver) group.tasks?.delete(index)
}

/**
 * Whether the branch only waits for a group that it opened, with no task in hand: its holder has said so under this grant. Then the loss of the
 * holder says nothing about any task.
 */
export const isWaiting = (group: Group, index: number): boolean =>
  group.tasks?.get(index)?.task === undefined && group.table.hasOutlasted(index) && childrenOf(group, index).length > 0

/**
 * A grant of the branch was lost, its loss number `losses`: says whether the branch is dead. While a group is open that its task opened, the
 * work of that group may be what its workers are lost to: then the branch may be lost twice as often.
 */
export function isDeadBy(group: Group, index: number, losses: number): boolean {
  const held = group.tasks?.get(index)
  const { maxLosses } = group.spec
  const most = childrenOf(group, index).length > 0 ? maxLosses * 2 : maxLosses
  if (held?.task === undefined) return losses - (held?.counted ?? 0) > most
  held.losses += 1
  held.counted += 1
  return held.losses > held.task.maxLosses
}

/** The start of its task took too long: says whether its attempts are spent. Undefined where no task is in hand. */
export function isSpentBy(group: Group, index: number): boolean | undefined {
  const held = group.tasks?.get(index)
  if (held?.task === undefined) return undefined
  held.errors += 1
  return held.errors >= held.task.attempts
}

/** Tasks of held branches that wait for their next start where the branch is; of very many the first. */
export function waitingInPlace(state: KernelState, group: Group): { path: string; startsAt: number }[] {
  const found: { path: string; startsAt: number }[] = []
  for (const { task, others } of group.tasks?.values() ?? []) {
    for (const [path, { startsAt }] of others) {
      if (found.length >= MOST_IN_PLACE) return found
      if (task === undefined && startsAt > state.now) found.push({ path, startsAt: state.wall(startsAt) })
    }
  }
  return found
}
