/**
 * The registry of workers: who is there, who was lost, and for how long nothing was heard of it. It is for people: who gets work, and whose
 * work is reclaimed, sessions decide.
 */
import type { ClusterEvent, NodeStatus } from '../backend.js'
import { NODE_RETENTION_MS } from '../kept.js'
import { noteEvent } from './event-log.js'
import type { Session } from './group.js'
import type { KernelState } from './state.js'

/** Something happened among the processes of the store. */
export function clusterEvent(state: KernelState, event: ClusterEvent): void {
  state.effects.clusterEvent?.(event)
  noteEvent(state, { kind: 'cluster', event })
}

/** A worker has registered, or says anew what it is (`isKnown`). */
export function joinNodes(state: KernelState, session: Session, isKnown: boolean): void {
  const { id, info } = session
  if (info.role === 'client') return
  const before = state.nodes.get(info.baseId)
  const isSame = before?.session === id
  const isReturned = before !== undefined && !isKnown && (isSame || before.mark !== 'live')
  const since = isKnown && isSame ? before : undefined
  const { registeredAt = state.wallNow, state: doing = '' } = since ?? {}
  const heard = { mark: 'live', registeredAt, seenAt: state.wallNow, state: doing } as const
  state.nodes.set(info.baseId, { ...info, session: id, ...heard })
  if (!isKnown) clusterEvent(state, { kind: 'worker:registered', session: id, info, isReturned })
}

/** A worker says what it does; one that the registry has lost is in it again. */
export function beat(state: KernelState, session: Session, doing: string): void {
  const { id, info } = session
  if (info.role === 'client') return
  const before = state.nodes.get(info.baseId)
  const registeredAt = before?.session === id ? before.registeredAt : state.wallNow
  const heard = { mark: 'live', registeredAt, seenAt: state.wallNow, state: doing } as const
  state.nodes.set(info.baseId, { ...info, session: id, ...heard })
}

/** A worker leaves in order. */
export function leaveNodes(state: KernelState, session: Session, reason: string): void {
  const { id, info } = session
  const workerId = info.baseId
  if (state.nodes.get(workerId)?.session !== id) return
  state.nodes.delete(workerId)
  clusterEvent(state, { kind: 'worker:deregistered', session: id, workerId, reason })
}

/** A person has done with a worker that was lost. False where none is known, and where one of its name lives. */
export function forgetWorker(state: KernelState, workerId: string): boolean {
  const node = state.nodes.get(workerId)
  if (node === undefined || state.bases.has(workerId)) return false
  state.nodes.delete(workerId)
  const { session } = node
  if (node.mark !== 'dead')
    state.effects.clusterEvent?.({ kind: 'worker:deregistered', session, workerId, reason: 'forgotten' })
  return true
}

/** A session was taken for dead: nothing is heard of its worker from now on. */
export function missNode(state: KernelState, { id, info }: Session): void {
  const node = state.nodes.get(info.baseId)
  if (node?.session === id) state.nodes.set(info.baseId, { ...node, seenAt: state.wallNow })
}

/** Marks workers without a session by how long nothing was heard of them. Says how many were marked or forgotten. */
export function markNodes(state: KernelState, staleAfterMs: number, deadAfterMs: number): number {
  let count = 0
  for (const [workerId, node] of state.nodes) {
    const mark = markOf(state, node, staleAfterMs, deadAfterMs)
    if (mark === node.mark) continue
    count += 1
    if (mark === undefined) {
      state.nodes.delete(workerId)
      continue
    }
    const { session } = node
    state.nodes.set(workerId, { ...node, mark })
    const silentMs = state.wallNow - node.seenAt
    if (mark === 'stale') clusterEvent(state, { kind: 'worker:stale', session, workerId, silentMs })
    if (mark === 'dead') clusterEvent(state, { kind: 'worker:deregistered', session, workerId, reason: 'dead' })
  }
  return count
}

/** Undefined: it is forgotten. */
function markOf(
  state: KernelState,
  { baseId, mark, seenAt }: NodeStatus,
  staleAfterMs: number,
  deadAfterMs: number,
): NodeStatus['mark'] | undefined {
  if (state.bases.has(baseId)) return 'live'
  const silentMs = state.wallNow - seenAt
  if (silentMs >= Math.max(deadAfterMs, NODE_RETENTION_MS)) return undefined
  if (silentMs >= deadAfterMs) return 'dead'
  return mark === 'live' && silentMs >= staleAfterMs ? 'stale' : mark
}
