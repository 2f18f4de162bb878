/** Sessions that are gone: which those are, and what they held. */
import { missNode } from './nodes.js'
import { reclaim } from './reclaim.js'
import { removeSession, shortestTtlMs } from './session.js'
import type { KernelState } from './state.js'

/**
 * A sweep that comes much later than announced means that the store or all processes stood still. Live sessions then look dead, because they could
 * not renew; so each gets its whole lifetime again.
 */
export function noteStandstill(state: KernelState): void {
  const ttlMs = shortestTtlMs(state)
  if (ttlMs === undefined || state.now - state.sweepDueAt <= ttlMs / 4) return
  for (const session of state.sessions.values())
    session.expiresAt = Math.max(session.expiresAt, state.now + session.ttlMs)
  state.graceUntil = state.now + ttlMs
}

/** Removes sessions that have expired, and reclaims up to `most` branches of what they and those before them held. Says how many. */
export function reclaimExpired(state: KernelState, most: number): number {
  for (const session of state.sessions.values()) {
    if (session.expiresAt > state.now) continue
    missNode(state, session)
    removeSession(state, session)
    if (session.grants.size > 0) state.lost.add(session)
  }
  let reclaimed = 0
  for (const session of state.lost) {
    for (const grant of session.grants) {
      if (reclaimed >= most) return reclaimed
      reclaimed += reclaim(state, grant, 'lost', most - reclaimed)
    }
    if (session.grants.size === 0) state.lost.delete(session)
  }
  return reclaimed
}
