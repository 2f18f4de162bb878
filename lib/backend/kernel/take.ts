/** Taking a run by its id: its root branch is granted to a session that asks for this run, whatever lane it stands in. */
import type { TakeAnswer, TakeRequest } from '../backend.js'
import { grantOf, grantTo } from './granting.js'
import type { KernelState } from './state.js'

/** Takes a run that nobody drives. Repeated with its nonce it answers the same grant, as long as that is held. */
export function take(state: KernelState, { session: id, nonce, runId }: TakeRequest): TakeAnswer {
  const session = state.sessions.get(id)
  if (session === undefined) return { status: 'nosession' }
  const run = state.runs.get(runId)
  if (run === undefined) return { status: 'gone' }
  if (run.end !== undefined) return { status: 'over' }
  const root = run.groups.get(runId)
  if (root === undefined) return { status: 'gone' }
  const held = root.grantHolding(0)
  if (held !== undefined) {
    const isMine = held.session.id === id && held.nonce === nonce
    return isMine ? { status: 'ok', grant: grantOf(held) } : { status: 'held', session: held.session.id }
  }
  if (!run.isPaused && root.parked > 0) return { status: 'waiting' }
  if (run.isPaused || root.ready === 0) return { status: 'paused' }
  const grant = grantTo(state, session, root, 1, nonce, Number.POSITIVE_INFINITY)
  return grant === undefined ? { status: 'paused' } : { status: 'ok', grant }
}
