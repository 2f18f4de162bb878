/** Branches that are not to start, on their way to the store. Hides in which of the steps that fill their group each is named. */
import type { Refusals } from '../backend/backend.js'
import { MOST_REFUSED } from '../backend/request-checks.js'
import type { Emitter } from '../events.js'
import { itemCount, slice, type PackedItems } from '../values/packed-items.js'
import { ValueWriter } from '../values/value-lists.js'
import type { Frame } from './execution.js'
import type { GroupPlan, Refused } from './group-plan.js'

/** What one step brings of a group: inputs, and the errors of branches that are not to start. */
export function partFrom(plan: GroupPlan, from: number): { inputs: PackedItems; refused?: Refusals } {
  const { refused, spec } = plan
  const inputs = plan.inputsFrom(from)
  if (refused === undefined) return { inputs }
  // The first failure ends the group: it need not wait for its input.
  if (spec.rule === 'first-failure') return { inputs, refused: packedRefusals(refused) }
  const next = refused.filter(({ index }) => index >= from)
  if (spec.shared) return { inputs, refused: packedRefusals(next) }
  const behind = Math.min(from + itemCount(inputs), next[MOST_REFUSED]?.index ?? Number.POSITIVE_INFINITY)
  const now = next.filter(({ index }) => index < behind)
  const part = behind < from + itemCount(inputs) ? slice(inputs, 0, behind - from) : inputs
  return { inputs: part, ...(now.length > 0 && { refused: packedRefusals(now) }) }
}

function packedRefusals(refused: readonly Refused[]): Refusals {
  const writer = new ValueWriter()
  for (const { error } of refused) writer.encodeFailure(error)
  return { indexes: refused.map(({ index }) => index), values: writer.take() }
}

/** Events of branches that end without a worker. */
export function emitRefused(
  emitter: Emitter,
  { execution: { facts } }: Frame,
  { refused = [], pathOf, labelOf }: GroupPlan,
  indexes: readonly number[],
): void {
  const { runId, workerId } = facts
  if (!emitter.isSubscribed('branch:settled', runId)) return
  for (const { index, label: task } of refused) {
    const label = labelOf?.(index)
    if (indexes.includes(index))
      emitter.emit('branch:settled', {
        runId,
        path: pathOf(index),
        task,
        ...(label !== undefined && { label }),
        index,
        workerId,
        attempt: 1,
        status: 'failed',
      })
  }
}
