/** session: who is there, and what it holds. */
import type { SessionAnswer, SessionInfo, SessionRequest } from '../../backend.js'
import { listOf, numberOf, textOf } from '../replies.js'
import type { Store } from '../store.js'
import { behindGrants, grantsFrom } from './grants.js'
import { laneRegistryOf, listed } from './lane-registry.js'
import { unexpectedAnswer, wordOf } from './words.js'

const ttlText = (ttlMs: number): string => (Number.isFinite(ttlMs) ? String(Math.ceil(ttlMs)) : 'inf')

/** Opens, renews, reconciles, confirms or closes a session; repeating any of it is safe. A reconcile names as many grants as one call carries. */
export async function session(store: Store, request: SessionRequest): Promise<SessionAnswer> {
  const reply = await store.shard.call('session', argsOf(store, request))
  const word = wordOf(reply)
  if (request.kind === 'open') laneRegistryOf(store).register(request.session, request.info)
  if (request.kind === 'close') laneRegistryOf(store).forget(request.session)
  switch (word) {
    case 'OK':
      return { status: 'ok' }
    case 'MORE':
      return session(store, request)
    case 'NOSESSION':
      return { status: 'nosession' }
    case 'RECONCILED': {
      const parts = listOf(reply)
      const count = numberOf(parts[1])
      const lost = parts.slice(behindGrants(2, count)).map(textOf)
      return { status: 'reconciled', unknown: await grantsFrom(store, parts, 2, count), lost }
    }
    default:
      throw unexpectedAnswer('session', word)
  }
}

/** The queues that it takes branches of, as scripts compare them; '' where it takes none. */
const servedBy = ({ role, queues }: SessionInfo): string =>
  role === 'client' || role === 'observer' || queues.length === 0 ? '' : listed(queues)

function argsOf(store: Store, request: SessionRequest): readonly (string | number)[] {
  switch (request.kind) {
    case 'open': {
      const { info } = request
      const { baseId, tasks } = info
      return [
        'open',
        request.session,
        ttlText(request.ttlMs),
        baseId,
        JSON.stringify(info),
        listed(tasks),
        servedBy(info),
        request.mayLead === true ? 1 : 0,
        info.role === 'client' ? 0 : 1,
      ]
    }
    case 'renew':
      return ['renew', request.session, ttlText(request.ttlMs), 0]
    case 'reconcile':
      return [
        'reconcile',
        request.session,
        store.limits.bytesPerCall,
        ...request.known.flatMap(({ gid, token }) => [gid, token]),
      ]
    case 'confirm':
      return ['confirm', request.session, ...request.grants.flatMap(({ gid, token }) => [gid, token])]
    case 'beat':
      return ['beat', request.session, request.state]
    case 'close':
      return ['close', request.session, request.reason ?? 'closed']
    case 'forget':
      return ['forget', request.workerId]
    default:
      return request satisfies never
  }
}
