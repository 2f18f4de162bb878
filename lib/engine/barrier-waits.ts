/**
 * The barriers that this process waits for. A notice may come early, late, twice or for no wait: only the first for each wait counts. Also
 * lists the awaited groups for the slow check, since a notice may be lost.
 */
import type { GroupSpec } from '../backend/backend.js'
import type { Graph } from '../graph/graph.js'

/** One wait. `forget` it when done. */
export interface BarrierWait {
  /** Resolves when the group is released or withdrawn; rejects when it is given up. */
  readonly promise: Promise<void>
  /** Resolves when all that is left of the group is parked. */
  readonly idle: Promise<void>
  /** The group is in the store, and its branches need this graph: from now on the slow check can ask for it. */
  dispatched(use: AwaitedGraph, spec?: GroupSpec): void
  forget(): void
}

/** The graph that a group's branches need. */
export interface AwaitedGraph {
  readonly hash: string
  readonly graph: Graph
}

interface Awaited {
  readonly waiting: Set<Waiter>
  use: AwaitedGraph | undefined
  spec: GroupSpec | undefined
}

interface Waiter {
  readonly resolve: () => void
  readonly idle: () => void
  readonly reject: (error: Error) => void
}

/** One a process; fed by the notices of its session. */
export class BarrierWaits {
  readonly #awaited = new Map<string, Awaited>()

  /** How many groups are awaited. */
  get count(): number {
    return this.#awaited.size
  }

  /** Call before the group is dispatched, so that no notice falls between. */
  expect(gid: string): BarrierWait {
    const { promise, idle, waiter } = withResolvers()
    const awaited = this.#awaited.get(gid) ?? { waiting: new Set(), use: undefined, spec: undefined }
    awaited.waiting.add(waiter)
    this.#awaited.set(gid, awaited)
    return {
      promise,
      idle,
      dispatched: (use, spec) => {
        awaited.use = use
        awaited.spec = spec
      },
      forget: () => {
        awaited.waiting.delete(waiter)
        if (awaited.waiting.size === 0 && this.#awaited.get(gid) === awaited) this.#awaited.delete(gid)
      },
    }
  }

  /** A group's barrier was released. */
  announce(gid: string): void {
    const awaited = this.#awaited.get(gid)
    if (awaited === undefined) return
    this.#awaited.delete(gid)
    for (const { resolve } of awaited.waiting) resolve()
  }

  /** All branches left of the group are parked. */
  announceIdle(gid: string): void {
    for (const { idle } of this.#awaited.get(gid)?.waiting ?? []) idle()
  }

  /** No worker will release the group: its waits reject with this error. */
  fail(gid: string, error: Error): void {
    const awaited = this.#awaited.get(gid)
    if (awaited === undefined) return
    this.#awaited.delete(gid)
    for (const { reject } of awaited.waiting) reject(error)
  }

  isAwaited(gid: string): boolean {
    return this.#awaited.has(gid)
  }

  /** The groups that are dispatched and awaited. */
  gids(): readonly string[] {
    return [...this.#awaited].filter(([, { use }]) => use !== undefined).map(([gid]) => gid)
  }

  /** What the groups are that are dispatched and awaited. */
  dispatches(): readonly GroupSpec[] {
    return [...this.#awaited.values()].flatMap(({ spec }) => (spec === undefined ? [] : [spec]))
  }

  /** The graphs that their branches need, each once. */
  graphs(): readonly AwaitedGraph[] {
    const byHash = new Map<string, AwaitedGraph>()
    for (const { use } of this.#awaited.values()) if (use !== undefined) byHash.set(use.hash, use)
    return [...byHash.values()]
  }
}

function withResolvers(): { readonly promise: Promise<void>; readonly idle: Promise<void>; readonly waiter: Waiter } {
  let waiter: Waiter = { resolve: () => undefined, idle: () => undefined, reject: () => undefined }
  const promise = new Promise<void>((resolve, reject) => {
    waiter = { ...waiter, resolve, reject }
  })
  const idle = new Promise<void>((resolve) => {
    waiter = { ...waiter, idle: resolve }
  })
  promise.catch(() => undefined) // it may reject after the wait was forgotten
  return { promise, idle, waiter }
}
