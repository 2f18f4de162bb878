/** A holder's step: save, open or fill a group, retire, end the run. Everything is checked before anything is written. */
import { GraflowError } from '../../errors.js'
import { byteLength, EMPTY_PACKED, itemCount, slice, type PackedItems } from '../../values/packed-items.js'
import type { StepAnswer, StepRequest } from '../backend.js'
import { checkStep } from '../request-checks.js'
import { endRoot } from './barrier.js'
import { endHolding, heldGroup } from './grants.js'
import type { Group, Run } from './group.js'
import { addInputs, hasGraph, newChild } from './opening.js'
import { isIdle } from './parking.js'
import { refuse } from './refusals.js'
import { reopenGroup } from './retries.js'
import { endRun, save } from './runs.js'
import type { KernelState } from './state.js'
import { endStart, reportTask } from './tasks-in-hand.js'
import { endFlight } from './waking.js'
import { register } from './waits.js'

const NO_INDEXES: ReadonlySet<number> = new Set()

/** What is to be done about the group of a step. */
interface OpeningPlan {
  readonly existing: Group | undefined
  /** Inputs that are not stored yet. */
  readonly inputs: PackedItems
  /** It is closed, of an earlier epoch, and opened again. */
  readonly reopens?: boolean
}

/**
 * Does a step. Repeated it changes nothing: saved paths keep their first value, inputs stored are skipped, retired groups stay
 * retired, and a run that had ended with just this value is `done`. A refused step leaves no trace.
 */
export function step(state: KernelState, request: StepRequest): StepAnswer {
  const { holder, end } = request
  const run = state.runs.get(request.runId)
  if (run === undefined) return { status: 'fenced' }
  if (run.end !== undefined) {
    const isSame = end !== undefined && end.state === run.end.state && areEqual(end.value, run.end.value)
    return { status: isSame || isItsEnd(state, run, request) ? 'done' : 'fenced' }
  }
  const group = heldGroup(state, holder)
  if (group === undefined || group.run !== run) return { status: 'fenced' }
  checkStep(request, state.options)
  checkRetired(state, request)
  const plan = request.group === undefined ? undefined : planOpening(state, request.group, run, group, holder.index)
  if (plan !== undefined && 'status' in plan) return plan

  if (request.task !== undefined) group.table.markOutlasted(holder.index)
  if (request.save !== undefined) save(state, run, request.save)
  const { wait } = request
  if ((request.save?.paths.length ?? 0) > 0 || plan !== undefined || wait !== undefined)
    group.stepped = (group.stepped ?? new Set()).add(holder.index)
  for (const gid of request.retire ?? []) {
    const retired = state.groups.get(gid)
    if (retired !== undefined && !retired.isRetired) retire(state, retired)
  }
  if (end !== undefined) {
    endBy(state, group, request.holder.token, end)
    return { status: 'ok', fill: 0 }
  }
  if (request.rest !== undefined && group.isRoot) group.need = request.rest
  const counts = reportTask(state, group, holder.index, request.task)
  const answer = wait === undefined ? undefined : register(state, group, holder.index, wait)
  const about = { ...(counts !== undefined && { counts }), ...(answer !== undefined && { wait: answer }) }
  if (plan === undefined || request.group === undefined) return { status: 'ok', fill: 0, ...about }
  return { ...applyPlan(state, plan, request.group, group, holder.index), ...about }
}

/** Whether it dispatches the group again that the run has ended with: whoever did so has not heard of that yet. */
function isItsEnd(state: KernelState, run: Run, { group, holder }: StepRequest): boolean {
  const known = group === undefined ? undefined : state.groups.get(group.spec.gid)
  if (known?.state !== 'released' || known.spec.endsRun !== true || run.end?.state !== 'completed') return false
  return known.parent?.spec.gid === holder.gid && known.spec.digest === group?.spec.digest
}

function planOpening(
  state: KernelState,
  { spec, from, inputs, isReopened = false }: NonNullable<StepRequest['group']>,
  run: Run,
  parent: Group,
  parentIndex: number,
): OpeningPlan | StepAnswer {
  const existing = state.groups.get(spec.gid)
  if (existing === undefined) {
    if (!hasGraph(state, spec.graph)) return { status: 'nograph' }
    const bytes = from > 0 ? 0 : byteLength(inputs)
    if (state.isFull(bytes)) return { status: 'backpressure' }
    return { existing, inputs: from > 0 ? EMPTY_PACKED : inputs }
  }
  const isSame =
    existing.spec.digest === spec.digest && existing.parent === parent && existing.parentIndex === parentIndex
  if (!isSame || existing.run !== run) return { status: 'conflict' }
  if (existing.state !== 'open' && isReopened && existing.epoch < run.epoch && from === 0) {
    return state.isFull(byteLength(inputs)) ? { status: 'backpressure' } : { existing, inputs, reopens: true }
  }
  const known = existing.fill - from
  if (existing.state !== 'open' || known < 0) return { existing, inputs: EMPTY_PACKED }
  const fresh = slice(inputs, Math.min(known, itemCount(inputs)), itemCount(inputs))
  if (itemCount(fresh) > 0 && state.isFull(byteLength(fresh))) return { status: 'backpressure' }
  return { existing, inputs: fresh }
}

function applyPlan(
  state: KernelState,
  plan: OpeningPlan,
  { spec, refused }: NonNullable<StepRequest['group']>,
  holding: Group,
  index: number,
): StepAnswer {
  const group = plan.existing ?? newChild(state, spec, holding, index)
  if (plan.reopens === true) reopenGroup(state, group, NO_INDEXES, spec)
  if (group.state !== 'open') return { status: 'done', ...(group.epoch < group.run.epoch && { isOld: true }) }
  addInputs(state, group, plan.inputs)
  const answer = { status: 'ok', fill: group.fill, ...(isIdle(group) && { isIdle: true }) } as const
  if (refused !== undefined && itemCount(plan.inputs) > 0) refuse(state, group, refused)
  return answer
}

/** Deletes all of a closed group but its outcomes. */
function retire(state: KernelState, group: Group): void {
  const bytes = group.workBytes
  group.retire()
  state.addBytes(group.run, -bytes)
}

/** The holder of the root branch ends the run: its own arrival at the root's barrier. */
function endBy(state: KernelState, root: Group, token: string, end: NonNullable<StepRequest['end']>): void {
  const grant = root.grantByToken(token)
  if (end.state !== 'cancelled') {
    endRoot(state, root, grant, end.state === 'completed' ? 'succeeded' : 'failed', end.value)
    return
  }
  if (grant !== undefined) endHolding(state, grant, 1)
  endStart(state, root, 0, true)
  endFlight(root, 1)
  endRun(state, root.run, 'cancelled', end.value, 'the run was cancelled')
}

function checkRetired(state: KernelState, { holder, retire: gids = [] }: StepRequest): void {
  for (const gid of gids) {
    const retired = state.groups.get(gid)
    if (retired === undefined) continue
    const isMine = retired.parent?.spec.gid === holder.gid && retired.parentIndex === holder.index
    if (isMine && retired.state !== 'open') continue
    throw new GraflowError(
      'INTERNAL',
      `expected a closed group of this branch to retire, got ${gid} (${retired.state})`,
    )
  }
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
