/**
 * Waits of a run: what its branches wait for, and how they get it. The first answer to a wait is saved as an output, and counts; a signal that
 * nobody waits for yet is kept for the first that does.
 */
import { pack } from '../../values/packed-items.js'
import {
  type Park,
  type SignalAnswer,
  type SignalRequest,
  WAIT_ANSWERED_BY,
  type WaitAnswer,
  type WaitRequest,
} from '../backend.js'
import { MOST_SIGNALS_KEPT, waitMark } from '../kept.js'
import type { Group, HeldWait, Run } from './group.js'
import { noteIdle, park, wake } from './parking.js'
import { withCall } from './run.js'
import type { KernelState } from './state.js'

/** What a wait, or an address, occupies beside its bytes, roughly. */
const ENTRY_BYTES = 128

/** A branch of the group waits from now on, or has its answer; one that waits there already goes on as it was. */
export function register(state: KernelState, group: Group, index: number, request: WaitRequest): WaitAnswer {
  const { run } = group
  const { place, address } = request
  const saved = run.saved.get(waitMark(place))
  if (saved !== undefined) return { status: 'answered', value: saved }
  run.waits ??= { open: new Map(), addresses: new Map(), kept: 0 }
  const { open, addresses } = run.waits
  const known = open.get(place)
  if (known !== undefined) {
    known.group = group
    known.index = index
    return stillOpen(state, known)
  }
  const found = address === undefined ? undefined : addresses.get(address)
  if (address !== undefined && found instanceof Uint8Array) {
    run.waits.kept -= 1
    setAddress(state, run, address, request.isRepeated ? undefined : 'over')
    return { status: 'answered', value: saveAnswer(state, run, place, 'signal', found) }
  }
  const wait: HeldWait = { run, group, index, request, since: state.wallNow, dueAt: 0, place: -1, order: 0 }
  open.set(place, wait)
  state.addBytes(run, bytesOf(request))
  if (address !== undefined) setAddress(state, run, address, [...(Array.isArray(found) ? found : []), place])
  const { dueMs = request.dueAt === undefined ? undefined : Math.max(0, request.dueAt - state.wallNow) } = request
  if (dueMs !== undefined) state.wakes.add(wait, state.now + dueMs)
  return stillOpen(state, wait)
}

/** Parks a branch of which nothing is held any more, until what it waits for is there: where it is, the branch is ready at once. */
export function parkBranch(state: KernelState, group: Group, index: number, { wait, until, dueMs }: Park): void {
  park(state, group, index, dueMs)
  const answer = wait === undefined ? undefined : register(state, group, index, wait)
  const isThere = answer?.status === 'answered' || (until !== undefined && state.groups.get(until)?.state !== 'open')
  const isForNothing = wait === undefined && until === undefined && dueMs === undefined
  if (isThere || isForNothing) wake(state, group, index)
  else noteIdle(state, group)
}

/** Brings a payload to the wait at this address, or keeps it for the first. Repeated with its nonce it answers the same. */
export function signal(state: KernelState, request: SignalRequest): SignalAnswer {
  const { runId, address, payload, nonce, isLate } = request
  const run = state.runs.get(runId)
  if (run === undefined) return 'gone'
  if (run.signals.includes(nonce)) return 'ok'
  if (run.signals.includes(`-${nonce}`)) return 'late'
  if (request.isOnlyRepeat === true) return 'new'
  if (run.end !== undefined) return 'over'
  const remember = (status: 'ok' | 'late'): SignalAnswer => {
    run.signals = withCall(run.signals, status === 'ok' ? nonce : `-${nonce}`)
    return status
  }
  if (isLate === true) return remember('late')
  const wait = firstAt(state, run, address)
  if (wait !== undefined) {
    answer(state, wait, 'signal', payload)
    return remember('ok')
  }
  const { addresses, kept } = (run.waits ??= { open: new Map(), addresses: new Map(), kept: 0 })
  const wasThere = addresses.has(address)
  if (!wasThere) {
    if (state.isFull(payload.length) || kept >= MOST_SIGNALS_KEPT) return 'backpressure'
    run.waits.kept += 1
    setAddress(state, run, address, payload.slice())
  }
  return remember(wasThere ? 'late' : 'ok')
}

/** Answers waits whose time has come, and wakes parked branches whose deadline has; `most` at most. Says how many. */
export function wakeDue(state: KernelState, most: number): number {
  for (let woken = 0; woken < most; woken++) {
    const due = state.wakes.takeDue(state.now)
    if (due === undefined) return woken
    if (!('request' in due)) wake(state, due.group, due.index)
    else if (isAlive(state, due)) answer(state, due, 'due', due.request.onDue)
    else forget(state, due)
  }
  return most
}

/** The run is over: nothing of it waits. Signals that nobody has waited for stay, for a retry. */
export function dropWaits(state: KernelState, run: Run): void {
  const { waits } = run
  if (waits === undefined) return
  for (const wait of waits.open.values()) forget(state, wait)
  for (const [address, found] of waits.addresses)
    if (!(found instanceof Uint8Array)) setAddress(state, run, address, undefined)
  if (waits.kept === 0) run.waits = undefined
}

/** Whether the branch may still get what it waits for: it is not final, and its group is open. */
export function isAlive(state: KernelState, { group, index }: Pick<HeldWait, 'group' | 'index'>): boolean {
  if (group.state !== 'open' || state.groups.get(group.spec.gid) !== group) return false
  const branch = group.table.state(index)
  return branch === 'ready' || branch === 'granted' || branch === 'delayed'
}

function stillOpen(state: KernelState, wait: HeldWait): WaitAnswer {
  return wait.place < 0 ? { status: 'open' } : { status: 'open', leftMs: Math.max(0, wait.dueAt - state.now) }
}

/** The wait has its answer; the branch is ready, or its holder is notified. */
function answer(state: KernelState, wait: HeldWait, by: keyof typeof WAIT_ANSWERED_BY, bytes: Uint8Array): void {
  const { run, group, index, request } = wait
  forget(state, wait)
  saveAnswer(state, run, request.place, by, bytes)
  const holder = group.grantHolding(index)?.session
  if (holder === undefined) wake(state, group, index)
  else state.effects.notice(holder.id, { kind: 'released', gid: `${run.id}/${request.place}` })
}

function saveAnswer(
  state: KernelState,
  run: Run,
  place: string,
  by: keyof typeof WAIT_ANSWERED_BY,
  bytes: Uint8Array,
): Uint8Array {
  const value = pack([Uint8Array.of(WAIT_ANSWERED_BY[by]), bytes]).bytes
  const mark = waitMark(place)
  run.saved.set(mark, value)
  state.addBytes(run, value.length + mark.length * 2)
  return value
}

/** The first wait at the address that can still get something; those before it are forgotten. */
function firstAt(state: KernelState, run: Run, address: string): HeldWait | undefined {
  for (;;) {
    const found = run.waits?.addresses.get(address)
    const wait = Array.isArray(found) ? run.waits?.open.get(found[0] ?? '') : undefined
    if (wait === undefined || isAlive(state, wait)) return wait
    forget(state, wait)
  }
}

/** Nobody waits there any more. */
function forget(state: KernelState, wait: HeldWait): void {
  const { run, request } = wait
  const { place, address, isRepeated } = request
  state.wakes.remove(wait)
  if (run.waits?.open.delete(place) !== true) return
  state.addBytes(run, -bytesOf(request))
  const found = address === undefined ? undefined : run.waits.addresses.get(address)
  if (address === undefined || !Array.isArray(found)) return
  const others = found.filter((other) => other !== place)
  setAddress(state, run, address, others.length > 0 ? others : isRepeated ? undefined : 'over')
}

/** Places that wait at it, in order; a signal that is kept; `over`: a signal is late; undefined: one would be kept. */
function setAddress(
  state: KernelState,
  run: Run,
  address: string,
  to: string[] | Uint8Array | 'over' | undefined,
): void {
  const addresses = run.waits?.addresses
  const before = addresses?.get(address)
  if (before !== undefined) state.addBytes(run, -addressBytes(address, before))
  if (to === undefined) {
    addresses?.delete(address)
    return
  }
  addresses?.set(address, to)
  state.addBytes(run, addressBytes(address, to))
}

const addressBytes = (address: string, { length }: { readonly length: number }): number =>
  ENTRY_BYTES + address.length * 2 + length * 2

const bytesOf = ({ place, address = '', onDue, about }: WaitRequest): number =>
  ENTRY_BYTES + (place.length + address.length) * 2 + onDue.length + (about?.length ?? 0)
