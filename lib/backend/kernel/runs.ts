/** How runs end, and what they save. */
import { item, itemCount } from '../../values/packed-items.js'
import type { EndState, SavedValues } from '../backend.js'
import { MOST_COUNTED_ENDS, OTHER_WORKFLOWS } from '../kept.js'
import { close } from './closing.js'
import { noteRun } from './event-log.js'
import type { Run } from './group.js'
import { trimRetained } from './purge.js'
import type { KernelState } from './state.js'
import { dropWaits } from './waits.js'

/** Saves outputs; a path that has one keeps it. Behind a `!` it is replaced. */
export function save(state: KernelState, run: Run, values: SavedValues): void {
  for (let i = 0; i < itemCount(values.values); i++) {
    const written = values.paths[i]
    if (written === undefined) continue
    const path = written.startsWith('!') ? written.slice(1) : written
    const before = run.saved.get(path)
    if (before !== undefined && path === written) continue
    const value = item(values.values, i)
    run.saved.set(path, value)
    state.addBytes(run, value.length - (before?.length ?? -path.length * 2))
  }
}

/** Ends a run that has not ended: withdraws what is open of it, and sees to its purge. */
export function endRun(state: KernelState, run: Run, as: EndState, value: Uint8Array, reason: string): void {
  run.end = { state: as, value, at: state.wallNow }
  countEnd(state, run, as)
  const root = run.groups.get(run.id)
  if (root !== undefined) close(state, root, 'withdrawn', reason)
  state.addBytes(run, value.length)
  if (run.timeout !== undefined) state.runTimeouts.remove(run.timeout)
  dropWaits(state, run)
  run.keptUntil = state.now + run.retentionMs
  // one that is retried goes on from its inputs and outcomes
  const payloadsUntil = as === 'completed' ? state.now + state.options.payloadRetentionMs : run.keptUntil
  state.purges.add(run.purge, Math.min(payloadsUntil, run.keptUntil))
  state.retained.add(run)
  state.withPayloads.add(run)
  state.retainedBytes += run.bytes
  noteRun(state, run)
  trimRetained(state)
}

/** One more run has ended so; names of workflows beyond the first are counted together. */
function countEnd(state: KernelState, run: Run, as: EndState): void {
  const nameOf = (workflow: string): string => `${as}:${workflow}`
  let workflow = run.workflow ?? ''
  if (!state.ended.has(nameOf(workflow)) && state.ended.size >= MOST_COUNTED_ENDS) workflow = OTHER_WORKFLOWS
  const counted = state.ended.get(nameOf(workflow)) ?? { workflow, state: as, count: 0 }
  counted.count += 1
  state.ended.set(nameOf(workflow), counted)
}
