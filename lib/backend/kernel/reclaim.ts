/** Reclaiming: branches of a session that is gone, late or closed. Those that may start again are ready at once; the others have their outcome. */
import { EMPTY_BYTES, type PackedItems } from '../../values/packed-items.js'
import { arrive } from './barrier.js'
import { addDeadLetter } from './dead-letters.js'
import { endHolding } from './grants.js'
import type { Group, HeldGrant } from './group.js'
import { requeue } from './retries.js'
import { abandon } from './runs.js'
import type { KernelState } from './state.js'
import { addReady, endFlight, reopenLimit } from './waking.js'

export type ReclaimCause = 'lost' | 'late' | 'closed'

/** What became of reclaimed branches. */
interface Reclaimed {
  readonly taken: number
  readonly ready: number
  /** Branches whose attempts are spent. */
  readonly ended: readonly number[]
}

/** Reclaims up to `most` branches of a grant: `lost` with its session, `late` past its deadline, or `closed` by its session. Says how many. */
export function reclaim(state: KernelState, grant: HeldGrant, cause: ReclaimCause, most: number): number {
  const { group } = grant
  const { run, spec } = group
  const abandons = group.isRoot && run.isStarted
  const { taken, ready, ended } = takeBranches(grant, cause, most, abandons)
  if (taken === 0) return 0
  endHolding(state, grant, taken)
  if (grant.held === 0 && cause !== 'closed') {
    state.effects.notice(grant.session.id, { kind: 'lost', gid: spec.gid, token: grant.token })
  }
  endFlight(group, taken)
  if (group.isRoot) {
    run.driver = undefined
    if (abandons) abandon(state, run)
  }
  addReady(state, group, ready)
  if (ended.length > 0) endWithout(state, group, ended, cause === 'lost' ? 'dead' : 'failed')
  else reopenLimit(state, group)
  return taken
}

/** Branch by branch, in the table. */
function takeBranches(grant: HeldGrant, cause: ReclaimCause, most: number, abandons: boolean): Reclaimed {
  const { group } = grant
  const { table } = group
  let taken = 0
  let ready = 0
  const ended: number[] = []
  for (const index of grant.indexes) {
    if (taken >= most) break
    if (!table.isHeldUnder(index, grant.number) || (cause === 'late' && table.hasStepped(index))) continue
    taken += 1
    table.forgetGrant(index)
    group.dereference(grant.number)
    if (countStart(group, index, cause, abandons)) {
      table.finish(index, cause === 'lost' ? 'dead' : 'failed')
      ended.push(index)
    } else {
      requeue(group, index)
      ready += 1
    }
  }
  return { taken, ready, ended }
}

/** Counts the start that is over; says whether the branch is spent. */
function countStart({ table, spec }: Group, index: number, cause: ReclaimCause, abandons: boolean): boolean {
  if (cause === 'lost') return table.addLoss(index) > spec.maxLosses && !abandons
  return cause === 'late' && table.addError(index) >= spec.attempts && spec.attempts > 0
}

/** Outcomes that no worker reported: their values are empty. */
function endWithout(state: KernelState, group: Group, indexes: readonly number[], kind: 'dead' | 'failed'): void {
  for (const index of indexes) addDeadLetter(state, group, index, kind, EMPTY_BYTES)
  const values: PackedItems = { bytes: EMPTY_BYTES, ends: new Uint32Array(indexes.length) }
  arrive(state, group, { indexes: Uint32Array.from(indexes), kinds: indexes.map(() => kind), values })
}
