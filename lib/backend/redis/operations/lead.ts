/** The kinds of the script `session` that are about who leads, and what only the leader does. */
import type { Lead, LeadAnswer, LeadRequest, TendAnswer, TendRequest } from '../../backend.js'
import { listOf, numberOf, type Reply, textOf } from '../replies.js'
import type { Store } from '../store.js'
import { unexpectedAnswer, wordOf } from './words.js'

/** Gives the lead to a session, renews its lease, or takes it back. Repeating it is safe. */
export async function lead(store: Store, request: LeadRequest): Promise<LeadAnswer> {
  const { kind, session } = request
  const ttl = kind === 'stand' ? [Number.isFinite(request.ttlMs) ? Math.ceil(request.ttlMs) : 'inf'] : []
  const reply = await store.shard.call('session', [kind, session, ...ttl])
  const word = wordOf(reply)
  switch (word) {
    case 'OK':
      return { status: 'ok', lead: leadIn(reply) }
    case 'NOSESSION':
      return { status: 'nosession' }
    default:
      throw unexpectedAnswer('session', word)
  }
}

/** Who leads. */
export const whoLeads = async (store: Store): Promise<Lead | undefined> =>
  leadIn(await store.shard.call('session', ['look']))

function leadIn(reply: Reply): Lead | undefined {
  const [, term, session, leaderId] = listOf(reply)
  return term === undefined ? undefined : { term: numberOf(term), session: textOf(session), leaderId: textOf(leaderId) }
}

/** Does what a leader asks. Repeating it is safe. */
export async function tend(store: Store, request: TendRequest): Promise<TendAnswer> {
  const { kind, session, term } = request
  const reply = await store.shard.call('session', ['tend', session, term, kind, ...argsOf(request)])
  const word = wordOf(reply)
  switch (word) {
    case 'DONE': {
      const [, count, cursor] = listOf(reply)
      const next = textOf(cursor)
      return { status: 'ok', count: numberOf(count), ...(next !== '' && { cursor: next }) }
    }
    case 'DEPOSED':
      return { status: 'deposed' }
    default:
      throw unexpectedAnswer('session', word)
  }
}

function argsOf(request: TendRequest): readonly (string | number | Uint8Array)[] {
  switch (request.kind) {
    case 'nodes':
      return [request.staleAfterMs, request.deadAfterMs]
    case 'graphs':
    case 'orphans':
      return [request.cursor]
    case 'fail-run':
      return [request.runId, request.reason, request.value]
    default:
      return request satisfies never
  }
}
