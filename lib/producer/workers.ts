/** The workers of a store as people see them: those that live, and for a while those that were lost. */
import type { Backend, NodeStatus, SessionStatus } from '../backend/backend.js'
import { leaseOf } from '../backend/remote-info.js'
import { ownOf } from '../backend/reserved.js'
import type { WorkerStateName } from '../events.js'
import { checkOptions, PAGE_OPTIONS, SESSION_TTL_MS } from '../options.js'
import { isTaskName } from '../session/cluster-events.js'
import type { Workers, WorkerStatus } from './types.js'

const STATES: readonly WorkerStateName[] = ['registering', 'ready', 'busy', 'draining', 'stopped']

/** Looks at the workers of a store. */
export function workersOf(backend: Pick<Backend, 'inspect' | 'control' | 'session'>): Workers {
  const { inspect } = backend
  const all = async (): Promise<readonly WorkerStatus[]> => {
    const [sessions, nodes, lead] = await Promise.all([inspect.sessions(), inspect.nodes(), inspect.lead()])
    const known = new Map(nodes.map((node) => [node.session, node]))
    const workers = sessions.filter(({ role }) => role !== 'client')
    const there = new Set(workers.map(({ baseId }) => baseId))
    const found = [
      ...workers.map((session) => liveWorker(session, known.get(session.session), lead?.session)),
      ...nodes.filter(({ baseId }) => !there.has(baseId)).map(lostWorker),
    ]
    return found.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  }
  const drain = async (id: string): Promise<boolean> => {
    const sessions = (await inspect.sessions()).filter(({ baseId, role }) => baseId === id && role !== 'client')
    const answers = await Promise.all(
      sessions.map(({ session }) => backend.control({ kind: 'drain-session', session })),
    )
    return answers.includes('ok')
  }
  return {
    list: async (options) => {
      const { limit = PAGE_OPTIONS.limit.default, cursor } = checkOptions('workers.list', PAGE_OPTIONS, options)
      const rest = (await all()).filter((worker) => cursor === undefined || keyOf(worker) > cursor)
      const items = rest.slice(0, limit)
      const last = items.at(-1)
      return { items, ...(last !== undefined && rest.length > limit && { cursor: keyOf(last) }) }
    },
    get: async (id) => (await all()).findLast((worker) => worker.id === id),
    drain,
    delete: async (workerId) => {
      if (await drain(workerId)) return 'draining'
      const answer = await backend.session({ kind: 'forget', workerId })
      return answer.status === 'ok' ? 'forgotten' : 'unknown'
    },
  }
}

const keyOf = ({ id, session }: WorkerStatus): string => `${id} ${session}`

/** What a session says of the process that has it, live or not. */
function factsOf(
  info: SessionStatus | NodeStatus,
): Omit<WorkerStatus, 'state' | 'seenAt' | 'inFlight' | 'drives' | 'isLeader'> {
  const { baseId: id, session, role, hostname, pid, metadata, queues, capabilities, tasks } = info
  const { buildId } = metadata
  return {
    ...{ id, session, role, hostname, pid, metadata, queues, capabilities: ownOf(capabilities) },
    tasks: tasks === 'all' ? tasks : tasks.filter(isTaskName),
    registeredAt: undefined,
    buildId,
  }
}

function liveWorker(session: SessionStatus, node: NodeStatus | undefined, leader: string | undefined): WorkerStatus {
  const { expiresAt } = session
  const renewedAt = Number.isFinite(expiresAt) ? expiresAt - (leaseOf(session) ?? SESSION_TTL_MS) : 0
  return {
    ...factsOf(session),
    state: stateOf(session, node),
    registeredAt: node === undefined ? undefined : new Date(node.registeredAt),
    seenAt: new Date(Math.max(renewedAt, node?.seenAt ?? 0)),
    inFlight: session.branches,
    drives: session.runs,
    isLeader: session.session === leader,
  }
}

/** What it holds is known now; what it said of itself is as old as its last heartbeat. One of an earlier release says nothing. */
function stateOf({ branches, runs }: SessionStatus, node: NodeStatus | undefined): WorkerStateName {
  const said = STATES.find((known) => known === node?.state) ?? 'ready'
  return said === 'ready' || said === 'busy' ? (branches + runs > 0 ? 'busy' : 'ready') : said
}

/** Its session is gone; what it held is somebody else's. */
const lostWorker = (node: NodeStatus): WorkerStatus => ({
  ...factsOf(node),
  state: node.mark === 'dead' ? 'dead' : 'stale',
  registeredAt: new Date(node.registeredAt),
  seenAt: new Date(node.seenAt),
  inFlight: 0,
  drives: 0,
  isLeader: false,
})
