/**
 * Branches that are to start again: at once, after a delay, or in a new epoch of their run. Hides which outcomes of a group stay when it is opened
 * again: those of branches that succeeded. All others start anew, with no errors and no losses, once their inputs are there again.
 */
import { byteLength, concat, gather, type PackedItems } from '../../values/packed-items.js'
import type { GroupSpec, OutcomeChunk, RangeTimesBytes } from '../backend.js'
import { LAYOUT_CAPABILITY, together } from '../reserved.js'
import { addChild } from './children.js'
import type { DelayedBranch, Group, Queue, Run } from './group.js'
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

/**
 * Opens a closed group again, without inputs. @param undone branches that start anew, although they succeeded @param spec what it asks of workers from
 * now on
 */
export function reopenGroup(
  state: KernelState,
  group: Group,
  undone: ReadonlySet<number>,
  spec: GroupSpec = group.spec,
): void {
  const { run, parent } = group
  group.spec = spec
  group.lane = state.queue(spec.queue).lane(spec.requires, spec.tasks)
  state.addBytes(run, -group.workBytes - group.outcomeBytes)
  group.restart(keptOf(group, undone), state.now, false)
  state.addBytes(run, group.workBytes + group.outcomeBytes)
  if (parent !== undefined) addChild(parent, group)
  state.effects.activity(run.id, 'group', group.spec.gid)
}

/** The spec for sessions that know of epochs only: a release of before would not know what to do with what is kept of a group. */
export const withLayout = (spec: GroupSpec): GroupSpec => ({
  ...spec,
  requires: together(spec.requires, [LAYOUT_CAPABILITY]),
})

/** Opens the root group of a run again; its input is there. */
export function reopenRoot(state: KernelState, root: Group): void {
  const { spec } = root
  state.addBytes(root.run, -root.outcomeBytes)
  root.restart(undefined, state.now, true)
  root.spec = withLayout(spec)
  root.lane = state.queue(spec.queue).lane(root.spec.requires, spec.tasks)
}

/** The branches from `from` on that have inputs now and no outcome are ready; says how many that are. */
export function requeueAnew(group: Group, from: number): number {
  let count = 0
  group.next = group.filled
  for (let index = from; index < group.filled; index++) {
    if (!group.table.isReady(index)) continue
    requeue(group, index)
    count += 1
  }
  return count
}

/** Branches that were never granted stand among the requeued ones from now on: so some of them may have an outcome before they are granted. */
export function requeueFresh(group: Group): void {
  for (let index = group.next; index < group.filled; index++) group.requeue(index)
  group.next = group.filled
  group.isReopened = true
}

/** A branch of an open group that had failed has no outcome any more. */
export function undo(state: KernelState, group: Group, index: number): void {
  const before = group.outcomeBytes
  group.chunks = group.chunks.map((chunk) => {
    if (!chunk.indexes.includes(index)) return chunk
    const places = Array.from(chunk.indexes.keys()).filter((i) => chunk.indexes[i] !== index)
    const values = gather(chunk.values, places)
    group.outcomeBytes += byteLength(values) - byteLength(chunk.values) - (chunk.indexes.length - places.length) * 8
    return {
      indexes: Uint32Array.from(places, (i) => chunk.indexes[i] ?? 0),
      kinds: places.map((i) => chunk.kinds[i] ?? 'failed'),
      values,
    }
  })
  state.addBytes(group.run, group.outcomeBytes - before)
  group.left += 1
  group.failed -= 1
  const lastGrant = group.table.grantNumber(index)
  group.table.forgetGrant(index)
  if (lastGrant !== 0) group.dereference(lastGrant)
  requeueFresh(group)
}

/** Such a branch starts anew, and whoever gets it reads what was saved. */
export function revive(state: KernelState, group: Group, index: number): void {
  undo(state, group, index)
  group.table.makeAnew(index)
  requeue(group, index)
  addReady(state, group, 1)
}

/** Deletes saved outputs. */
export function forgetSaved(state: KernelState, run: Run, paths: readonly string[]): void {
  for (const path of paths) {
    const value = run.saved.get(path)
    if (value === undefined) continue
    run.saved.delete(path)
    state.addBytes(run, -value.length - path.length * 2)
  }
}

/** The outcomes that stay; undefined when none does. */
function keptOf(group: Group, undone: ReadonlySet<number>): OutcomeChunk | undefined {
  const indexes: number[] = []
  const values: PackedItems[] = []
  const times: RangeTimesBytes[] = []
  for (const chunk of group.chunks) {
    const places: number[] = []
    for (const [i, index] of chunk.indexes.entries()) {
      if (chunk.kinds[i] !== 'succeeded' || undone.has(index)) continue
      places.push(i)
      indexes.push(index)
    }
    values.push(gather(chunk.values, places))
    if (places.length > 0) times.push(...(chunk.times ?? []))
  }
  if (indexes.length === 0) return undefined
  return {
    ...{ indexes: Uint32Array.from(indexes), kinds: indexes.map(() => 'succeeded' as const), values: concat(values) },
    ...(times.length > 0 && { times }),
  }
}
