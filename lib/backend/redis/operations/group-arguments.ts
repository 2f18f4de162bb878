/** How a group travels to the scripts that open it: part-opening.lua takes it apart. */
import { GraflowError } from '../../../errors.js'
import type { GroupSpec, ReleaseRule } from '../../backend.js'
import { itemCount, type PackedItems } from '../../../values/packed-items.js'
import type { Argument } from '../shard.js'
import type { Store } from '../store.js'
import { encodeSpec } from './spec-codec.js'
import { uploadFor } from './uploads.js'
import { endsFrom, itemsOf, spaced } from './words.js'

const RULE_BYTES: Readonly<Record<ReleaseRule, number>> = { all: 1, 'first-failure': 2, 'first-success': 3 }

/** What never changes of the group comes first, as its head begins with it; then what is only asked for once. */
const FACT_BYTES = 62

/** Where an input ends is a number of four bytes, counted from the group's first input. */
const MOST_INPUT_BYTES = 2 ** 32 - 1

/**
 * A group with inputs from item `from` on, before which there are `base` bytes: twelve arguments. Many bytes of inputs are uploaded, unless
 * they are to be `inline`.
 * @throws GraflowError LIMIT_EXCEEDED
 */
export function groupArguments(
  store: Store,
  spec: GroupSpec,
  from: number,
  inputs: PackedItems,
  base: number,
  inline = false,
): Argument[] {
  const end = base + (inputs.ends[inputs.ends.length - 1] ?? 0)
  if (end > MOST_INPUT_BYTES) {
    throw new GraflowError(
      'LIMIT_EXCEEDED',
      `expected at most ${MOST_INPUT_BYTES} bytes of inputs in a group, got more for ${spec.gid}; make several groups of it`,
      { details: { group: spec.gid, most: MOST_INPUT_BYTES } },
    )
  }
  const bytes = itemsOf(inputs)
  const upload = inline ? '' : uploadFor(store, bytes)
  return [
    spec.gid,
    spec.digest,
    factsOf(spec, store.times.affinityMs, from, itemCount(inputs), base),
    spec.queue,
    spaced(spec.requires),
    spaced(spec.tasks),
    spec.affinity ?? '',
    spec.graph,
    endsFrom(base, inputs),
    upload === '' ? bytes : '',
    encodeSpec(spec),
    upload,
  ]
}

/** Little-endian, without gaps. */
function factsOf(spec: GroupSpec, affinityMs: number, from: number, count: number, base: number): Buffer {
  const facts = Buffer.allocUnsafe(FACT_BYTES)
  let at = facts.writeUInt32LE(spec.size, 0)
  at = facts.writeUInt8(spec.shared ? 1 : 0, at)
  at = facts.writeUInt8(RULE_BYTES[spec.rule], at)
  at = facts.writeUInt32LE(spec.depth, at)
  at = facts.writeDoubleLE(spec.limit, at)
  at = facts.writeUInt32LE(spec.attempts, at)
  at = facts.writeUInt32LE(spec.maxLosses, at)
  at = facts.writeDoubleLE(spec.timeoutMs, at)
  at = facts.writeDoubleLE(spec.priority, at)
  at = facts.writeDoubleLE(affinityMs, at)
  at = facts.writeUInt32LE(from, at)
  at = facts.writeUInt32LE(count, at)
  facts.writeUInt32LE(base, at)
  return facts
}
