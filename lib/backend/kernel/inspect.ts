/** Looks at the state, each time as it is at that moment. Nothing changes. */
import type {
  DeadLetter,
  EventPage,
  DocumentsFound,
  GroupStatus,
  HeldBranches,
  Inspector,
  Lead,
  NodeStatus,
  OpenWait,
  OutcomesPage,
  PinnedRuns,
  QueueStatus,
  RunEventPage,
  RunPage,
  RunRecord,
  SavedValues,
  ServingWorkers,
  SessionStatus,
  StoredWorkflow,
  StoreTotals,
  WaitingLane,
} from '../backend.js'
import { pack } from '../../values/packed-items.js'
import type { Group, Queue } from './group.js'
import { readEvents, readRunEvents } from './event-log.js'
import { leadOf } from './leader.js'
import { listRuns } from './list-runs.js'
import type { KernelState } from './state.js'
import { waitingInPlace } from './tasks-in-hand.js'
import { isAlive } from './waits.js'

/** The inspector's questions, answered at once. */
export type KernelInspector = {
  [Q in keyof Inspector]: (...args: Parameters<Inspector[Q]>) => Awaited<ReturnType<Inspector[Q]>>
}

/** Makes the inspector of a state. Whoever asks sets its time before each look (`inspect` of `Kernel`). */
export function inspectorOf(state: KernelState): KernelInspector {
  return {
    run: (runId): RunRecord | undefined => state.runs.get(runId)?.record(state.wallNow),
    runOfKey: (key): string | undefined => state.runsByKey.get(key)?.id,
    runs: (query): RunPage => listRuns(state, query),
    groups: (runId): readonly GroupStatus[] => {
      const groups = [...(state.runs.get(runId)?.groups.values() ?? [])]
      return groups.filter((group) => !group.isRoot).map((group) => statusOf(state, group))
    },
    outcomes: (gid, after): OutcomesPage | undefined => {
      const group = state.groups.get(gid)
      if (group === undefined) return undefined
      return {
        state: group.state,
        size: group.spec.size,
        ...(group.closedAt !== undefined && { releasedAt: state.wall(group.closedAt) }),
        ...(group.hasEndedRun && { hasEndedRun: true }),
        chunks: group.chunks.slice(after),
        next: group.chunks.length,
        withdrawn: group.state === 'open' ? undefined : group.withdrawn(),
      }
    },
    output: (runId, path): Uint8Array | undefined => state.runs.get(runId)?.saved.get(path),
    input: (gid, index): Uint8Array | undefined => inputOf(state.groups.get(gid), index),
    outputs: (runId, paths): readonly (Uint8Array | undefined)[] =>
      paths.map((path) => state.runs.get(runId)?.saved.get(path)),
    saved: (runId, prefix): SavedValues => {
      const paths: string[] = []
      const values: Uint8Array[] = []
      for (const [path, value] of state.runs.get(runId)?.saved ?? []) {
        if (prefix !== '' && path !== prefix && !path.startsWith(`${prefix}/`)) continue
        paths.push(path)
        values.push(value)
      }
      return { paths, values: pack(values) }
    },
    held: (gid, most): readonly HeldBranches[] => heldIn(state.groups.get(gid), most),
    openWaits: (runId, address): readonly OpenWait[] => openWaitsOf(state, runId, address),
    queues: (): readonly QueueStatus[] => [...state.queues.values()].map((queue) => queueStatus(state, queue)),
    waiting: (queue): readonly WaitingLane[] => waitingIn(state, state.queues.get(queue)),
    sessions: (): readonly SessionStatus[] =>
      [...state.sessions.values()].reverse().map((session) => {
        const runs = [...session.grants].filter(({ group }) => group.isRoot).length
        return {
          ...session.info,
          ...{ session: session.id, expiresAt: state.wall(session.expiresAt), branches: session.branches - runs, runs },
        }
      }),
    nodes: (): readonly NodeStatus[] => [...state.nodes.values()],
    serving: (): readonly ServingWorkers[] => servingIn(state),
    lead: (): Lead | undefined => leadOf(state),
    pinned: (): readonly PinnedRuns[] => pinnedIn(state),
    workflow: (name): StoredWorkflow | undefined => state.workflows.get(name),
    workflowNames: (): readonly string[] => [...state.workflows.keys()],
    now: (): number => state.wallNow,
    deadLetters: (limit, before): readonly DeadLetter[] => state.deadLetters.list(limit, before),
    deadLetter: (id): DeadLetter | undefined => state.deadLetters.get(id),
    events: (after, limit): EventPage => readEvents(state, after, limit),
    runEvents: (runId, after, limit): RunEventPage => readRunEvents(state, runId, after, limit),
    documents: (collection, names): DocumentsFound => {
      const { revision = 0, documents } = state.collections.get(collection) ?? {}
      return { revision, documents: names.map((name) => documents?.get(name)) }
    },
    documentNames: (collection): readonly string[] => [...(state.collections.get(collection)?.documents.keys() ?? [])],
    totals: (): StoreTotals => ({
      now: state.wallNow,
      ended: [...state.ended.values()].map((one) => ({ ...one })),
      deadLetters: state.deadLetters.made,
      candidates: [...state.sessions.values()].filter(({ mayLead }) => mayLead).length,
      bytes: { used: state.bytes, ...(state.options.maxBytes < Infinity && { limit: state.options.maxBytes }) },
    }),
  }
}

function statusOf(state: KernelState, group: Group): GroupStatus {
  const counts = group.counts()
  const isOpen = group.state === 'open'
  return {
    gid: group.spec.gid,
    graph: group.spec.graph,
    node: group.spec.node,
    state: group.state,
    size: group.spec.size,
    ready: isOpen ? counts.ready : 0,
    delayed: isOpen ? counts.delayed : 0,
    granted: isOpen ? counts.granted : 0,
    succeeded: counts.succeeded,
    failed: counts.failed,
    dead: counts.dead,
    withdrawn: isOpen ? 0 : counts.ready + counts.delayed + counts.granted,
    openedAt: state.wall(group.openedAt),
    releasedAt: group.closedAt === undefined ? undefined : state.wall(group.closedAt),
    parked: isOpen ? group.parked : 0,
    since: isOpen && counts.ready > 0 && group.readySince > 0 ? state.wall(group.readySince) : undefined,
    queue: group.spec.queue,
    requires: group.spec.requires,
    tasks: group.spec.tasks,
    affinity: group.spec.affinity,
    limit: group.spec.limit,
    affinityUntil: group.affinityHold === undefined ? undefined : state.wall(group.affinityHold.dueAt),
    retried: isOpen && group.delayed > 0 ? group.retried : undefined,
    waitingInPlace: isOpen ? waitingInPlace(state, group) : [],
  }
}

function inputOf(group: Group | undefined, index: number): Uint8Array | undefined {
  const found = group === undefined || index >= group.spec.size ? undefined : group.input(index)
  return found === undefined || found.length === 0 ? undefined : found // no value is packed into nothing
}

function heldIn(group: Group | undefined, most: number): readonly HeldBranches[] {
  if (group?.state !== 'open') return []
  const found: HeldBranches[] = []
  let left = most
  for (const { number, session, fence, indexes } of group.heldGrants()) {
    const held = indexes.filter((index) => group.table.isHeldUnder(index, number)).slice(0, left)
    left -= held.length
    if (held.length > 0) found.push({ session: session.id, grantedAt: Math.floor(fence / 1_000), indexes: held })
  }
  return found
}

/** Waits of a run that are told. */
const MOST_OPEN_WAITS = 1_000

function openWaitsOf(state: KernelState, runId: string, address?: string): readonly OpenWait[] {
  const waits = state.runs.get(runId)?.waits
  const there = address === undefined ? undefined : waits?.addresses.get(address)
  const places = address === undefined ? waits?.open.keys() : Array.isArray(there) ? there : []
  const alive = [...(places ?? [])].flatMap((place) => {
    const wait = waits?.open.get(place)
    return wait !== undefined && isAlive(state, wait) ? [wait] : []
  })
  const told = alive.map(({ request, since, dueAt, place }) => ({
    place: request.place,
    address: request.address,
    since,
    dueAt: place < 0 ? undefined : state.wall(dueAt),
    about: request.about,
  }))
  const ordered = address === undefined ? told.sort((a, b) => (a.place < b.place ? -1 : 1)) : told
  return ordered.slice(0, MOST_OPEN_WAITS)
}

/** Groups of each lane that are looked at. */
const MOST_WAITING = 256

function waitingIn(state: KernelState, queue: Queue | undefined): readonly WaitingLane[] {
  if (queue === undefined || queue.isPaused) return []
  return [...queue.lanes].flatMap((lane) => {
    const groups: { gid: string; waitedMs: number }[] = []
    for (let i = 0; i < Math.min(lane.size, MOST_WAITING); i++) {
      const group = lane.at(i)
      if (group === undefined || group.run.isPaused) continue
      groups.push({ gid: group.spec.gid, waitedMs: state.now - group.readySince })
    }
    return groups.length === 0 ? [] : [{ requires: lane.requires, tasks: lane.tasks, groups }]
  })
}

function servingIn(state: KernelState): readonly ServingWorkers[] {
  const found = new Map<string, { readonly queues: readonly string[] | 'all'; workers: number }>()
  for (const { info } of state.sessions.values()) {
    const { role, queues } = info
    // an embedded client is its own worker
    const isWorker = queues === 'all' || (role !== 'client' && role !== 'observer')
    if (!isWorker || queues.length === 0) continue
    const name = queues === 'all' ? queues : `,${queues.join(',')}`
    const known = found.get(name) ?? { queues, workers: 0 }
    known.workers += 1
    found.set(name, known)
  }
  return [...found.values()]
}

function pinnedIn(state: KernelState): readonly PinnedRuns[] {
  const found = new Map<string, number>()
  for (const { build, end } of state.runs.values()) {
    if (build !== undefined && end === undefined) found.set(build, (found.get(build) ?? 0) + 1)
  }
  return [...found].map(([build, runs]) => ({ build, runs }))
}

function queueStatus(state: KernelState, queue: Queue): QueueStatus {
  let oldest: number | undefined
  for (const lane of queue.lanes) {
    for (let i = 0; i < lane.size; i++) {
      const since = lane.at(i)?.readySince ?? state.now
      oldest = Math.min(oldest ?? since, since)
    }
  }
  return {
    queue: queue.name,
    ready: queue.ready,
    delayed: queue.delayed,
    granted: queue.granted,
    oldestMs: oldest === undefined ? undefined : state.now - oldest,
    isPaused: queue.isPaused,
  }
}
