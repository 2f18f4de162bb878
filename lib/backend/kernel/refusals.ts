/**
 * Branches that end as their inputs come: whoever dispatches them has found what they would get to be wrong. Hides that no worker is offered such a
 * branch, and that those around it stand among the requeued ones from then on.
 */
import { gather } from '../../values/packed-items.js'
import type { Refusals } from '../backend.js'
import { arrive } from './barrier.js'
import type { Group } from './group.js'
import { requeueFresh } from './retries.js'
import type { KernelState } from './state.js'
import { countReady, place } from './waking.js'

/** The branches have failed, unless they have an outcome or are held. Called once for each fill, by the operation that fills. */
export function refuse(state: KernelState, group: Group, { indexes, values }: Refusals): void {
  const places = [...indexes.keys()].filter((i) => group.table.isReady(indexes[i] ?? 0))
  if (places.length === 0) return
  requeueFresh(group)
  const refused = Uint32Array.from(places, (i) => indexes[i] ?? 0)
  const ready = refused.filter((index) => index < group.filled).length
  group.ready -= ready
  countReady(group, -ready)
  for (const index of refused) group.table.finish(index, 'failed')
  place(group)
  state.effects.activity(group.run.id, 'settled', group.spec.gid)
  arrive(state, group, { indexes: refused, kinds: places.map(() => 'failed' as const), values: gather(values, places) })
}
