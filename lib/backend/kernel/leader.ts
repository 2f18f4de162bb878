/**
 * The lead: one session at most has it at a time, for a term that grows from leader to leader. Its lease says when another may take it, and so does
 * the end of its session. Nothing that a run needs waits for a leader.
 */
import type { Lead, LeadAnswer, LeadRequest } from '../backend.js'
import { clusterEvent } from './nodes.js'
import type { KernelState } from './state.js'

/** So many sessions are notified that nobody leads: one of them is enough. */
const MOST_ASKED = 4

/** Gives the lead to a session, renews its lease, or takes it back. Repeating it is safe. */
export function lead(state: KernelState, request: LeadRequest): LeadAnswer {
  const held = state.lead
  if (request.kind === 'resign') {
    if (held.session === request.session) {
      state.lead = { ...held, session: '' }
      offerLead(state, request.session)
    }
    return { status: 'ok', lead: leadOf(state) }
  }
  const session = state.sessions.get(request.session)
  if (session === undefined) return { status: 'nosession' }
  const until = state.now + request.ttlMs
  if (held.session === session.id) {
    state.lead = { ...held, until } // also when it is over: time makes the lead free, and nobody has taken it
  } else if (leadOf(state) === undefined) {
    const { id, info } = session
    state.lead = { term: held.term + 1, session: id, leaderId: info.baseId, until }
    clusterEvent(state, { kind: 'leader:changed', session: id, leaderId: info.baseId, term: held.term + 1 })
  }
  return { status: 'ok', lead: leadOf(state) }
}

/** Who leads; undefined where the lead is free. */
export function leadOf({ lead: { term, session, leaderId, until }, sessions, now }: KernelState): Lead | undefined {
  return until > now && sessions.has(session) ? { term, session, leaderId } : undefined
}

/** Whether the session leads, in this term. */
export function isTerm(state: KernelState, session: string, term: number): boolean {
  const held = leadOf(state)
  return held?.session === session && held.term === term
}

/** Where nobody leads: notifies those that may, first the ones that renewed last, but not the one that gave the lead back. */
export function offerLead(state: KernelState, exceptFor?: string): void {
  if (leadOf(state) !== undefined) return
  const standing = [...state.sessions.values()].filter(({ mayLead, id }) => mayLead && id !== exceptFor)
  for (const { id } of standing.sort((a, b) => b.expiresAt - a.expiresAt).slice(0, MOST_ASKED))
    state.effects.notice(id, { kind: 'lead' })
}
