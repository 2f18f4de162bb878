/**
 * A run as the kernel keeps it: its record, saved outputs, channels, and its groups. What its state is called follows from facts kept
 * apart (ended, abandoned, paused, started), so that no two of them can contradict each other.
 */
import type {
  ByHand,
  EndState,
  Holder,
  ListedRun,
  OpenRequest,
  PurgedGroups,
  RunRecord,
  RunState,
  RunTerms,
  WaitRequest,
} from '../backend.js'
import { isLeftBehind, runStateOf } from '../run-state.js'
import type { Channels } from './channels.js'
import type { Due } from './due-queue.js'

/** Something about a run that falls due: its timeout, or the next purge of what it keeps. */
export interface RunDue<G> extends Due {
  readonly run: Run<G>
}

/** A wait that is not answered, and the branch that waits. Due when it is answered without a signal, if ever. */
export interface HeldWait<G> extends Due {
  readonly run: Run<G>
  group: G
  index: number
  readonly request: WaitRequest
  /** By the store's clock. */
  readonly since: number
}

interface Waits<G> {
  /** By place. */
  readonly open: Map<string, HeldWait<G>>
  /** What a signal meets: places that wait at the address, in order; a signal that is kept; or nobody waits there any more. Absent: it is kept. */
  readonly addresses: Map<string, string[] | Uint8Array | 'over'>
  /** Signals that are kept. */
  kept: number
}

export interface RunEnd {
  readonly state: EndState
  readonly value: Uint8Array
  /** By the store's clock. */
  readonly at: number
}

/** A lock on a channel: who has it, and who is the next to get it. */
interface Lock {
  readonly taken:
    | {
        readonly fence: number
        readonly nonce: string
        /** Kernel time. */
        readonly expiresAt: number
        readonly holder: Holder
      }
    | undefined
  readonly next: { readonly nonce: string; readonly until: number } | undefined
}

/** By key; a key that nobody has or waits for is absent. */
export type Locks = Map<string, Lock>

/** `G`: what a group is, which knows its run in turn. */
export class Run<G> {
  readonly id: string
  /** In the order of opening, from 0. */
  readonly number: number
  readonly workflow: string | undefined
  readonly graph: string
  readonly digest: string
  readonly idempotencyKey: string | undefined
  readonly build: string | undefined
  readonly tags: readonly string[]
  readonly terms: RunTerms
  readonly retentionMs: number
  readonly timeoutMs: number | undefined
  /** Of the call that opened it: a repeat of it is known. */
  readonly openNonce: string
  /** Granted to the process that opened it; else to any worker. */
  readonly hasOpener: boolean
  /** Nobody but a process that asks for it by its id drives it when its driver is gone. */
  isLeftBehind: boolean
  /** By the store's clock, as the other times of the record. */
  readonly createdAt: number
  startedAt: number | undefined
  driver: string | undefined
  cancelReason: string | undefined
  end: RunEnd | undefined
  isPaused = false
  pausedAt: number | undefined
  /** Its root branch is parked. */
  isParked = false
  /** Its driver is gone, and no other session may drive it. */
  isAbandoned = false
  /** When its driver was lost, of a run that had an opener, while nobody drives it and any worker may take it over. */
  lostAt: number | undefined
  /** What those were told last that it is called who look at what happens. */
  noted: RunState | undefined
  /** How often it was reopened; and by which calls, the newest first. */
  epoch = 0
  reopenedBy: readonly string[] = []
  /** Signals by what names them, the newest first; of late ones with `-` before it. */
  signals: readonly string[] = []
  /** What people decided, and by which call. */
  byHand: readonly ByHand[] = []

  readonly groups = new Map<string, G>()
  readonly saved = new Map<string, Uint8Array>()
  channels: Channels | undefined
  locks: Locks | undefined
  waits: Waits<G> | undefined
  /** What it occupies, roughly. */
  bytes = 0

  timeout: RunDue<G> | undefined
  readonly purge: RunDue<G> = { run: this, dueAt: 0, place: -1, order: 0 }
  /** What counts of groups that were deleted. */
  purged: PurgedGroups | undefined
  /** Of a run that has ended or was lost by its driver: when its record goes, in kernel time. */
  keptUntil = 0

  constructor(request: OpenRequest, wallNow: number, number: number) {
    this.number = number
    this.id = request.runId
    this.workflow = request.workflow
    this.graph = request.graph
    this.digest = request.digest
    this.idempotencyKey = request.idempotencyKey
    this.build = request.build
    this.tags = request.tags ?? []
    this.terms = request.terms ?? {}
    this.retentionMs = request.retentionMs
    this.timeoutMs = request.timeoutMs === 0 ? undefined : request.timeoutMs
    this.openNonce = request.nonce
    this.hasOpener = request.session !== undefined
    this.isLeftBehind = isLeftBehind(request)
    this.createdAt = wallNow
  }

  /** `wallNow`: by the store's clock, as the times of the record. */
  stateAt(wallNow: number): RunState {
    const { isAbandoned, isPaused, isParked, lostAt } = this
    const isDriven = this.startedAt !== undefined && this.driver !== undefined
    return runStateOf({ end: this.end?.state, isAbandoned, isPaused, isWaiting: isParked, isDriven, lostAt }, wallNow)
  }

  /** As lists have it. */
  listed(wallNow: number): ListedRun {
    const { value: _, byHand: __, reopenedBy: ___, purged: ____, ...listed } = this.record(wallNow)
    return { ...listed, position: String(this.number) }
  }

  record(wallNow: number): RunRecord {
    return {
      runId: this.id,
      workflow: this.workflow,
      graph: this.graph,
      digest: this.digest,
      state: this.stateAt(wallNow),
      createdAt: this.createdAt,
      startedAt: this.startedAt,
      endedAt: this.end?.at,
      timeoutMs: this.timeoutMs,
      driver: this.driver,
      pausedAt: this.isPaused ? this.pausedAt : undefined,
      cancelReason: this.cancelReason,
      retries: this.epoch,
      reopenedBy: this.reopenedBy,
      hasOpener: this.hasOpener,
      byHand: this.byHand,
      build: this.build,
      tags: this.tags,
      terms: this.terms,
      ...(this.purged !== undefined && { purged: this.purged }),
      value: this.end?.value,
    }
  }
}

const CALLS_KNOWN = 32

/** Calls that changed a run, by what names them, the newest first, with one more: a repeat of one is known, while it is one of the last. */
export function withCall(known: readonly string[], call: string): readonly string[] {
  return [call, ...known.slice(0, CALLS_KNOWN - 1)]
}
