/**
 * How far groups are filled that this process fills, so that the next part can say where it begins. What is not known here, the store says
 * at the cost of a call.
 */
import { itemCount } from '../../../values/packed-items.js'
import type { StepAnswer, StepRequest } from '../../backend.js'
import type { Store } from '../store.js'
import { itemsOf } from './words.js'

/** Items, and bytes of them. */
interface Fill {
  readonly items: number
  readonly bytes: number
}

/** By store, then by gid. */
const fills = new WeakMap<Store, Map<string, Fill>>()

/** Bytes of the group's first `items` inputs; 0 where that is not known. */
export function knownBytes(store: Store, gid: string, items: number): number {
  if (items === 0) return 0
  const fill = fillsOf(store).get(gid)
  return fill?.items === items ? fill.bytes : 0
}

/** Passes on the answer to a call that brought inputs, after it was noted how far their group is filled. */
export function noteFill(
  store: Store,
  { spec, from, inputs }: NonNullable<StepRequest['group']>,
  answer: StepAnswer,
  base = 0,
): StepAnswer {
  const known = fillsOf(store)
  const wanted = spec.shared ? 1 : spec.size
  if (answer.status === 'ok' && answer.fill === from + itemCount(inputs) && answer.fill < wanted)
    known.set(spec.gid, { items: answer.fill, bytes: base + itemsOf(inputs).length })
  else known.delete(spec.gid)
  return answer
}

function fillsOf(store: Store): Map<string, Fill> {
  let known = fills.get(store)
  if (known === undefined) {
    known = new Map()
    fills.set(store, known)
  }
  return known
}
