/**
 * The locks of one run: who has each, and who is the next to get it. A lock whose lease is over, or whose branch is not held any more, is
 * free; but it stays its holder's until somebody else takes it. Whoever calls has checked the holder already.
 */
import type { HeldLock, Holder, LockAnswer, LockRequest } from '../backend.js'
import { heldGroup } from './grants.js'
import type { Locks } from './run.js'
import type { KernelState } from './state.js'

/** How long a free lock waits for the one who is the next to get it, from when that one last asked. */
const RESERVED_MS = 500

/** Gives the lock to the caller, or says who has it and lets the caller be the next if nobody is. Safe to repeat with the same nonce. */
export function takeLock(
  state: KernelState,
  locks: Locks,
  holder: Holder,
  { key, nonce, leaseMs }: Extract<LockRequest, { kind: 'lock' | 'renew' }>,
): LockAnswer {
  const renewed = renewLock(state, locks, key, nonce, leaseMs)
  if (renewed.status === 'ok') return renewed
  const { taken, next } = locks.get(key) ?? {}
  const isHeld = taken !== undefined && taken.expiresAt > state.now && heldGroup(state, taken.holder) !== undefined
  const mayBeNext = next === undefined || next.until <= state.now || next.nonce === nonce
  if (isHeld) {
    if (mayBeNext) locks.set(key, { taken, next: { nonce, until: state.now + RESERVED_MS } })
    return { status: 'locked', holder: `${taken.holder.gid}#${taken.holder.index}` }
  }
  if (!mayBeNext) return { status: 'locked', holder: '' }
  const fence = state.nextFence()
  locks.set(key, { taken: { fence, nonce, expiresAt: state.now + leaseMs, holder }, next: undefined })
  return { status: 'ok', fence }
}

/** Begins the lease of the lock that was taken with this nonce anew. */
export function renewLock(state: KernelState, locks: Locks, key: string, nonce: string, leaseMs: number): LockAnswer {
  const { taken, next } = locks.get(key) ?? {}
  if (taken?.nonce !== nonce) return { status: 'lost' }
  locks.set(key, { taken: { ...taken, expiresAt: state.now + leaseMs }, next })
  return { status: 'ok', fence: taken.fence }
}

/** Gives the lock back; or forgets that this caller is the next to get it, which is answered with `lost`. */
export function unlock(state: KernelState, locks: Locks, key: string, nonce: string): LockAnswer {
  const { taken, next } = locks.get(key) ?? {}
  const isMine = taken?.nonce === nonce
  const nextKept = next !== undefined && next.nonce !== nonce && next.until > state.now ? next : undefined
  const left = { taken: isMine ? undefined : taken, next: nextKept }
  if (left.taken === undefined && left.next === undefined) locks.delete(key)
  else locks.set(key, left)
  return isMine ? { status: 'ok', fence: taken.fence } : { status: 'lost' }
}

/** The key of the first of these locks that was given to somebody else since, or is gone. */
export function lostLock(locks: Locks | undefined, under: readonly HeldLock[]): string | undefined {
  return under.find(({ key, nonce }) => locks?.get(key)?.taken?.nonce !== nonce)?.key
}
