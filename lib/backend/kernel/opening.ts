/** New groups and their inputs. Hides what a store must know of a group that is new. */
import { byteLength, itemCount, type PackedItems } from '../../values/packed-items.js'
import type { GroupSpec } from '../backend.js'
import { GRAPH_RETENTION_MS } from '../kept.js'
import { addChild } from './children.js'
import { type AffinityHold, Group, type Run } from './group.js'
import { requeueAnew } from './retries.js'
import type { KernelState } from './state.js'
import { addReady } from './waking.js'

/** Whether a graph is there. */
export function hasGraph(state: KernelState, hash: string): boolean {
  return state.graphs.has(hash)
}

/** A group that is not there yet: of a branch of `parent`, or a root group. */
export function newGroup(
  state: KernelState,
  spec: GroupSpec,
  run: Run,
  parent: { readonly group: Group; readonly index: number } | undefined,
): Group {
  const lane = state.queue(spec.queue).lane(spec.requires, spec.tasks)
  const group = new Group(spec, run, lane, parent, state.nextSequence(), state.now)
  state.groups.set(spec.gid, group)
  run.groups.set(spec.gid, group)
  state.addBytes(run, group.workBytes)
  if (spec.affinity !== undefined) {
    const hold: AffinityHold = { group, dueAt: 0, place: -1, order: 0 }
    group.affinityHold = hold
    state.affinityHolds.add(hold, state.now + state.options.affinityMs)
  }
  return group
}

/** Opens a group for a branch of `holding`. */
export function newChild(state: KernelState, spec: GroupSpec, holding: Group, index: number): Group {
  const { run } = holding
  const group = newGroup(state, spec, run, { group: holding, index })
  addChild(holding, group)
  const graph = state.graphs.get(spec.graph)
  if (graph !== undefined) state.graphPurges.add(graph, state.now + GRAPH_RETENTION_MS)
  state.effects.activity(run.id, 'group', spec.gid)
  return group
}

/** Stores inputs behind those that are there; the branches that have one now are ready. */
export function addInputs(state: KernelState, group: Group, inputs: PackedItems): void {
  if (itemCount(inputs) === 0) return
  const before = group.filled
  group.addInputs(inputs)
  const bytes = byteLength(inputs) + inputs.ends.byteLength
  group.workBytes += bytes
  state.addBytes(group.run, bytes)
  addReady(state, group, group.isReopened ? requeueAnew(group, before) : group.filled - before)
}
