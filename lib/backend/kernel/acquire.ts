/**
 * Granting branches: in order over queues and lanes, contiguous ranges wherever there are such, one token for each call and group.
 * What a grant holds are views of what is stored, never copies, as long as the branches are neighbours.
 */
import type { AcquireAnswer, AcquireRequest, Grant } from '../backend.js'
import { byteLength, type PackedItems } from '../../values/packed-items.js'
import type { Group, HeldGrant } from './group.js'
import { isServedBefore, type Lane } from './ready-queue.js'
import { asSet, isQuick, type Session, waitOf } from './sessions.js'
import { shareOf } from './sharing.js'
import { type KernelState, tokenOf } from './state.js'
import { promote } from './transitions.js'
import { countReady, mayTake, place, notifyNext } from './waking.js'

const ZEROS = new Uint8Array(4_096)

/**
 * Grants up to `max` branches. Repeated with the same nonce it answers the same grants, as far as they are still held. A session that
 * got less than it asked for waits from then on: it gets one `work` notice when there may be more.
 */
export function acquire(state: KernelState, request: AcquireRequest): AcquireAnswer {
  const session = state.sessions.get(request.session)
  if (session === undefined) return { status: 'nosession' }
  const capabilities = asSet(request.capabilities)
  const wanted = { queues: request.queues, capabilities, deeperThan: request.deeperThan ?? 0 }
  const known = session.callWith(request.nonce)
  if (known !== undefined) {
    const grants = known.filter((heldGrant) => heldGrant.held > 0).map(grantOf)
    return {
      status: 'ok',
      grants,
      isMore: firstFor(state, session, wanted) !== undefined,
      nextDueMs: nextDueMs(state, request),
    }
  }
  const wasWoken = state.coming.has(session)
  session.wait = undefined
  state.waiting.delete(session)
  state.coming.delete(session)
  promoteDue(state, request)
  const most = Math.min(request.max, state.options.itemsPerCall)
  const grants: Grant[] = []
  const heldGrants: HeldGrant[] = []
  let left = most
  let bytesLeft = state.options.bytesPerCall
  /** Something was left where it is because of the bytes of this call. */
  let isCut = false
  /** Something was left where it is because others wait for it, or come. */
  let isLeftToOthers = false
  const offers = offersFor(state, session, wanted)
  while (left > 0) {
    const offer = firstOffer(offers)
    const group = offer?.group
    if (offer === undefined || group === undefined) break
    const isAll = (left < 2 && left === most) || isQuick(request.quick, group.lane)
    const share = offer.share ?? (isAll ? left : shareOf(state, session, group, left))
    offer.share = share
    if (share === 0) {
      isLeftToOthers = true
      offer.close()
      continue
    }
    const asked = Math.min(left, share)
    const mostLost = (request.startable ?? Number.POSITIVE_INFINITY) - (most - left)
    const grant = grantTo(state, session, group, asked, request.nonce, bytesLeft, grants.length > 0, mostLost)
    isCut ||= grant === undefined
    if (grant === undefined) break
    grants.push(grant)
    const heldGrant = group.grantByToken(grant.token)
    if (heldGrant !== undefined) heldGrants.push(heldGrant)
    left -= grant.indexes.length
    bytesLeft -= byteLength(grant.inputs)
    offer.share = share - grant.indexes.length
    isCut ||= bytesLeft <= 0 || (group.isQueued && grant.indexes.length < asked)
    if (bytesLeft <= 0) break
    if (offer.share > 0 || !group.isQueued) offer.seek(state, session, wanted, group)
  }
  session.rememberCall(request.nonce, heldGrants)
  const isMore = (left === 0 || isCut) && firstFor(state, session, wanted) !== undefined
  if (!isMore && left > 0) {
    session.wait = waitOf(request, capabilities, most - left)
    state.waiting.add(session)
  }
  if (isMore || isLeftToOthers || wasWoken) notifyNext(state, session)
  const dueMs = nextDueMs(state, request)
  const { shareMs } = state.options
  // others were woken for what is left; it is looked after when they should have come
  return { status: 'ok', grants, isMore, nextDueMs: isLeftToOthers ? Math.min(shareMs, dueMs ?? shareMs) : dueMs }
}

type Wanted = Parameters<typeof mayTake>[2]

/** An eligible lane, and the first group in it that the session may take. */
class Offer {
  group: Group | undefined
  /** What this call may still take of the lane; undefined before it was asked. */
  share: number | undefined
  readonly #lane: Lane
  #position = 0

  constructor(lane: Lane) {
    this.#lane = lane
  }

  /** The rest is left to others. */
  close(): void {
    this.group = undefined
  }

  /** Finds the next group; one that was served may have left the lane, or stands where it stood. */
  seek(state: KernelState, session: Session, wanted: Wanted, served?: Group): this {
    if (served !== undefined && this.#lane.at(this.#position) === served) this.#position += 1
    this.group = this.#lane.at(this.#position)
    while (this.group !== undefined && !mayTake(state, session, wanted, this.group)) {
      this.#position += 1
      this.group = this.#lane.at(this.#position)
    }
    return this
  }
}

/** A name given twice is asked once. */
function namesOf(state: KernelState, queues: AcquireRequest['queues']): Iterable<string> {
  if (queues === 'all') return state.queues.keys()
  return queues.length === 1 ? queues : new Set(queues)
}

function offersFor(state: KernelState, session: Session, wanted: Wanted): Offer[] {
  const offers: Offer[] = []
  for (const name of namesOf(state, wanted.queues)) {
    const queue = state.queues.get(name)
    if (queue === undefined || queue.isPaused) continue
    for (const lane of queue.lanes) {
      if (session.canServe(lane, wanted.capabilities)) offers.push(new Offer(lane).seek(state, session, wanted))
    }
  }
  return offers
}

function firstOffer(offers: readonly Offer[]): Offer | undefined {
  let first: Offer | undefined
  for (const offer of offers) {
    if (offer.group === undefined) continue
    if (first?.group === undefined || isServedBefore(offer.group, first.group)) first = offer
  }
  return first
}

/** The first group that the session could take from now. */
function firstFor(state: KernelState, session: Session, wanted: Wanted): Group | undefined {
  return firstOffer(offersFor(state, session, wanted))?.group
}

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
  const fence = state.nextFence()
  const heldGrant = group.addGrant({ token: tokenOf(fence, nonce), fence, nonce, session })
  const grant =
    first === group.next
      ? takeFresh(group, heldGrant, most, mostBytes)
      : takeMixed(group, heldGrant, most, mostBytes, mostLost)
  const count = grant.indexes.length
  heldGrant.indexes = grant.indexes
  heldGrant.held = count
  heldGrant.references = count
  session.grants.add(heldGrant)
  session.branches += count
  group.ready -= count
  group.inFlight += count
  countReady(group.lane, -count)
  group.lane.queue.granted += count
  place(group)
  if (spec.timeoutMs > 0) state.deadlines.add(heldGrant, state.now + spec.timeoutMs + state.options.deadlineGraceMs)
  if (group.isRoot) {
    run.startedAt ??= state.wallNow
    run.driver = session.id
    state.effects.activity(run.id, 'state', run.id)
  }
  return grant
}

/** A range that was never granted: neighbours, so that inputs are a view. */
function takeFresh(group: Group, heldGrant: HeldGrant, most: number, mostBytes: number): Grant {
  const from = group.next
  const to = fitting(group, from, Math.min(group.filled, from + most), mostBytes)
  group.table.grantFresh(from, to, heldGrant.number)
  group.next = to
  const indexes = new Uint32Array(to - from)
  for (let i = 0; i < indexes.length; i++) indexes[i] = from + i
  const zeros = indexes.length <= ZEROS.length ? ZEROS.subarray(0, indexes.length) : new Uint8Array(indexes.length)
  return assemble(heldGrant, indexes, zeros, zeros, group.inputRange(from, to))
}

/** Reclaimed branches, then fresh ones. */
function takeMixed(group: Group, heldGrant: HeldGrant, most: number, mostBytes: number, mostLost: number): Grant {
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

/** What is still held of a heldGrant, as it was granted. */
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
  indexes.forEach((index, i) => {
    errors[i] = group.table.errors(index)
    losses[i] = group.table.losses(index)
  })
  return assemble(heldGrant, indexes, errors, losses, group.inputsOf(indexes))
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

function promoteDue(state: KernelState, request: AcquireRequest): void {
  for (const name of namesOf(state, request.queues)) {
    const delays = state.queues.get(name)?.delays
    for (let due = delays?.takeDue(state.now); due !== undefined; due = delays?.takeDue(state.now)) promote(state, due)
  }
}

function nextDueMs(state: KernelState, request: AcquireRequest): number | undefined {
  let next: number | undefined
  for (const name of namesOf(state, request.queues)) {
    const due = state.queues.get(name)?.delays.first()?.dueAt
    if (due !== undefined) next = Math.min(next ?? due, due)
  }
  return next === undefined ? undefined : Math.max(0, next - state.now)
}
