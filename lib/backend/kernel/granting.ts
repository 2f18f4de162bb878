/**
 * Granting branches of a group: contiguous ranges wherever there are such. What a grant holds are views of what is stored, never copies, as
 * long as the branches are neighbours.
 */
import { type PackedItems } from '../../values/packed-items.js'
import type { Grant } from '../backend.js'
import { noteRun } from './event-log.js'
import type { Group, HeldGrant, Run, Session } from './group.js'
import { type KernelState, tokenOf } from './state.js'
import { countGranted, countReady, place } from './waking.js'

const ZEROS = new Uint8Array(4_096)

/**
 * Grants up to `most` branches of a group that has ready ones, as far as the bytes of their inputs allow; undefined when `isOptional`
 * and not even one fits, or when the first was lost before and none such may be granted (`mostLost`: so many of the first branches may have
 * been). Reclaimed branches go first.
 */
export function grantTo(
  state: KernelState,
  session: Session,
  group: Group,
  most: number,
  nonce: string,
  mostBytes: number,
  isOptional = false,
  mostLost = Number.POSITIVE_INFINITY,
): Grant | undefined {
  const { spec, run } = group
  if (spec.limit > 0) most = Math.min(most, spec.limit - group.inFlight)
  const first = group.peekRequeued() ?? group.next
  if (isOptional && group.inputBytes(first, first + 1) > mostBytes) return undefined
  if (mostLost <= 0 && group.table.losses(first) > 0) return undefined
  const waitedMs = state.now - group.readySince
  const fence = state.nextFence()
  const heldGrant = group.addGrant({ token: tokenOf(fence, nonce), fence, nonce, session })
  const grant =
    first === group.next
      ? freshRange(group, heldGrant, most, mostBytes)
      : mixedRange(group, heldGrant, most, mostBytes, mostLost)
  const count = grant.indexes.length
  heldGrant.indexes = grant.indexes
  heldGrant.held = count
  heldGrant.references = count
  session.grants.add(heldGrant)
  session.branches += count
  group.ready -= count
  group.inFlight += count
  countReady(group, -count)
  countGranted(group, count)
  place(group)
  if (spec.timeoutMs > 0) state.deadlines.add(heldGrant, state.now + spec.timeoutMs + state.options.deadlineGraceMs)
  if (group.isRoot) setDriver(state, run, session)
  return { ...grant, waitedMs }
}

/** The session drives the run whose root branch it was granted. */
function setDriver(state: KernelState, run: Run, session: Session): void {
  run.startedAt ??= state.wallNow
  run.driver = session.id
  if (run.isAbandoned || run.lostAt !== undefined) {
    run.isAbandoned = false
    run.lostAt = undefined
    state.purges.remove(run.purge)
  }
  noteRun(state, run)
}

/** A range that was never granted: neighbours, so that inputs are a view. */
function freshRange(group: Group, heldGrant: HeldGrant, most: number, mostBytes: number): Grant {
  const from = group.next
  const to = fitting(group, from, Math.min(group.filled, from + most), mostBytes)
  group.table.grantFresh(from, to, heldGrant.number)
  group.next = to
  const indexes = new Uint32Array(to - from)
  for (let i = 0; i < indexes.length; i++) indexes[i] = from + i
  const zeros = indexes.length <= ZEROS.length ? ZEROS.subarray(0, indexes.length) : new Uint8Array(indexes.length)
  return assemble(heldGrant, indexes, zeros, zeros, group.inputRange(from, to))
}

/** Requeued branches, then fresh ones. */
function mixedRange(group: Group, heldGrant: HeldGrant, most: number, mostBytes: number, mostLost: number): Grant {
  const { table } = group
  const taken: number[] = []
  let bytes = 0
  while (taken.length < most) {
    const requeued = group.peekRequeued()
    const index = requeued ?? (group.next < group.filled ? group.next : undefined)
    if (index === undefined) break
    if (taken.length >= mostLost && table.losses(index) > 0) break
    bytes += group.spec.shared ? 0 : group.inputBytes(index, index + 1)
    if (taken.length > 0 && bytes > mostBytes) break
    taken.push(index)
    if (requeued === undefined) group.next += 1
    else group.shiftRequeued()
    const before = table.grant(index, heldGrant.number)
    if (before !== 0) group.dereference(before)
  }
  return grantFor(heldGrant, Uint32Array.from(taken))
}

/** What is still held of a grant, as it was granted. */
export function grantOf(heldGrant: HeldGrant): Grant {
  const { table } = heldGrant.group
  return grantFor(
    heldGrant,
    heldGrant.indexes.filter((index) => table.isHeldUnder(index, heldGrant.number)),
  )
}

function grantFor(heldGrant: HeldGrant, indexes: Uint32Array): Grant {
  const { group } = heldGrant
  const errors = new Uint8Array(indexes.length)
  const losses = new Uint8Array(indexes.length)
  let isAgain = group.isRoot
  for (const [i, index] of indexes.entries()) {
    errors[i] = group.table.errors(index)
    losses[i] = group.table.losses(index)
    isAgain ||=
      errors[i] !== 0 || losses[i] !== 0 || group.stepped?.has(index) === true || group.tasks?.has(index) === true
  }
  const grant = {
    ...assemble(heldGrant, indexes, errors, losses, group.inputsOf(indexes)),
    ...(isAgain && { isAgain }),
  }
  const { tasks } = group
  if (tasks === undefined) return grant
  const withTasks = Array.from(indexes).filter((index) => tasks.has(index))
  return withTasks.length === 0 ? grant : { ...grant, withTasks }
}

function assemble(
  heldGrant: HeldGrant,
  indexes: Uint32Array,
  errors: Uint8Array,
  losses: Uint8Array,
  inputs: PackedItems,
): Grant {
  return { spec: heldGrant.group.spec, token: heldGrant.token, fence: heldGrant.fence, indexes, errors, losses, inputs }
}

/** How far a range goes so that its inputs have at most so many bytes; at least one branch. */
function fitting(group: Group, from: number, to: number, mostBytes: number): number {
  if (group.spec.shared || to - from <= 1 || group.inputBytes(from, to) <= mostBytes) return to
  let fits = from + 1
  let tooFar = to
  while (tooFar - fits > 1) {
    const middle = (fits + tooFar) >> 1
    if (group.inputBytes(from, middle) <= mostBytes) fits = middle
    else tooFar = middle
  }
  return fits
}
