/** The barrier of a group: counts final outcomes, and releases the group once, when its rule is met. */
import { byteLength, item } from '../../values/packed-items.js'
import type { OutcomeChunk } from '../backend.js'
import { close, closeChildren } from './closing.js'
import type { Group } from './group.js'
import { noteIdle } from './parking.js'
import { endRun } from './runs.js'
import type { KernelState } from './state.js'
import { reopenLimit } from './waking.js'

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
    const reason =
      rule === 'first-failure' ? 'another branch of the group failed' : 'another branch of the group succeeded'
    close(state, group, 'released', reason)
    if (group.isRoot)
      endRun(state, group.run, failed > 0 ? 'failed' : 'completed', item(chunk.values, 0), 'the run is over')
  } else {
    reopenLimit(state, group)
    noteIdle(state, group)
  }
}

function countFailed(chunk: OutcomeChunk): number {
  let failed = 0
  for (const kind of chunk.kinds) if (kind !== 'succeeded') failed += 1
  return failed
}
