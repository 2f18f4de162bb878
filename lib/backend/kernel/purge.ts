/** Deletes what an ended run keeps: its payloads first, its record later; sooner where a bounded store has no room for them. */
import { close } from './closing.js'
import { MOST_DISPATCHERS } from '../kept.js'
import type { Run } from './group.js'
import type { KernelState } from './state.js'
import { dropWaits } from './waits.js'

/** A purge of a run is due: does what there is to do of it by now. Says how many groups that were. */
export function purge(state: KernelState, run: Run): number {
  const count = run.groups.size
  if (run.keptUntil <= state.now) {
    purgeRun(state, run)
    return count
  }
  purgePayloads(state, run)
  state.purges.add(run.purge, run.keptUntil)
  return count
}

/** Deletes what an ended run's groups hold. */
function purgePayloads(state: KernelState, run: Run): void {
  state.withPayloads.delete(run)
  if (run.end !== undefined) countPurged(run)
  for (const [gid, group] of run.groups) {
    state.addBytes(run, -group.workBytes - group.outcomeBytes)
    state.groups.delete(gid)
  }
  run.groups.clear()
}

/** What a status counts of the groups that go now stays with the record. */
function countPurged(run: Run): void {
  let { branches, withdrawn, dispatchers } = run.purged ?? { branches: 0, withdrawn: 0, dispatchers: [] }
  for (const group of run.groups.values()) {
    if (group.isRoot || group.spec.isForwarded === true) continue
    branches += group.spec.size
    withdrawn += group.left
    if (group.spec.depth === 1) dispatchers = withDispatcher(dispatchers, group.spec.gid.slice(run.id.length + 1))
  }
  run.purged = { branches, withdrawn, dispatchers }
}

function withDispatcher(known: readonly string[], path: string): readonly string[] {
  const place = path.slice(0, Math.max(0, path.indexOf('/~')))
  if (known.includes(place)) return known
  const all = [...known, place]
  return all.length <= MOST_DISPATCHERS ? all : all.toSpliced(MOST_DISPATCHERS / 2, 1)
}

/** Deletes a run that has ended, or that was lost by its driver and taken by nobody, with all that it has. */
function purgeRun(state: KernelState, run: Run): void {
  const root = run.groups.get(run.id)
  if (root !== undefined) close(state, root, 'withdrawn', 'the run is past its retention')
  dropWaits(state, run)
  purgePayloads(state, run)
  state.addBytes(run, -run.bytes)
  state.purges.remove(run.purge)
  if (run.timeout !== undefined) state.runTimeouts.remove(run.timeout)
  state.retained.delete(run)
  state.runs.delete(run.id)
  if (run.idempotencyKey !== undefined) state.runsByKey.delete(run.idempotencyKey)
  const runsOfGraph = (state.graphRuns.get(run.graph) ?? 1) - 1
  if (runsOfGraph === 0) state.graphRuns.delete(run.graph)
  else state.graphRuns.set(run.graph, runsOfGraph)
}

/** Keeps within the bounds on ended runs: payloads go before records, old runs before new ones, and never the newest. */
export function trimRetained(state: KernelState): void {
  const { maxRetainedRuns, maxRetainedBytes } = state.options
  while (state.retainedBytes > maxRetainedBytes && state.withPayloads.size > 1) {
    const [oldest] = state.withPayloads
    if (oldest !== undefined) purgePayloads(state, oldest)
  }
  while ((state.retainedBytes > maxRetainedBytes || state.retained.size > maxRetainedRuns) && state.retained.size > 1) {
    const [oldest] = state.retained
    if (oldest !== undefined) purgeRun(state, oldest)
  }
}
