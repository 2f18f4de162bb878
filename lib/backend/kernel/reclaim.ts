/** Reclaiming: branches of a session that is gone, late or closed. Those that may start again are ready at once; the others have their outcome. */
import { EMPTY_BYTES, pack } from '../../values/packed-items.js'
import { arrive } from './barrier.js'
import { addDeadLetter } from './dead-letters.js'
import { loseDriver } from './drivers.js'
import { endHolding } from './grants.js'
import type { Group, HeldGrant } from './group.js'
import { requeue } from './retries.js'
import type { KernelState } from './state.js'
import { endStart, isDeadBy, isSpentBy, isWaiting } from './tasks-in-hand.js'
import { addReady, endFlight, reopenLimit } from './waking.js'

export type ReclaimCause = 'lost' | 'late' | 'closed'

/** What became of reclaimed branches. */
interface Reclaimed {
  readonly taken: number
  readonly ready: number
  /** Branches whose attempts are spent, and what they end with. */
  readonly ended: readonly number[]
  readonly values: readonly Uint8Array[]
}

/**
 * Reclaims up to `most` branches of a grant: `lost` with its session, `late` past its deadline, or `closed` by its session. Says how many.
 * @param only this branch, whose task in hand is past its deadline
 */
export function reclaim(
  state: KernelState,
  grant: HeldGrant,
  cause: ReclaimCause,
  most: number,
  only?: number,
): number {
  const { group } = grant
  const { run, spec } = group
  const isLeftBehind = group.isRoot && run.isLeftBehind
  const { taken, ready, ended, values } = takeBranches(state, grant, cause, most, isLeftBehind, only)
  if (taken === 0) return 0
  endHolding(state, grant, taken)
  if (grant.held === 0 && cause !== 'closed') {
    state.effects.notice(grant.session.id, { kind: 'lost', gid: spec.gid, token: grant.token })
  }
  endFlight(group, taken)
  if (group.isRoot) loseDriver(state, group)
  addReady(state, group, ready)
  if (ended.length > 0) endWithout(state, group, ended, cause === 'lost' ? 'dead' : 'failed', values)
  else reopenLimit(state, group)
  return taken
}

/** Branch by branch, in the table. */
function takeBranches(
  state: KernelState,
  grant: HeldGrant,
  cause: ReclaimCause,
  most: number,
  isLeftBehind: boolean,
  only: number | undefined,
): Reclaimed {
  const { group } = grant
  const { table } = group
  let taken = 0
  let ready = 0
  const ended: number[] = []
  const values: Uint8Array[] = []
  for (const index of only === undefined ? grant.indexes : [only]) {
    if (taken >= most) break
    if (!table.isHeldUnder(index, grant.number)) continue
    if (cause === 'late' && only === undefined && table.hasOutlasted(index)) continue
    taken += 1
    const isUncounted = cause === 'lost' && isWaiting(group, index)
    table.forgetGrant(index)
    group.dereference(grant.number)
    const isSpent = !isUncounted && countStart(group, index, cause, isLeftBehind)
    const task = group.tasks?.get(index)?.task
    endStart(state, group, index, isSpent)
    if (isSpent) {
      table.finish(index, cause === 'lost' ? 'dead' : 'failed')
      ended.push(index)
      values.push((cause === 'lost' ? task?.ifLost : task?.ifLate) ?? EMPTY_BYTES)
    } else {
      requeue(group, index)
      ready += 1
    }
  }
  return { taken, ready, ended, values }
}

/** Counts the start that is over; says whether the branch is spent. */
function countStart(group: Group, index: number, cause: ReclaimCause, isLeftBehind: boolean): boolean {
  const { table, spec } = group
  if (cause === 'lost') return isDeadBy(group, index, table.addLoss(index)) && !isLeftBehind
  if (cause === 'closed') return false
  const errors = table.addError(index)
  return isSpentBy(group, index) ?? (errors >= spec.attempts && spec.attempts > 0)
}

/** Outcomes that no worker reported: their values are empty, or what the task in hand said. */
function endWithout(
  state: KernelState,
  group: Group,
  indexes: readonly number[],
  kind: 'dead' | 'failed',
  values: readonly Uint8Array[],
): void {
  for (const [i, index] of indexes.entries()) {
    if (!group.isRoot) addDeadLetter(state, group, index, kind, values[i] ?? EMPTY_BYTES)
  }
  arrive(state, group, { indexes: Uint32Array.from(indexes), kinds: indexes.map(() => kind), values: pack(values) })
}
