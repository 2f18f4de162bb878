/** Sessions open, renew, reconcile, close. What a closed session held is ready again at once; what an expired one held, a sweep reclaims. */
import type { SessionAnswer, SessionRequest } from '../backend.js'
import { grantOf } from './granting.js'
import type { HeldGrant, Session } from './group.js'
import { beat, forgetWorker, joinNodes, leaveNodes } from './nodes.js'
import { reclaim } from './reclaim.js'
import * as sessions from './sessions.js'
import type { KernelState } from './state.js'
import { notifyAll, notifyNext } from './waking.js'
import { narrowLanes } from './wide-lanes.js'

/** A sweep within this time of another has nothing to add. */
export const SWEEP_GAP_MS = 100

/**
 * Opens, renews, reconciles or closes a session. Opening one that is there updates and renews it; renewing is the same twice; a
 * reconcile changes nothing; closing one that is gone is `nosession`.
 */
export function handleSession(state: KernelState, request: SessionRequest): SessionAnswer {
  if (request.kind === 'forget') return { status: forgetWorker(state, request.workerId) ? 'ok' : 'nosession' }
  const known = state.sessions.get(request.session)
  switch (request.kind) {
    case 'open': {
      if (known !== undefined) forgetBase(state, known)
      const opened =
        known ??
        returning(state, request.session) ??
        new sessions.Session<HeldGrant>(request.session, request.info, request.ttlMs, state.now)
      opened.update(request.info, request.ttlMs, state.now)
      opened.mayLead = request.mayLead === true
      state.sessions.set(opened.id, opened)
      state.bases.set(opened.info.baseId, (state.bases.get(opened.info.baseId) ?? 0) + 1)
      announceSweep(state)
      joinNodes(state, opened, known !== undefined)
      narrowLanes(state, opened)
      if (known !== undefined) notifyNext(state) // it may serve more now, or less than it was notified for
      return { status: 'ok' }
    }
    case 'renew': {
      if (known === undefined) return { status: 'nosession' }
      known.renew(request.ttlMs, state.now)
      announceSweep(state)
      return { status: 'ok' }
    }
    case 'reconcile': {
      if (known === undefined) return { status: 'nosession' }
      const named = new Set(request.known.map(({ token }) => token))
      const owned = [...known.grants]
      const tokens = new Set(owned.map(({ token }) => token))
      return {
        status: 'reconciled',
        unknown: owned.filter((grant) => !named.has(grant.token)).map(grantOf),
        lost: [...named].filter((token) => !tokens.has(token)),
      }
    }
    case 'confirm':
      return { status: known === undefined ? 'nosession' : 'ok' } // nothing is pushed here
    case 'beat': {
      if (known === undefined) return { status: 'nosession' }
      beat(state, known, request.state)
      return { status: 'ok' }
    }
    case 'close': {
      if (known === undefined) return { status: 'nosession' }
      leaveNodes(state, known, request.reason ?? 'closed')
      removeSession(state, known)
      for (const grant of [...known.grants]) reclaim(state, grant, 'closed', grant.held)
      notifyAll(state)
      return { status: 'ok' }
    }
    default:
      return request satisfies never
  }
}

/** A session that was taken for dead renews again: it keeps the grants that were not reclaimed yet. */
function returning(state: KernelState, id: string): Session | undefined {
  for (const lost of state.lost) {
    if (lost.id !== id) continue
    state.lost.delete(lost)
    return lost
  }
  return undefined
}

/** Removes the session. What it holds stays held until it is reclaimed. */
export function removeSession(state: KernelState, gone: Session): void {
  state.sessions.delete(gone.id)
  state.waiting.delete(gone)
  state.coming.delete(gone)
  forgetBase(state, gone)
}

/** How often a sweep is due while sessions can expire: often enough to notice a standstill before it looks like their death. */
export function sweepIntervalMs(state: KernelState): number | undefined {
  const shortest = shortestTtlMs(state)
  return shortest === undefined ? undefined : Math.max(SWEEP_GAP_MS, Math.min(1_000, Math.floor(shortest / 3)))
}

/** The shortest time to live of the sessions that can expire. */
export function shortestTtlMs(state: KernelState): number | undefined {
  let shortest = Number.POSITIVE_INFINITY
  for (const { ttlMs } of state.sessions.values()) shortest = Math.min(shortest, ttlMs)
  return Number.isFinite(shortest) ? shortest : undefined
}

function announceSweep(state: KernelState): void {
  const interval = sweepIntervalMs(state)
  if (interval !== undefined) state.sweepDueAt = Math.min(state.sweepDueAt, state.now + interval)
}

function forgetBase(state: KernelState, gone: Session): void {
  const others = (state.bases.get(gone.info.baseId) ?? 1) - 1
  if (others > 0) state.bases.set(gone.info.baseId, others)
  else state.bases.delete(gone.info.baseId)
}
