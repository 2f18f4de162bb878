/**
 * The barrier of a group: counts final outcomes, and releases the group once, when its rule is met. Hides which runs end with the barrier of their
 * last group, and with what result.
 */
import { hasStandIns } from '../../values/codec.js'
import { arrayHead } from '../../values/packed-arrays.js'
import { byteLength, item, pack } from '../../values/packed-items.js'
import type { OutcomeChunk } from '../backend.js'
import { LEAST_KEPT_MS, MOST_ENDING, MOST_ENDING_BYTES } from '../kept.js'
import { close, closeChildren } from './closing.js'
import { endHolding } from './grants.js'
import type { Group, HeldGrant } from './group.js'
import { noteIdle } from './parking.js'
import { endRun } from './runs.js'
import type { KernelState } from './state.js'
import { endStart } from './tasks-in-hand.js'
import { endFlight, reopenLimit } from './waking.js'

/** Final outcomes reach the barrier; the table has them already. Releases the group where its rule says so. */
export function arrive(state: KernelState, group: Group, chunk: OutcomeChunk): void {
  const count = chunk.indexes.length
  const failed = countFailed(chunk)
  group.chunks.push(chunk)
  group.left -= count
  group.failed += failed
  const bytes = byteLength(chunk.values) + count * 8
  group.outcomeBytes += bytes
  state.addBytes(group.run, bytes)
  if (group.children !== undefined)
    for (const index of chunk.indexes) closeChildren(state, group, index, 'the branch that opened it is over')
  const { rule } = group.spec
  const isMet =
    group.left === 0 || (rule === 'first-failure' && failed > 0) || (rule === 'first-success' && failed < count)
  if (isMet) {
    const ended = endedWith(state, group, chunk, failed)
    const reason =
      rule === 'first-failure' ? 'another branch of the group failed' : 'another branch of the group succeeded'
    close(state, group, 'released', reason)
    if (group.isRoot)
      endRun(state, group.run, failed > 0 ? 'failed' : 'completed', item(chunk.values, 0), 'the run is over')
    else if (ended !== undefined) {
      group.hasEndedRun = true
      endRoot(state, ended.root, ended.grant, 'succeeded', ended.value)
    }
  } else {
    reopenLimit(state, group)
    noteIdle(state, group)
  }
}

/** The branch of a root ends, and with it its run: its own arrival at the root's barrier. */
export function endRoot(
  state: KernelState,
  root: Group,
  grant: HeldGrant | undefined,
  kind: 'succeeded' | 'failed',
  value: Uint8Array,
): void {
  if (grant !== undefined) endHolding(state, grant, 1)
  endStart(state, root, 0, true)
  endFlight(root, 1)
  root.table.finish(0, kind)
  arrive(state, root, { indexes: Uint32Array.of(0), kinds: [kind], values: pack([value]) })
}

/**
 * The held root of a run that ends with the barrier of this group, and the run's result; undefined where its driver has to end it. That of a watched run
 * does, so that its watchers are told of the group before they are told of the end.
 */
function endedWith(
  { effects, options }: KernelState,
  { spec, run, parent }: Group,
  chunk: OutcomeChunk,
  failed: number,
): { readonly root: Group; readonly grant: HeldGrant; readonly value: Uint8Array } | undefined {
  const isAll = failed === 0 && chunk.indexes.length === spec.size && spec.size <= MOST_ENDING
  if (spec.endsRun !== true || !isAll || parent?.isRoot !== true) return undefined
  const hasDeadline = run.timeout !== undefined
  if (run.end !== undefined || run.isPaused || hasDeadline || run.epoch > 0) return undefined
  if (Math.min(run.retentionMs, options.payloadRetentionMs) < LEAST_KEPT_MS) return undefined
  if (effects.isWatched?.(run.id) === true) return undefined
  const grant = parent.grantHolding(0)
  const value = resultIn(chunk)
  return grant === undefined || value === undefined ? undefined : { root: parent, grant, value }
}

/** The list of the values, as packed-arrays.ts joins them; undefined where they are out of order, or one cannot stand in a list as it is. */
function resultIn({ indexes, values: { bytes, ends } }: OutcomeChunk): Uint8Array | undefined {
  for (let i = 0, start = 0; i < indexes.length; i += 1) {
    const end = ends[i] ?? 0
    if (indexes[i] !== i || end <= start || end > MOST_ENDING_BYTES || hasStandIns(bytes, start)) return undefined
    start = end
  }
  const list = Uint8Array.of(...arrayHead(indexes.length), ...bytes.subarray(0, ends.at(-1)))
  return hasStandIns(list, 0) ? undefined : list
}

function countFailed(chunk: OutcomeChunk): number {
  let failed = 0
  for (const kind of chunk.kinds) if (kind !== 'succeeded') failed += 1
  return failed
}
