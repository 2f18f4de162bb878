/**
 * One group as the kernel keeps it: its branch table, inputs, grants, requeued list, outcomes and counters. Hides how inputs and
 * grants are found by index and by token. It changes nothing outside itself: its callers change queue counters, sessions and
 * notices with it.
 */
import type { GroupSpec, GroupState, OutcomeChunk, StepRequest, TaskCounts, Token } from '../backend.js'
import {
  byteLength,
  concat,
  EMPTY_BYTES,
  EMPTY_PACKED,
  item,
  pack,
  slice,
  type PackedItems,
} from '../../values/packed-items.js'
import { type BranchState, BranchTable, type WithdrawnBranches } from './branch-table.js'
import type { Children } from './children.js'
import type { Due } from './due-queue.js'
import type * as readyQueue from './ready-queue.js'
import type * as run from './run.js'
import type * as sessions from './sessions.js'

// Groups, runs, lanes, sessions and grants know each other. The others' files name a group, or a grant, as a parameter; here it is filled in.
export type Lane = readyQueue.Lane<Group>
export type Queue = readyQueue.Queue<Group>
export type DelayedBranch = readyQueue.DelayedBranch<Group>
export type Run = run.Run<Group>
export type RunDue = run.RunDue<Group>
export type HeldWait = run.HeldWait<Group>
export type Session = sessions.Session<HeldGrant>

/** Branches of one group under one token. Due at its deadline, where the group has a timeout. */
export interface HeldGrant extends Due {
  /** From 1; what the branch table holds. */
  readonly number: number
  readonly token: Token
  readonly fence: number
  readonly nonce: string
  readonly group: Group
  readonly session: Session
  /** What was granted; empty when nothing of it is held any more. */
  indexes: Uint32Array
  /** Branches still held under it. */
  held: number
  /** Branches whose table entry names it, held or settled. */
  references: number
}

/** The task that a branch has in hand (tasks-in-hand.ts). Due at the deadline of its start, where it has one. */
export interface HeldTask extends Due {
  readonly group: Group
  readonly index: number
  /** Undefined between two tasks. */
  task: Exclude<StepRequest['task'], 'none' | undefined> | undefined
  errors: number
  losses: number
  /** Losses of the branch that were counted for its tasks, this one and those before. */
  counted: number
  /** What was counted for other tasks of the branch, by path, oldest first. */
  readonly others: Map<string, SetAside>
}

/** What is remembered of a task that is not in hand now. */
export interface SetAside extends Pick<TaskCounts, 'errors' | 'losses'> {
  /** When the delay before its next start is over. */
  readonly startsAt: number
}

/** A parked branch that is ready at the latest when it is due. */
export interface ParkedBranch extends Due {
  readonly group: Group
  readonly index: number
}

/** The time in which only the preferred worker may take from the group; due at its end. */
export interface AffinityHold extends Due {
  readonly group: Group
}

/** What the store keeps per branch and per group beside the user's bytes, roughly. */
const BRANCH_BYTES = 8
const GROUP_BYTES = 512

const NO_INDEXES = new Uint32Array(0)
const NO_TABLE = new BranchTable(0)
/** Most groups have few grants: up to so many a token is looked for one by one. */
const FEW_GRANTS = 8

export class Group {
  spec: GroupSpec
  readonly run: Run
  lane: Lane
  /** Of a root: names of the code that the rest of the run needs, where its driver said so. */
  need: readonly string[] | undefined
  /** Whose branch opened it; undefined for a root group. */
  readonly parent: Group | undefined
  readonly parentIndex: number
  /** Dispatch order. */
  readonly sequence: number
  openedAt: number
  /** Of its run, when it was opened, or opened again. */
  epoch: number
  /** It was opened again: branches may have outcomes before there are inputs. */
  isReopened = false

  state: GroupState = 'open'
  closedAt: number | undefined
  isRetired = false
  /** Its run has ended with its barrier. */
  hasEndedRun = false

  table: BranchTable
  /** Branches below this were granted at least once. */
  next = 0
  /** Input items stored. */
  fill = 0
  /** Branches without a final outcome. */
  left: number
  failed = 0
  /** The four below are 0 once the group is closed. */
  ready = 0
  inFlight = 0
  delayed = 0
  /** Branches that are parked: in the table they are delayed, and not counted there. */
  parked = 0
  /** A root that no worker may take: the session which opened the run drives it, or it was left behind. It counts in no queue. */
  isOpeners = false
  /** Since when it has had ready branches. */
  readySince = 0
  /** Whether it stands in its lane. */
  isQueued = false

  chunks: OutcomeChunk[] = []
  /** Open groups below. */
  children: Children<Group> | undefined
  delays: Map<number, DelayedBranch> | undefined
  parks: Map<number, ParkedBranch> | undefined
  affinityHold: AffinityHold | undefined
  /** The last start that is to be repeated after a delay. */
  retried: { readonly at: number; readonly error: Uint8Array } | undefined
  /** Tasks in hand, by branch, as far as holders reported them. */
  tasks: Map<number, HeldTask> | undefined
  /** Branches that have opened a group or saved outputs inside them. */
  stepped: Set<number> | undefined
  /** Bytes that go when it is retired, and those that stay. */
  workBytes: number
  outcomeBytes = 0

  /** Indexes reclaimed, first in first out; a hint, the table decides. Served before `next`. */
  requeued: number[] = []
  #requeuedHead = 0
  #inputs: PackedItems[] = []
  /** Index of the first item of each list of inputs after the first. */
  #starts: number[] | undefined
  #grants: (HeldGrant | undefined)[] = []
  #byToken: Map<Token, HeldGrant> | undefined
  #summary: { counts: Record<BranchState, number>; withdrawn: WithdrawnBranches } | undefined

  constructor(
    spec: GroupSpec,
    run: Run,
    lane: Lane,
    parent: { group: Group; index: number } | undefined,
    sequence: number,
    now: number,
  ) {
    this.spec = spec
    this.run = run
    this.lane = lane
    this.parent = parent?.group
    this.parentIndex = parent?.index ?? 0
    this.sequence = sequence
    this.openedAt = now
    this.epoch = run.epoch
    this.table = new BranchTable(spec.size)
    this.left = spec.size
    this.workBytes = GROUP_BYTES + BRANCH_BYTES * spec.size
  }

  get isRoot(): boolean {
    return this.parent === undefined
  }

  /** Branches whose input is stored. */
  get filled(): number {
    return this.spec.shared ? (this.fill === 0 ? 0 : this.spec.size) : this.fill
  }

  // ---------------------------------------------------------------------------------------------------------------- inputs

  addInputs(inputs: PackedItems): void {
    if (this.#inputs.length > 0) {
      this.#starts ??= [0]
      this.#starts.push(this.fill)
    }
    this.#inputs.push(inputs)
    this.fill += inputs.ends.length
  }

  /** Inputs of branches `from` (with) to `to` (without); the one input when they share it. */
  inputRange(from: number, to: number): PackedItems {
    const first = this.#inputs[0] ?? EMPTY_PACKED
    if (this.spec.shared || this.#inputs.length <= 1) return this.spec.shared ? first : slice(first, from, to)
    const parts: PackedItems[] = []
    for (let list = this.#listOf(from); from < to; list++) {
      const start = this.#starts?.[list] ?? 0
      const inputs = this.#inputs[list] ?? EMPTY_PACKED
      const end = Math.min(to, start + inputs.ends.length)
      parts.push(slice(inputs, from - start, end - start))
      from = end
    }
    return concat(parts)
  }

  /** Inputs of these branches in this order; the one input when they share it. */
  inputsOf(indexes: ArrayLike<number>): PackedItems {
    if (this.spec.shared) return this.#inputs[0] ?? EMPTY_PACKED
    return pack(Array.from(indexes, (index) => this.input(index)))
  }

  /** One branch's input; empty when it is not stored (any more). */
  input(index: number): Uint8Array {
    if (this.spec.shared) index = 0
    const list = this.#listOf(index)
    const inputs = this.#inputs[list]
    if (inputs === undefined || index >= this.fill) return EMPTY_BYTES
    return item(inputs, index - (this.#starts?.[list] ?? 0))
  }

  /** Bytes of the inputs of branches `from` (with) to `to` (without). */
  inputBytes(from: number, to: number): number {
    if (this.spec.shared) return byteLength(this.#inputs[0] ?? EMPTY_PACKED)
    let bytes = 0
    for (let list = this.#listOf(from); from < to && list < this.#inputs.length; list++) {
      const start = this.#starts?.[list] ?? 0
      const inputs = this.#inputs[list] ?? EMPTY_PACKED
      const end = Math.min(to, start + inputs.ends.length)
      bytes += byteLength(inputs, from - start, end - start)
      from = end
    }
    return bytes
  }

  /** Which list of inputs has the item: the last that starts at or before it. */
  #listOf(index: number): number {
    if (this.#starts === undefined) return 0
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#starts[middle] ?? 0) <= index) low = middle
      else high = middle - 1
    }
    return low
  }

  // ---------------------------------------------------------------------------------------------------------------- grants

  /** Makes the next grant; its branches are written into the table by the caller. */
  addGrant(facts: Pick<HeldGrant, 'token' | 'fence' | 'nonce' | 'session'>): HeldGrant {
    const grant: HeldGrant = {
      number: this.#grants.length + 1,
      token: facts.token,
      fence: facts.fence,
      nonce: facts.nonce,
      group: this,
      session: facts.session,
      indexes: NO_INDEXES,
      held: 0,
      references: 0,
      dueAt: 0,
      place: -1,
      order: 0,
    }
    this.#grants.push(grant)
    if (this.#byToken !== undefined) this.#byToken.set(grant.token, grant)
    else if (this.#grants.length > FEW_GRANTS) this.#indexGrants()
    return grant
  }

  grantByToken(token: Token): HeldGrant | undefined {
    if (this.#byToken !== undefined) return this.#byToken.get(token)
    for (const grant of this.#grants) if (grant !== undefined && grant.token === token) return grant
    return undefined
  }

  #indexGrants(): void {
    this.#byToken = new Map()
    for (const grant of this.#grants) if (grant !== undefined) this.#byToken.set(grant.token, grant)
  }

  /** The grant that holds the branch now. */
  grantHolding(index: number): HeldGrant | undefined {
    if (this.table.state(index) !== 'granted') return undefined
    return this.#grants[this.table.grantNumber(index) - 1]
  }

  /** Grants with branches still held. */
  heldGrants(): HeldGrant[] {
    return this.#grants.filter((grant): grant is HeldGrant => grant !== undefined && grant.held > 0)
  }

  /** A table entry stopped naming this grant; one that nothing names is forgotten, so its token is not current for anything. */
  dereference(number: number): void {
    const grant = this.#grants[number - 1]
    if (grant === undefined) return
    grant.references -= 1
    if (grant.references > 0) return
    this.#grants[number - 1] = undefined
    this.#byToken?.delete(grant.token)
  }

  // -------------------------------------------------------------------------------------------------------- requeued list

  requeue(index: number): void {
    this.requeued.push(index)
  }

  /** The next index on the list that the table knows to be ready, without taking it. */
  peekRequeued(): number | undefined {
    for (; this.#requeuedHead < this.requeued.length; this.#requeuedHead++) {
      const index = this.requeued[this.#requeuedHead]
      if (index !== undefined && index < this.next && this.table.isReady(index)) return index
    }
    if (this.#requeuedHead > 0) {
      this.requeued = []
      this.#requeuedHead = 0
    }
    return undefined
  }

  /** Takes what `peekRequeued` showed. */
  shiftRequeued(): void {
    this.#requeuedHead += 1
  }

  // --------------------------------------------------------------------------------------------------------------- the end

  /** Branches by state. */
  counts(): Record<BranchState, number> {
    return this.#summary?.counts ?? this.table.counts()
  }

  /** Of a closed group: the branches that were not final. */
  withdrawn(): WithdrawnBranches {
    if (this.#summary !== undefined) return this.#summary.withdrawn
    return this.left === 0 ? { indexes: NO_INDEXES, kinds: [] } : this.table.withdrawn()
  }

  /** Opens it anew, with these outcomes and no others, and the inputs that it has where it `keepsInputs`. */
  restart(kept: OutcomeChunk | undefined, now: number, keepsInputs: boolean): void {
    const { spec, run } = this
    this.state = 'open'
    this.closedAt = undefined
    this.isRetired = false
    this.hasEndedRun = false
    this.isReopened = true
    this.openedAt = now
    this.epoch = run.epoch
    this.table = new BranchTable(spec.size)
    for (const index of kept?.indexes ?? []) this.table.finish(index, 'succeeded')
    this.stepped = new Set(Array.from({ length: spec.size }, (_, index) => index))
    this.next = 0
    this.left = spec.size - (kept?.indexes.length ?? 0)
    this.failed = 0
    this.parked = 0
    this.chunks = kept === undefined ? [] : [kept]
    this.outcomeBytes = kept === undefined ? 0 : byteLength(kept.values) + kept.indexes.length * 8
    this.requeued = []
    this.#requeuedHead = 0
    this.#grants = []
    this.#byToken = undefined
    this.#summary = undefined
    if (keepsInputs) return
    this.fill = 0
    this.#inputs = []
    this.#starts = undefined
    this.workBytes = GROUP_BYTES + BRANCH_BYTES * spec.size
  }

  /** Deletes everything but the outcomes. */
  retire(): void {
    this.#summary = { counts: this.counts(), withdrawn: this.withdrawn() }
    this.isRetired = true
    this.table = NO_TABLE
    this.requeued.length = 0
    this.#requeuedHead = 0
    this.#inputs.length = 0
    this.#starts = undefined
    this.#grants.length = 0
    this.#byToken = undefined
    this.children = undefined
    this.tasks = undefined
    this.stepped = undefined
    this.workBytes = 0
  }
}
