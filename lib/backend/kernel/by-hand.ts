/**
 * What people decide: a branch ends, or a step inside one does, whoever holds it. Hides that a branch may be ready, delayed or held, and that its
 * holder's token is worthless from then on.
 */
import { pack } from '../../values/packed-items.js'
import type { DecideAnswer, Decision } from '../backend.js'
import { arrive } from './barrier.js'
import { endHolding } from './grants.js'
import type { Group, Run } from './group.js'
import { wake } from './parking.js'
import { reclaim } from './reclaim.js'
import { forgetSaved, requeueFresh, revive, undo } from './retries.js'
import { save } from './runs.js'
import type { KernelState } from './state.js'
import { endStart } from './tasks-in-hand.js'
import { countReady, endFlight, place } from './waking.js'

/** So many decisions of a run are remembered. */
const MOST_BY_HAND = 100

/** Decides a branch or step of a run that has not ended. Repeated with its nonce it is `ok` and changes nothing. */
export function decide(state: KernelState, runId: string, decision: Decision): DecideAnswer {
  const run = state.runs.get(runId)
  if (run === undefined) return 'gone'
  if (run.byHand.some(({ nonce }) => nonce === decision.nonce)) return 'ok'
  if (run.end !== undefined) return 'over'
  return applyDecision(state, run, decision)
}

/** The same, in a run that goes on in this moment. */
export function applyDecision(state: KernelState, run: Run, decision: Decision): DecideAnswer {
  const { path, as, nonce, gid, index, mark, value, forget = [] } = decision
  const group = run.groups.get(gid)
  if (group === undefined || index >= group.spec.size) return 'gone'
  if (group.state === 'open' && group.table.state(index) === 'succeeded') return 'late'
  if (mark === undefined) {
    if (group.state !== 'open') return 'late'
    run.byHand = [...run.byHand, { path, as, at: state.wallNow, nonce }].slice(-MOST_BY_HAND)
    endBranch(state, group, index, as === 'succeeded' ? 'succeeded' : 'failed', value)
    return 'ok'
  }
  if (run.saved.has(path) || run.saved.has(mark)) return 'late'
  // whoever gets a branch first does not look for what is saved of it
  if (group.state === 'open' && index >= group.next && !group.isReopened) return 'gone'
  if (group.state === 'open' && index >= group.filled && hasFailed(group, index)) return 'late'
  run.byHand = [...run.byHand, { path, as, at: state.wallNow, nonce }].slice(-MOST_BY_HAND)
  save(state, run, { paths: [mark], values: pack([value]) })
  if (group.state === 'open') findAnew(state, group, index, forget)
  return 'ok'
}

const hasFailed = (group: Group, index: number): boolean => ['failed', 'dead'].includes(group.table.state(index))

/** The branch has its outcome, whatever it was before. */
function endBranch(
  state: KernelState,
  group: Group,
  index: number,
  kind: 'succeeded' | 'failed',
  value: Uint8Array,
): void {
  const { table } = group
  wake(state, group, index)
  const grant = group.grantHolding(index)
  const delayed = group.delays?.get(index)
  if (grant !== undefined) {
    endHolding(state, grant, 1)
    endFlight(group, 1)
    if (grant.held === 0)
      state.effects.notice(grant.session.id, { kind: 'lost', gid: group.spec.gid, token: grant.token })
  } else if (delayed !== undefined) {
    group.delays?.delete(index)
    group.lane.queue.delays.remove(delayed)
    group.lane.queue.delayed -= 1
    group.delayed -= 1
  } else if (hasFailed(group, index)) {
    undo(state, group, index)
  } else {
    requeueFresh(group)
    if (index < group.filled) {
      group.ready -= 1
      countReady(group, -1)
    }
  }
  const lastGrant = table.grantNumber(index)
  table.forgetGrant(index)
  if (lastGrant !== 0) group.dereference(lastGrant)
  endStart(state, group, index, true)
  table.finish(index, kind)
  place(group)
  state.effects.activity(group.run.id, 'settled', group.spec.gid)
  arrive(state, group, { indexes: Uint32Array.of(index), kinds: [kind], values: pack([value]) })
}

/** Whoever gets the branch next reads what is saved of it; the session that holds it is notified, and loses it without a count. */
function findAnew(state: KernelState, group: Group, index: number, forget: readonly string[]): void {
  group.stepped = (group.stepped ?? new Set()).add(index)
  wake(state, group, index)
  if (hasFailed(group, index)) {
    forgetSaved(state, group.run, forget)
    revive(state, group, index)
    state.effects.activity(group.run.id, 'settled', group.spec.gid)
    return
  }
  const grant = group.grantHolding(index)
  if (grant === undefined) return
  reclaim(state, grant, 'closed', 1, index)
  if (grant.held === 0)
    state.effects.notice(grant.session.id, { kind: 'lost', gid: group.spec.gid, token: grant.token })
}
