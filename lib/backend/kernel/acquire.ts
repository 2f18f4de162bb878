/**
 * Acquiring: branches in order over queues and lanes, one token for each call and group. Hides how lanes are walked and shared.
 */
import { byteLength } from '../../values/packed-items.js'
import type { AcquireAnswer, AcquireRequest, Grant } from '../backend.js'
import { grantOf, grantTo } from './granting.js'
import type { Group, HeldGrant, Lane, Queue, Session } from './group.js'
import { isServedBefore } from './ready-queue.js'
import { promoteDue } from './retries.js'
import { asSet, isQuick, waitOf } from './sessions.js'
import { shareOf } from './sharing.js'
import type { KernelState } from './state.js'
import { mayTake, notifyNext } from './waking.js'
import { wakeDue } from './waits.js'

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
    const isMore = firstFor(state, session, wanted) !== undefined
    return { status: 'ok', grants, isMore, nextDueMs: nextDueMs(state, request) }
  }
  const wasNotified = state.coming.has(session)
  session.wait = undefined
  state.waiting.delete(session)
  state.coming.delete(session)
  promoteDue(state, queuesOf(state, request.queues))
  wakeDue(state, MOST_WOKEN_BESIDE)
  const most = Math.min(request.max, state.options.itemsPerCall)
  const call = serveLanes(state, session, request, wanted, most)
  session.rememberCall(request.nonce, call.heldGrants)
  const isMore = (call.left === 0 || call.isCut) && firstFor(state, session, wanted) !== undefined
  if (!isMore && call.left > 0) {
    session.wait = waitOf(request, capabilities, most - call.left)
    state.waiting.add(session)
  }
  if (isMore || call.isLeftToOthers || wasNotified) notifyNext(state, session)
  const dueMs = nextDueMs(state, request)
  const { shareMs } = state.options
  // others were notified for what is left; it is looked at when they should have come
  const inMs = call.isLeftToOthers ? Math.min(shareMs, dueMs ?? shareMs) : dueMs
  return { status: 'ok', grants: call.grants, isMore, nextDueMs: inMs }
}

/** Waits and parked branches that are due: the rest is left to the next call, or to a sweep. */
const MOST_WOKEN_BESIDE = 64

/** How far a call has come. */
interface Call {
  readonly most: number
  readonly grants: Grant[]
  readonly heldGrants: HeldGrant[]
  left: number
  bytesLeft: number
  /** Something was left where it is because of the bytes of this call. */
  isCut: boolean
  /** Something was left where it is because others wait for it, or come. */
  isLeftToOthers: boolean
}

/** Grants from lane after lane, in the order of service, until nothing more may be granted. */
function serveLanes(state: KernelState, session: Session, request: AcquireRequest, wanted: Wanted, most: number): Call {
  const { bytesPerCall } = state.options
  const call: Call = {
    most,
    grants: [],
    heldGrants: [],
    left: most,
    bytesLeft: bytesPerCall,
    isCut: false,
    isLeftToOthers: false,
  }
  const offers = offersFor(state, session, wanted)
  while (call.left > 0) {
    const offer = firstOffer(offers)
    const group = offer?.group
    if (offer === undefined || group === undefined) break
    const isAll = (call.left < 2 && call.left === most) || isQuick(request.quick, group.lane)
    if (isToStart(group, request) && startableIn(call, request) <= 0) {
      call.isCut = true
      offer.close()
      continue
    }
    offer.share ??= isAll ? call.left : shareOf(state, session, group, call.left)
    if (offer.share === 0) {
      call.isLeftToOthers = true
      offer.close()
      continue
    }
    if (!serve(state, session, request, call, group, offer.share)) break
    offer.share -= call.grants.at(-1)?.indexes.length ?? 0
    if (call.bytesLeft <= 0) break
    if (offer.share > 0 || !group.isQueued) offer.seek(state, session, wanted, group)
  }
  return call
}

/** A branch of a quick task may wait under such a timeout: a process that stands still for so long has more to answer for. */
const AMPLE_TIMEOUT_MS = 5_000

/** Whether its branches are granted only to be started at once. */
function isToStart({ isRoot, spec, lane }: Group, { quick }: AcquireRequest): boolean {
  if (isRoot || spec.maxLosses === 0) return true
  return spec.timeoutMs > 0 && (spec.timeoutMs < AMPLE_TIMEOUT_MS || !isQuick(quick, lane))
}

/** How many more of the branches of this call can be started at once. */
const startableIn = ({ most, left }: Call, { startable = Number.POSITIVE_INFINITY }: AcquireRequest): number =>
  startable - (most - left)

/** Grants branches of one group; false when none may be granted. */
function serve(
  state: KernelState,
  session: Session,
  request: AcquireRequest,
  call: Call,
  group: Group,
  share: number,
): boolean {
  const mostLost = startableIn(call, request)
  const { left } = call
  const asked = Math.min(left, share, isToStart(group, request) ? mostLost : left)
  const isOptional = call.grants.length > 0
  const grant = grantTo(state, session, group, asked, request.nonce, call.bytesLeft, isOptional, mostLost)
  call.isCut ||= grant === undefined
  if (grant === undefined) return false
  call.grants.push(grant)
  const heldGrant = group.grantByToken(grant.token)
  if (heldGrant !== undefined) call.heldGrants.push(heldGrant)
  call.left -= grant.indexes.length
  call.bytesLeft -= byteLength(grant.inputs)
  call.isCut ||= call.bytesLeft <= 0 || (group.isQueued && grant.indexes.length < Math.min(left, share))
  return true
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

/** The queues of these names that are there. */
function* queuesOf(state: KernelState, names: AcquireRequest['queues']): Iterable<Queue> {
  for (const name of namesOf(state, names)) {
    const queue = state.queues.get(name)
    if (queue !== undefined) yield queue
  }
}

function nextDueMs(state: KernelState, request: AcquireRequest): number | undefined {
  let next = state.wakes.first()?.dueAt
  for (const { delays } of queuesOf(state, request.queues)) {
    const due = delays.first()?.dueAt
    if (due !== undefined) next = Math.min(next ?? due, due)
  }
  return next === undefined ? undefined : Math.max(0, next - state.now)
}
