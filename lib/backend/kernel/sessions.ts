/**
 * Sessions: what each can do, what it holds, which acquire calls it has made, and whether it waits for work. A session
 * past its expiry stays one until a sweep takes it: time alone makes no grant invalid.
 */
import { knowsEnough } from '../asked-tasks.js'
import type { AcquireRequest, AskedTasks, SessionInfo } from '../backend.js'
import { takesOnlyTasks } from '../reserved.js'

/** What this file knows of a grant. */
interface Holding {
  readonly nonce: string
  readonly held: number
}

/** What a lane asks of a worker. */
interface Demand {
  readonly requires: readonly string[]
  readonly tasks: readonly string[]
  readonly asks: AskedTasks
}

/** What a session that found too little work would take. */
export interface Wait {
  readonly queues: readonly string[] | 'all'
  readonly capabilities: ReadonlySet<string> | 'all'
  readonly deeperThan: number
  /** Tasks of which a few branches are not shared. */
  readonly quick: readonly string[]
  /** Branches it could still take. */
  readonly free: number
}

/** Calls remembered before the finished ones are forgotten. */
const CALLS_REMEMBERED = 64

const NO_GRANTS: readonly never[] = Object.freeze([])

/** `H`: what a grant is, which knows its session in turn. */
export class Session<H extends Holding> {
  readonly id: string
  info: SessionInfo
  ttlMs: number
  /** Kernel time; Infinity for a session that never expires. */
  expiresAt: number
  readonly grants = new Set<H>()
  /** It is notified when nobody leads. */
  mayLead = false
  /** Branches held. */
  branches = 0
  /** What it would take: while it waits, and after it was notified until it asks. */
  wait: Wait | undefined
  /** Kernel time. */
  notifiedAt = Number.NEGATIVE_INFINITY
  /** Nonce of an acquire call → what it granted. */
  readonly #calls = new Map<string, readonly H[]>()
  #callsBeforePruning = CALLS_REMEMBERED
  #tasks: ReadonlySet<string> | 'all'

  constructor(id: string, info: SessionInfo, ttlMs: number, now: number) {
    this.id = id
    this.info = info
    this.ttlMs = ttlMs
    this.expiresAt = now + ttlMs
    this.#tasks = asSet(info.tasks)
  }

  update(info: SessionInfo, ttlMs: number, now: number): void {
    this.info = info
    this.#tasks = asSet(info.tasks)
    this.renew(ttlMs, now)
  }

  renew(ttlMs: number, now: number): void {
    this.ttlMs = ttlMs
    this.expiresAt = now + ttlMs
  }

  /** Whether it could run what the lane's groups hold. */
  canServe(lane: Demand, capabilities: ReadonlySet<string> | 'all'): boolean {
    return hasAll(capabilities, lane.requires) && this.knows(lane, takesOnlyTasks(capabilities) ? 'all' : lane.asks)
  }

  /** Whether it knows as many of the lane's tasks as that. */
  knows({ tasks }: Pick<Demand, 'tasks'>, asks: AskedTasks): boolean {
    const known = this.#tasks
    return (
      hasAll(known, tasks) || (asks !== 'all' && known !== 'all' && knowsEnough((name) => known.has(name), tasks, asks))
    )
  }

  /** What a call with this nonce granted; undefined when there was none. */
  callWith(nonce: string): readonly H[] | undefined {
    return this.#calls.get(nonce)
  }

  rememberCall(nonce: string, grants: readonly H[]): void {
    this.#calls.set(nonce, grants.length === 0 ? NO_GRANTS : grants)
    if (this.#calls.size <= this.#callsBeforePruning) return
    let spare = this.#calls.size - CALLS_REMEMBERED / 2
    for (const [old, granted] of this.#calls) {
      if (spare-- <= 0) break
      if (granted.every((grant) => grant.held === 0)) this.#calls.delete(old)
    }
    this.#callsBeforePruning = Math.max(CALLS_REMEMBERED, this.#calls.size * 2)
  }

  /** Nothing of the grant is held any more. The call stays known, what it granted need not. */
  forgetGrant(grant: H): void {
    this.grants.delete(grant)
    const granted = this.#calls.get(grant.nonce)
    if (granted !== undefined && granted.every((other) => other.held === 0)) this.#calls.set(grant.nonce, NO_GRANTS)
  }
}

export function asSet(names: readonly string[] | 'all'): ReadonlySet<string> | 'all' {
  return names === 'all' ? 'all' : new Set(names)
}

export function waitOf(request: AcquireRequest, capabilities: ReadonlySet<string> | 'all', granted: number): Wait {
  return {
    queues: request.queues,
    capabilities,
    deeperThan: request.deeperThan ?? 0,
    quick: request.quick ?? [],
    free: request.max - granted,
  }
}

/** Whether branches of this lane are not worth sharing: all their tasks are among these. */
export function isQuick(quick: readonly string[] | undefined, lane: Pick<Demand, 'tasks'>): boolean {
  return quick !== undefined && quick.length > 0 && lane.tasks.every((task) => quick.includes(task))
}

function hasAll(have: ReadonlySet<string> | 'all', wanted: readonly string[]): boolean {
  if (have === 'all') return true
  for (const name of wanted) if (!have.has(name)) return false
  return true
}
