/**
 * All that the kernel knows, and its sense of time. Kernel time never goes back: when the clock does, everything planned keeps its
 * distance (docs/redis.md, rule 2). Times in records are the clock's own.
 */
import { STORE_TIMES, type StoreTimes } from '../../options.js'
import type {
  ClusterEvent,
  EndState,
  LoggedEvent,
  NodeStatus,
  Notice,
  RunChange,
  StoredWorkflow,
  Token,
} from '../backend.js'
import { DeadLetters } from './dead-letters.js'
import { EventLog, RunEventLogs } from './kept-events.js'
import { type Due, DueQueue } from './due-queue.js'
import type {
  AffinityHold,
  Group,
  HeldGrant,
  HeldTask,
  HeldWait,
  Lane,
  ParkedBranch,
  Queue,
  Run,
  RunDue,
  Session,
} from './group.js'
import * as readyQueue from './ready-queue.js'

/** What the kernel emits while it acts. A listener must not call the kernel from inside. */
export interface Effects {
  notice(session: string, notice: Notice): void
  /** Something changed in a run; spelt out so that no object is made for a run without a watcher. */
  activity(runId: string, kind: RunChange, gid: string): void
  /** Whether somebody watches the run; absent: nobody. */
  isWatched?(runId: string): boolean
  /** Something happened among the processes of the store; absent: nobody wants to know. */
  clusterEvent?(event: ClusterEvent): void
}

export interface KernelOptions extends Partial<StoreTimes> {
  /** Above this many bytes new work is refused with `backpressure`; undefined: no bound. */
  readonly maxBytes?: number
  /** Ended runs kept at most, and the bytes they may occupy; the oldest go first, before their retention ends. */
  readonly maxRetainedRuns?: number
  readonly maxRetainedBytes?: number
  readonly itemsPerCall?: number
  readonly bytesPerCall?: number
}

export const KERNEL_DEFAULTS = Object.freeze({
  maxBytes: Number.POSITIVE_INFINITY,
  maxRetainedRuns: 1_000,
  maxRetainedBytes: 256 * 2 ** 20,
  ...STORE_TIMES,
  itemsPerCall: 4_096,
  bytesPerCall: 16 * 2 ** 20,
}) satisfies Required<KernelOptions>

export interface StoredGraph extends Due {
  readonly hash: string
  readonly bytes: Uint8Array
}

/** Documents by their names. `nonce` is of the last change. */
export interface Collection {
  revision: number
  nonce: string
  readonly documents: Map<string, Uint8Array>
}

/** A list of runs is not made shorter for the sake of so many. */
const FEW_RUNS = 1_024

export class KernelState {
  readonly options: Required<KernelOptions>
  readonly effects: Effects

  /** Kernel time of the operation under way, in milliseconds; never goes back. */
  now = 0
  /** The same moment as people see it. */
  wallNow = 0
  /** How far the time that people see is before the clock that operations go by. */
  wallAhead = 0
  #ahead = 0
  #lastFence = 0
  #sequence = 0

  readonly runs = new Map<string, Run>()
  readonly runsByKey = new Map<string, Run>()
  /** In the order of opening; some of them may be gone (`runs` says which are there). */
  runList: Run[] = []
  #runNumber = 0
  readonly workflows = new Map<string, StoredWorkflow>()
  readonly collections = new Map<string, Collection>()
  readonly groups = new Map<string, Group>()
  readonly queues = new Map<string, Queue>()
  readonly sessions = new Map<string, Session>()
  /** Those of which less than all tasks are asked, longest first. */
  readonly wideLanes = new Set<Lane>()
  /** How many sessions have this base id. */
  readonly bases = new Map<string, number>()
  /** Sessions that found too little work, longest first. */
  readonly waiting = new Set<Session>()
  /** Sessions that were notified and have not asked since. */
  readonly coming = new Set<Session>()
  /** Sessions that are gone and whose branches are not all reclaimed yet. */
  readonly lost = new Set<Session>()
  readonly graphs = new Map<string, StoredGraph>()
  /** How many runs that are kept have this graph. */
  readonly graphRuns = new Map<string, number>()
  readonly deadLetters = new DeadLetters()
  /** What happened, while somebody wants to know; and what was seen of single runs by those who watch them. */
  readonly events = new EventLog<LoggedEvent>()
  readonly runEvents = new RunEventLogs()
  /** Runs that have ended, counted by state and workflow. */
  readonly ended = new Map<string, { readonly workflow: string; readonly state: EndState; count: number }>()

  readonly deadlines = new DueQueue<HeldGrant>()
  readonly taskDeadlines = new DueQueue<HeldTask>()
  readonly affinityHolds = new DueQueue<AffinityHold>()
  readonly wakes = new DueQueue<HeldWait | ParkedBranch>()
  readonly runTimeouts = new DueQueue<RunDue>()
  /** Of a run that has ended: first its payloads, then its record. */
  readonly purges = new DueQueue<RunDue>()
  readonly graphPurges = new DueQueue<StoredGraph>()

  /** Ended runs, oldest first; and those whose payloads are still there. */
  readonly retained = new Set<Run>()
  readonly withPayloads = new Set<Run>()
  retainedBytes = 0
  bytes = 0

  /** Workers by base id. */
  readonly nodes = new Map<string, NodeStatus>()
  /** Who leads, or did: `session` is empty where the lead was given back. `leaderId` is of the last one. */
  lead = { term: 0, session: '', leaderId: '', until: Number.NEGATIVE_INFINITY }

  lastSweepAt = Number.NEGATIVE_INFINITY
  /** When the next sweep was announced for; later than that by much means that the store stood still. */
  sweepDueAt = Number.POSITIVE_INFINITY
  graceUntil = Number.NEGATIVE_INFINITY
  /** The last sweep left something for the next. */
  hasBacklog = false

  constructor(options: KernelOptions, effects: Effects) {
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
    const all = { ...KERNEL_DEFAULTS, ...given }
    // What is over may fill half of a bounded store at most: the rest is for what runs.
    this.options = { ...all, maxRetainedBytes: Math.min(all.maxRetainedBytes, all.maxBytes / 2) }
    this.effects = effects
  }

  /** An operation begins at this time by the clock. */
  tick(clockNow: number): void {
    this.wallNow = clockNow + this.wallAhead
    if (clockNow + this.#ahead < this.now) this.#ahead = this.now - clockNow
    this.now = clockNow + this.#ahead
  }

  /** A moment of kernel time as people see it. */
  wall(kernelTime: number): number {
    return kernelTime - this.#ahead + this.wallAhead
  }

  /** The next fence: growing, and never one given out before, even when the clock goes back. */
  nextFence(): number {
    this.#lastFence = Math.max(this.#lastFence + 1, this.wallNow * 1_000)
    return this.#lastFence
  }

  nextSequence(): number {
    return this.#sequence++
  }

  nextRunNumber(): number {
    return this.#runNumber++
  }

  addRun(run: Run): void {
    this.runs.set(run.id, run)
    this.runList.push(run)
    if (this.runList.length <= this.runs.size * 2 + FEW_RUNS) return
    this.runList = this.runList.filter((known) => this.runs.get(known.id) === known)
  }

  queue(name: string): Queue {
    let queue = this.queues.get(name)
    if (queue === undefined) {
      queue = new readyQueue.Queue<Group>(name)
      this.queues.set(name, queue)
    }
    return queue
  }

  /** Counts bytes that a run occupies (or, below 0, no longer does). */
  addBytes(run: Run, bytes: number): void {
    run.bytes += bytes
    this.bytes += bytes
    if (this.retained.has(run)) this.retainedBytes += bytes
  }

  /** Whether this much more would be too much. */
  isFull(more: number): boolean {
    return this.bytes + more > this.options.maxBytes
  }
}

export function tokenOf(fence: number, nonce: string): Token {
  return `${fence}.${nonce}`
}
