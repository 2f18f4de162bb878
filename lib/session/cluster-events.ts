/**
 * Tells the listeners of this process what happens among the processes of its store, whichever process it happens in. Asks the store for it only once
 * somebody listens. What this process does itself it says where it does it, so that is left out here.
 */
import type { Backend, ClusterEvent, SessionInfo } from '../backend/backend.js'
import { ownOf } from '../backend/reserved.js'
import { CLUSTER_EVENTS, type Emitter, type EventMap } from '../events.js'

export interface ClusterEventsOptions {
  readonly backend: Pick<Backend, 'watchCluster'>
  readonly session: string
  readonly emitter: Emitter
}

/** One a session. */
export class ClusterEvents {
  readonly #options: ClusterEventsOptions
  #stop: (() => void) | undefined
  #isOver = false

  constructor(options: ClusterEventsOptions) {
    this.#options = options
    const { emitter } = options
    for (const name of CLUSTER_EVENTS) emitter.onSubscribed(name, () => this.#watch())
    if (CLUSTER_EVENTS.some((name) => emitter.has(name))) this.#watch()
  }

  close(): void {
    this.#isOver = true
    this.#stop?.()
  }

  #watch(): void {
    if (this.#isOver) return
    this.#stop ??= this.#options.backend.watchCluster((event) => this.#tell(event))
  }

  #tell(event: ClusterEvent): void {
    const { session, emitter } = this.#options
    if (event.session === session && event.kind !== 'worker:stale') return
    switch (event.kind) {
      case 'worker:registered':
        emitter.emit(event.kind, registered(event.info, event.isReturned))
        return
      case 'worker:deregistered':
        emitter.emit(event.kind, { workerId: event.workerId, reason: event.reason })
        return
      case 'worker:stale':
        emitter.emit(event.kind, { workerId: event.workerId, silentMs: event.silentMs })
        return
      case 'leader:changed':
        emitter.emit(event.kind, { leaderId: event.leaderId, term: event.term })
        return
      default:
        event satisfies never
    }
  }
}

/** What a worker said of itself, as an event. */
export function registered(info: SessionInfo, isReturned: boolean): EventMap['worker:registered'] {
  const { baseId: workerId, hostname, capabilities, tasks, metadata } = info
  const { buildId } = metadata
  const own = ownOf(capabilities)
  return {
    ...{ workerId, hostname, metadata, isReturned },
    capabilities: own === 'all' ? [] : own,
    tasks: tasks === 'all' ? [] : tasks.filter(isTaskName),
    ...(buildId !== undefined && { buildId }),
  }
}

/** Code that is no task has a prefix, such as `policy:`. */
export const isTaskName = (name: string): boolean => !name.includes(':')
