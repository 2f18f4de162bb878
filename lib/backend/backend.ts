/**
 * The store as the rest of the code sees it: few, deep, atomic operations. The kernel (in this process) and Redis implement this interface, and one
 * contract suite (test/contract) tests both. docs/internals.md follows one branch through it. The file is long because it is one contract, read
 * from top to bottom: types and their docstrings, no code.
 *
 * Rules of every operation:
 * - It happens as a whole or not at all, and repeating it after a lost reply answers the same or says that it was done.
 * - A result that the caller must handle comes back as a word (`status`). A broken contract or a lost store throws a GraflowError.
 * - User bytes are opaque. The store has its own time. Random nonces come from the caller, so that the store recognises a repeated call.
 *
 * Words: docs/glossary.md. A branch is named by the id of its group (`gid`) and its index in it. A run is the one branch
 * (index 0) of its root group, whose gid is the run's id; any other gid is `<run>/<path of the group's node in this run>`.
 */

import type { PackedItems } from '../values/packed-items.js'

/** Proof of a grant, `<fence>.<nonce>`: only the holder of a branch's current token can settle it. */
export type Token = string

/** Who acts, and what proves it: the branch that a process holds. */
export interface Holder {
  readonly gid: string
  readonly index: number
  readonly token: Token
}

/**
 * When a group releases: `all` final, or before that at the `first-failure` (its branch is finally failed or dead) or at the
 * `first-success`. Branches not final by then are withdrawn.
 */
export type ReleaseRule = 'all' | 'first-failure' | 'first-success'

/** What the start of a run asked for all of its work, for those that drive it or dispatch inside it. Nothing to the store. */
export interface RunTerms {
  /** Where groups wait whose tasks name no queue. */
  readonly queue?: string
  /** Of groups whose tasks name none, and of the run among those that wait for a driver. */
  readonly priority?: number
  /** What every write by which the run goes on waits for. */
  readonly durability?: Durability
}
/** Where a write is before it counts: on the disk of the store, or on a replica, too. */
export type Durability = 'fsync' | 'replica'

/** What is dispatched: stored once a group, repeated in every grant. Plain data. */
export interface GroupSpec {
  readonly gid: string
  readonly runId: string
  /** Hash of the graph in which `node` is a path. */
  readonly graph: string
  /** Static path of the group's node; empty for a root group. */
  readonly node: string
  /** Names what this group is. Opening the same gid with another digest is `conflict`. */
  readonly digest: string
  /** How many branches; at least 1. */
  readonly size: number
  /** True: the inputs are one item that every branch gets. */
  readonly shared: boolean
  readonly rule: ReleaseRule
  readonly queue: string
  /** Capabilities a worker must have; sorted. */
  readonly requires: readonly string[]
  /** Tasks a worker must know. */
  readonly tasks: readonly string[]
  /** Each of its branches is one task, which runs where it is granted. Absent: some are more, or less. */
  readonly isOneTask?: boolean | undefined
  /**
   * Nothing follows it in its run, whose result is the list of its values: the run ends with its barrier where all of few branches succeed at once, with
   * small values, and the run has no deadline, is not paused and was not retried. Else its driver ends it.
   */
  readonly endsRun?: boolean | undefined
  /** It only forwards a branch of the group above it, where that is counted already. */
  readonly isForwarded?: boolean | undefined
  /** Preferred session's base id; exclusive for 2 s while it lives. */
  readonly affinity?: string
  /** -100 to 100, higher first. */
  readonly priority: number
  /** Groups above this one; deeper first. */
  readonly depth: number
  /** Branches in flight at once; 0: no limit. */
  readonly limit: number
  /** Starts that may end in an error before the branch has failed; 0: the worker says so itself (branches of several tasks). */
  readonly attempts: number
  /** Grants that may be lost before the branch is dead: it dies with loss number maxLosses + 1. */
  readonly maxLosses: number
  /**
   * One start may take this long, then a sweep reclaims it 1 s later as an error (`failed` with an empty value, or ready again at
   * once); 0: no limit. A start whose holder takes a step has no limit from then on: its
   * worker is there, and knows when the start is late.
   */
  readonly timeoutMs: number
  /** The span of the group, or of who submitted the run: W3C Trace Context. Nothing to the store. */
  readonly trace?: string
  /** The item of the each that the group's graph stands in, where a handler brought it. Nothing to the store. */
  readonly item?: number
  /** Of the run, passed on to whatever is dispatched inside it; absent: nothing was asked. */
  readonly run?: RunTerms
}

/** How many of a lane's tasks a worker must know to take from it: all, or of a wide lane some, or none (asked-tasks.ts has the rule). */
export type AskedTasks = 'all' | 'some' | 'none'

// ---------------------------------------------------------------------------------------------------------------------- runs

export type RunState = 'pending' | 'running' | 'paused' | 'waiting' | 'completed' | 'failed' | 'cancelled' | 'abandoned'
/** States that never change again. */
export type EndState = 'completed' | 'failed' | 'cancelled'

/** Opens a run: its record, and its root group of one branch, granted to `session` or put on the queue `runs`. */
export interface OpenRequest {
  readonly runId: string
  readonly workflow?: string
  readonly graph: string
  /** Names flow and input: opening the same run or key again with the same digest is `exists`, with another `conflict`. */
  readonly digest: string
  readonly idempotencyKey?: string
  readonly input: Uint8Array
  /** Who drives it. Absent: any worker that knows `tasks`. */
  readonly session?: string
  /**
   * What becomes of it when its driver is gone: any worker that knows the rest of it takes it over, or it is left behind until a process takes
   * it by its id. Absent: left behind where it has a `session`, else taken over.
   */
  readonly ifLost?: 'take-over' | 'abandon'
  readonly nonce: string
  /** Tasks that the driver runs itself. */
  readonly tasks: readonly string[]
  /** The worker that is to drive it, by its base id: it alone may for 2 s, as long as it lives. Where it has a `session`: of no use. */
  readonly affinity?: string
  /** Names of the code that a worker must know to take it over, sorted; absent: `tasks`. */
  readonly rest?: readonly string[]
  /** Capabilities that a worker must have to drive it, sorted; absent: none. */
  readonly requires?: readonly string[]
  /** The build that it is pinned to, which counts it until it ends; `requires` says what follows from that. Absent: none. */
  readonly build?: string
  /** Among the runs that wait for a driver: -100 to 100, higher first; absent: 0. */
  readonly priority?: number
  readonly maxLosses: number
  /** From now; 0: no limit. Past it a sweep ends the run as failed with an empty value, as it does when its drivers were lost too often. */
  readonly timeoutMs: number
  /** How long record and results are kept after the end. */
  readonly retentionMs: number
  /** The span of who submits it, for its driver. */
  readonly trace?: string
  /** Words that people find it by, each once. */
  readonly tags?: readonly string[]
  readonly terms?: RunTerms
  /** The first group of a run that is granted to `session`, with all inputs of its first part: as a step by its driver, in the same call. */
  readonly first?: FirstGroup
}
export interface FirstGroup {
  readonly spec: GroupSpec
  readonly inputs: PackedItems
}
export type OpenAnswer =
  /**
   * `first`: what became of the first group. Absent where none was given, and where the run was there before (a repeated call): then the
   * group may be there or not, and a step says.
   */
  | { readonly status: 'ok'; readonly token: Token | undefined; readonly first?: StepAnswer }
  | { readonly status: 'exists'; readonly runId: string }
  | { readonly status: 'conflict'; readonly runId: string }
  | { readonly status: 'nosession' }
  | { readonly status: 'backpressure' }

/** Values by path, in the order of `paths`. A path keeps its first value, unless it is written with a `!` before it. */
export interface SavedValues {
  readonly paths: readonly string[]
  readonly values: PackedItems
}

/** What was counted for one task of a branch: starts that ended in an error, and grants that were lost while it ran. */
export interface TaskCounts {
  readonly errors: number
  readonly losses: number
  /** What is left of the delay before its next start, if something is. */
  readonly waitMs?: number
}

/**
 * The task that a branch has in hand, where its terms are not those of its group: what counts from this step on, until the branch has another.
 * The store remembers what was counted for each task by its path, however often the branch is granted anew.
 */
export interface TaskInHand extends Pick<TaskCounts, 'errors' | 'losses'> {
  /** In the run. */
  readonly path: string
  /** As far as the holder knows; where the store knows of more, those count. */
  readonly errors: number
  /** Losses of the branch that were counted for no task, and were of this one. Only the first report of a task of a branch may have any. */
  readonly losses: number
  /** As in a `GroupSpec`, and at least 1. */
  readonly attempts: number
  readonly maxLosses: number
  /** From this step on, to the next one; 0: no limit. */
  readonly timeoutMs: number
  /** It has failed, and is started again after so long. Until it is reported again the branch has no task in hand. */
  readonly delayMs?: number
  /** What the branch ends with where no worker can say it: error records. */
  readonly ifLost: Uint8Array
  readonly ifLate: Uint8Array
}

/**
 * A branch waits for a signal, for its time, or for whichever comes first. What it gets is saved at `<place>/!`, once: a byte that says how it was
 * answered (`WAIT_ANSWERED_BY`), and the payload or `onDue`. A wait that is registered again, after a loss, goes on as it was: its time too.
 */
export interface WaitRequest {
  /** In the run; not empty. A run has at most one wait at a place. */
  readonly place: string
  /** What a signal names: `<name>`, or `<name>#<index>` inside an each. Absent: no signal answers it. */
  readonly address?: string
  /** When it is answered with `onDue`: from now, or by the store's clock in milliseconds since the epoch. Neither: never. */
  readonly dueMs?: number
  readonly dueAt?: number
  readonly onDue: Uint8Array
  /** It may be waited for again at this address: a signal after the answer is kept for the next wait, where else it is late. */
  readonly isRepeated: boolean
  /** What people are told about it. Opaque to the store. */
  readonly about?: Uint8Array
}
/** The first byte of what is saved for a wait. */
export const WAIT_ANSWERED_BY = { signal: 's'.charCodeAt(0), due: 'd'.charCodeAt(0) } as const
export type WaitAnswer =
  /** As it is saved, with its first byte. */
  | { readonly status: 'answered'; readonly value: Uint8Array }
  /** `leftMs`: until it is due, where it has a time. */
  | { readonly status: 'open'; readonly leftMs?: number }

/** Under the holder's token, in one write: save, open or fill a group, retire groups, end the run. */
export interface StepRequest {
  readonly holder: Holder
  readonly runId: string
  /** Outputs of finished nodes. Each path is written once: a later value for it is ignored. */
  readonly save?: SavedValues
  /**
   * The group to open, and its inputs from item `from` on (a big group is filled by several steps, in order). Nothing of it is
   * granted before item `from + k` is stored for all it needs; `left` counts from `size` at once.
   */
  readonly group?: {
    readonly spec: GroupSpec
    readonly from: number
    readonly inputs: PackedItems
    /**
     * A group that was closed before the run was reopened is opened again: branches that succeeded keep their outcomes, the others start anew.
     * All inputs are to be sent again.
     */
    readonly isReopened?: boolean
    /**
     * Branches that are not to start: each fails with its error in the operation that brings inputs of the group, its own or earlier ones, and no
     * worker is offered it. A branch with an outcome keeps it. Not with the first group of an opening.
     */
    readonly refused?: Refusals
  }
  /**
   * The task that is started now; `none`: the one before is over. Either ends the deadline of the start before, the group's and that of the task
   * in hand. A branch with `none` whose own group is open only waits: it is not counted when its holder is lost.
   */
  readonly task?: TaskInHand | 'none'
  /**
   * A wait of a handler, which goes on holding its branch: registered after what is saved. Once it is answered the holder's session gets a
   * `released` notice with the gid `<run>/<place>`, and the same step answers it.
   */
  readonly wait?: WaitRequest
  /** By the holder of a root branch: names of the code that the run needs from here on, sorted. It is what another driver must know, if this one is lost. */
  readonly rest?: readonly string[]
  /** Groups whose outcomes the holder has read: everything of them but their outcomes goes. */
  readonly retire?: readonly string[]
  /** Ends the run; the holder must hold its root branch. `value` is the result, or the error's record. */
  readonly end?: { readonly state: EndState; readonly value: Uint8Array }
}
/** Branches that fail without a start, at most 250 in a step unless the group shares its input; indexes and errors run in parallel. */
export interface Refusals {
  readonly indexes: readonly number[]
  readonly values: PackedItems
}
export type StepAnswer =
  /**
   * `fill`: how many inputs the group has now; all of them when it is `size` (or 1 when shared). `counts`: of the task in hand, where the step
   * reports one. `isIdle`: all branches left of the group are parked.
   */
  | {
      readonly status: 'ok'
      readonly fill: number
      readonly counts?: TaskCounts
      readonly isIdle?: boolean
      readonly wait?: WaitAnswer
    }
  /**
   * The group exists and is released or withdrawn (the rest of the step is done); or the run had ended with just this value. `isOld`: the group was
   * closed before the run was reopened, and may be opened again.
   */
  | { readonly status: 'done'; readonly isOld?: boolean }
  /** Another group (digest) stands at this gid. */
  | { readonly status: 'conflict' }
  | { readonly status: 'nograph' }
  /** Another session holds the branch now, or the run is over. */
  | { readonly status: 'fenced' }
  | { readonly status: 'backpressure' }

// -------------------------------------------------------------------------------------------------------------------- branches

/** Takes up to `max` branches for a session, in order of priority, then depth (deeper first), then dispatch. */
export interface AcquireRequest {
  readonly session: string
  /** New for every new call; the same when a call is repeated: it then answers the same grants. */
  readonly nonce: string
  readonly max: number
  /**
   * Of those, how many can be started at once; absent: all. Some branches are granted only among these. Submitted runs: each may take long, so
   * none is to wait behind others here. Branches with a timeout, which counts from the grant, unless it is ample and the task is quick.
   * Branches that no loss is allowed for, or that were lost before: one that ends its process must not cost others a loss that only waited there.
   */
  readonly startable?: number
  /** Tasks that take so little time that a few branches of them are not shared out among the sessions that wait. */
  readonly quick?: readonly string[]
  /**
   * While the session waits and has nothing in hand, the store may push quick tasks that it did not ask for (`granted`). What is neither settled
   * nor confirmed within two seconds is reclaimed, unspent. A store need not do so.
   */
  readonly acceptsPush?: boolean
  /** `all`: whatever queue has work (embedded). */
  readonly queues: readonly string[] | 'all'
  readonly capabilities: readonly string[] | 'all'
  /** Only groups with more groups above them than this; 0 for any. */
  readonly deeperThan?: number
}
/** Branches of one group under one token. The arrays run in parallel. */
export interface Grant {
  readonly spec: GroupSpec
  readonly token: Token
  /** The growing number inside the token. */
  readonly fence: number
  readonly indexes: Uint32Array
  /** Starts so far that ended in an error, and grants lost: attempt = 1 + errors + losses. */
  readonly errors: Uint8Array
  readonly losses: Uint8Array
  /** Branches whose tasks an earlier holder reported: the step that reports a task answers what was counted for it. Absent: none. */
  readonly withTasks?: readonly number[]
  /**
   * An earlier holder of some of its branches may have begun something inside them: opened a group, saved an output; or it is the root of a run that
   * was driven before. Absent: none has; they may have been granted before, and released.
   */
  readonly isAgain?: boolean
  /** One item a branch, or one in all when the group's inputs are shared. */
  readonly inputs: PackedItems
  /** Whether a process watches the run; absent where the store is this process, which knows it. */
  readonly isWatched?: boolean
  /** How long the group had ready branches before this grant, by the store's clock; absent where the grant was made before. */
  readonly waitedMs?: number
}
export type AcquireAnswer =
  | {
      readonly status: 'ok'
      readonly grants: readonly Grant[]
      /** Whether there may be work left that this session could take now: then it is worth asking again at once. */
      readonly isMore: boolean
      /** When the next delayed branch of these queues is due, from now. */
      readonly nextDueMs: number | undefined
    }
  | { readonly status: 'nosession' }

/** Takes a run that nobody drives, also one that is left behind: its root branch, for a session that need not serve the queue `runs`. */
export interface TakeRequest {
  readonly session: string
  /** As in acquire: a repeat of the call answers the same grant. */
  readonly nonce: string
  readonly runId: string
}
/** `held`: this session drives it. `paused`: nothing of it may be granted now. `waiting`: its root is parked. */
export type TakeAnswer =
  | { readonly status: 'ok'; readonly grant: Grant }
  | { readonly status: 'held'; readonly session: string }
  | { readonly status: 'paused' | 'waiting' | 'over' | 'gone' | 'nosession' }

/**
 * What a person decides a branch, or a step inside one, ends with. No holder's token counts for it any more: a result that comes later is refused.
 */
export interface Decision {
  /** A repeat of the call is known by it. */
  readonly nonce: string
  /** For those who look at the run later. */
  readonly path: string
  readonly as: DecidedAs
  /** The branch that ends so, or that comes to the step. */
  readonly gid: string
  readonly index: number
  /** The path for which `value` is saved, unless that or `path` has an output; the holder of the branch is found anew. Absent: the branch ends. */
  readonly mark?: string
  readonly value: Uint8Array
  /** Saved outputs to be forgotten where the branch had failed, and starts again. */
  readonly forget?: readonly string[]
}
export type DecidedAs = 'succeeded' | 'failed' | 'skipped'
/** `late`: it has succeeded, or was decided, before, or its group is closed. `gone`: there is no such branch, or nobody has come to the step. */
export type DecideAnswer = 'ok' | 'late' | 'over' | 'gone'
/** What was decided by hand. */
export interface ByHand {
  readonly path: string
  readonly as: DecidedAs
  readonly at: number
  /** The call. */
  readonly nonce: string
}

/** Opens a run that has ended again: somebody drives it behind what is saved. All tokens from before are worthless. */
export interface ReopenRequest {
  readonly runId: string
  /** A repeat of the call is known by it. */
  readonly nonce: string
  /** Names of the code that a worker must know to drive it from here; absent: what it needed when it ended. */
  readonly need?: readonly string[]
  /** Saved outputs to be forgotten. */
  readonly forget?: readonly string[]
  /** Groups to be deleted, with all that they have; what is below them is named, too. */
  readonly drop?: readonly string[]
  /**
   * Groups to be opened again with all outcomes of succeeded branches but these, and with all groups above them; outer ones first. Their inputs come
   * with the next step.
   */
  readonly redo?: readonly { readonly gid: string; readonly indexes: readonly number[] }[]
  /** What a person decides about it, in the same moment. */
  readonly decision?: Omit<Decision, 'forget'>
  /** More of what is to be forgotten and dropped follows in another call: the run stays as it is. */
  readonly isPartial?: boolean
}
/**
 * `running`: it has not ended, or goes on again by another call. `closing`: what is below it is still being closed, so ask again. `not-kept`: what
 * it would need is not kept any more.
 */
export type ReopenAnswer = 'ok' | 'running' | 'closing' | 'not-kept' | 'gone'

/**
 * What became of one start: `succeeded` with the result; `failed` for good; `dead`, with the error, where what it had dispatched in its own place
 * is; `retry` after an error, with a delay (counted against
 * `attempts`; over them it is `failed`); `released` unfinished, which counts nothing, not even as a start: withdrawn later, the
 * branch is `skipped` unless it had an error or a loss before; `parked`: released, and made ready only once what it waits for is there.
 */
export type SettleKind = 'succeeded' | 'failed' | 'dead' | 'retry' | 'released' | 'parked'
/** What a parked branch waits for. Where that is there already, the branch is ready at once. */
export interface Park {
  /** Registered after what is saved. */
  readonly wait?: WaitRequest
  /** A group that the branch opened: until it is closed. */
  readonly until?: string
  /** Ready at the latest then, from now, with nothing answered: a deadline of what stands around the wait. */
  readonly dueMs?: number
}
/** Branches of one grant. The arrays run in parallel; a released branch has an empty value. */
export interface SettleRange {
  readonly gid: string
  readonly token: Token
  readonly indexes: readonly number[] | Uint32Array
  readonly kinds: readonly SettleKind[]
  /** Results or error records. */
  readonly values: PackedItems
  /** Only where a kind is `retry`; else 0. */
  readonly delaysMs?: readonly number[]
  /** One for each kind `parked`, in their order. */
  readonly parks?: readonly Park[]
  /** Outputs of nodes inside these branches, as in a step; stored only if the range is accepted. */
  readonly save?: SavedValues
  /** When and where they were started, for people (values/branch-times.ts): kept with the outcomes of the range, if it has some. */
  readonly times?: Uint8Array
}
export interface SettleRequest {
  readonly session: string
  readonly ranges: readonly SettleRange[]
}
/**
 * `ok`: counted. `dup`: all were settled under this token before. `fenced`: the token is not current. `withdrawn`: the group was
 * released or cancelled meanwhile; nothing to do. `gone`: no such group. Where a range is mixed, the branches that can be are counted
 * and the answer is `ok`.
 */
export type SettleAnswer = 'ok' | 'dup' | 'fenced' | 'withdrawn' | 'gone'

export type OutcomeKind = 'succeeded' | 'failed' | 'dead' | 'cancelled' | 'skipped'

// -------------------------------------------------------------------------------------------------------------------- sessions

/** What a process says of itself. */
export interface SessionInfo {
  /** Two processes may have one base id; their sessions differ. */
  readonly baseId: string
  readonly hostname: string
  readonly pid: number
  readonly role: 'auto' | 'worker' | 'leader' | 'observer' | 'client'
  readonly queues: readonly string[] | 'all'
  readonly capabilities: readonly string[] | 'all'
  /** Task names that it has handlers for; `all` when it finds handlers as flows are seen (embedded). */
  readonly tasks: readonly string[] | 'all'
  readonly metadata: Readonly<Record<string, string>>
  /** What its process calls its release. */
  readonly buildId?: string
}
/** Grants that one `confirm` names at most. */
export const MOST_CONFIRMED = 500
/** `ttlMs` of Infinity: the session lives until it is closed. */
export type SessionRequest =
  | {
      readonly kind: 'open'
      readonly session: string
      readonly ttlMs: number
      readonly info: SessionInfo
      /** It is notified when nobody leads (`lead` of `Notice`). */
      readonly mayLead?: boolean
    }
  | { readonly kind: 'renew'; readonly session: string; readonly ttlMs: number }
  /** Compares what the store thinks the session owns with what it knows. */
  | {
      readonly kind: 'reconcile'
      readonly session: string
      readonly known: readonly { readonly gid: string; readonly token: Token }[]
    }
  /**
   * Says that the session has these grants, and works on them: those that it did not ask for, which what is settled soon does not need;
   * and now and then all, so that a store which has lost the list of them has it again. At most `MOST_CONFIRMED`.
   */
  | {
      readonly kind: 'confirm'
      readonly session: string
      readonly grants: readonly { readonly gid: string; readonly token: Token }[]
    }
  /** Says what the process does; of a client it says nothing. */
  | { readonly kind: 'beat'; readonly session: string; readonly state: string }
  /** Releases everything, unspent, and forgets the session; the reason is for people. */
  | { readonly kind: 'close'; readonly session: string; readonly reason?: string }
  /** Forgets a worker that was lost, before its day is over. `nosession`: none of this base id is known, or one lives. */
  | { readonly kind: 'forget'; readonly workerId: string }
export type SessionAnswer =
  | { readonly status: 'ok' }
  /** `unknown`: grants that the session owns and did not name, which it may start or release. `lost`: those it named and no longer owns. */
  | { readonly status: 'reconciled'; readonly unknown: readonly Grant[]; readonly lost: readonly Token[] }
  | { readonly status: 'nosession' }

// ----------------------------------------------------------------------------------------------------------------------- leader

/**
 * - `stand`: the session leads from now on if nobody does: the lead was never taken or was given back, its lease is over, or the session that
 *   leads is gone. The session that leads begins its lease anew, also when it is over and nobody has taken the lead since.
 * - `resign` gives the lead back; of a session that does not lead it changes nothing.
 */
export type LeadRequest =
  | { readonly kind: 'stand'; readonly session: string; readonly ttlMs: number }
  | { readonly kind: 'resign'; readonly session: string }
/** Who leads. A term is larger than that of every leader before. */
export interface Lead {
  readonly term: number
  readonly session: string
  /** Base id of that session. */
  readonly leaderId: string
}
/** `lead`: undefined where nobody leads now. */
export type LeadAnswer = { readonly status: 'ok'; readonly lead: Lead | undefined } | { readonly status: 'nosession' }

/**
 * Housekeeping that only the leader does: refused (`deposed`) unless the session leads, in this term.
 * - `nodes` marks workers that nothing was heard of for so long as stale, then as dead, and forgets dead ones after a day.
 * - `graphs` keeps the graphs of runs that have not ended, for another while. `orphans` deletes what belongs to a run whose record is gone. Both look
 *   at a part of the store, and go on with the cursor of the answer before ('' begins).
 * - `fail-run` ends a run that stands still as failed; of one that is over, paused or without a driver it changes nothing.
 */
export type TendRequest = { readonly session: string; readonly term: number } & (
  | { readonly kind: 'nodes'; readonly staleAfterMs: number; readonly deadAfterMs: number }
  | { readonly kind: 'graphs' | 'orphans'; readonly cursor: string }
  | { readonly kind: 'fail-run'; readonly runId: string; readonly reason: string; readonly value: Uint8Array }
)
export type TendAnswer =
  /** `count`: how many things were changed. `cursor`: there is more to look at. */
  { readonly status: 'ok'; readonly count: number; readonly cursor?: string } | { readonly status: 'deposed' }

/** What happens among the processes of a store, by the session that it is about. A hint for people: it may be lost. */
export type ClusterEvent =
  /** `isReturned`: it was taken for dead, or marked as stale or dead. */
  | {
      readonly kind: 'worker:registered'
      readonly session: string
      readonly info: SessionInfo
      readonly isReturned: boolean
    }
  | {
      readonly kind: 'worker:deregistered'
      readonly session: string
      readonly workerId: string
      readonly reason: string
    }
  | { readonly kind: 'worker:stale'; readonly session: string; readonly workerId: string; readonly silentMs: number }
  | { readonly kind: 'leader:changed'; readonly session: string; readonly leaderId: string; readonly term: number }

// ---------------------------------------------------------------------------------------------------------------- sweep, control

/** Reclaims what dead sessions and passed deadlines held, promotes what is due, purges what is past retention. */
export type SweepAnswer =
  | {
      readonly status: 'ok'
      readonly reclaimed: number
      readonly nextDueMs: number | undefined
    }
  /** Another sweep came within the last 100 ms. `nextDueMs`: when a session that seems dead is looked at again. */
  | { readonly status: 'skip'; readonly nextDueMs?: number }
  /** The store stood still, so no session could renew: nothing is reclaimed for one session TTL. */
  | { readonly status: 'grace' }

export type ControlRequest =
  /** Ends a run as cancelled, withdraws all its branches, notifies their holders. */
  | { readonly kind: 'cancel-run'; readonly runId: string; readonly reason: string; readonly value: Uint8Array }
  /**
   * Ends a run that waits for a driver as failed; `fenced` where it has a driver, where it is paused or abandoned, and where the process that
   * opened it was lost: such a run can be resumed.
   */
  | { readonly kind: 'fail-run'; readonly runId: string; readonly reason: string; readonly value: Uint8Array }
  /** As cancel-run, asked for by a branch of the run that is held now; `completed` with its result, or `cancelled`. */
  | {
      readonly kind: 'end-run'
      readonly holder: Holder
      readonly runId: string
      readonly state: 'completed' | 'cancelled'
      readonly value: Uint8Array
      readonly reason: string
    }
  /** Nothing of a paused run is granted; what is in flight finishes. */
  | { readonly kind: 'pause-run'; readonly runId: string }
  /**
   * Deletes a run with all that it has, some of its groups a call: `ok` means ask again, until it is `gone`. One that has not ended is cancelled
   * first, with this reason.
   */
  | { readonly kind: 'delete-run'; readonly runId: string; readonly reason: string; readonly value: Uint8Array }
  | { readonly kind: 'resume-run'; readonly runId: string }
  /**
   * Withdraws what is not final in a group and in all groups below it; the holder of the branch it belongs to must ask. `dup`: the group was
   * released before; `ok` also where it was withdrawn before.
   */
  | { readonly kind: 'withdraw-group'; readonly holder: Holder; readonly gid: string }
  /**
   * No live session serves the lane of this group whole: from now on sessions that know some of its tasks take from it, and where none knows any,
   * with `orNone`, every session of its queue and capabilities. They forward what they do not know. That ends when a session opens that serves it
   * whole. `fenced`: a session serves it whole, or none could take from it. A hint: it may be forgotten.
   */
  | { readonly kind: 'widen-lane'; readonly gid: string; readonly orNone: boolean }
  /** Asks the process of a session to leave in good order (`drain` of `Notice`). `gone`: it is not there. */
  | { readonly kind: 'drain-session'; readonly session: string }
  | { readonly kind: 'pause-queue'; readonly queue: string }
  | { readonly kind: 'resume-queue'; readonly queue: string }
/** `dup`: it was so already. `over`: the run has ended. `gone`: there is no such thing. */
export type ControlAnswer = 'ok' | 'dup' | 'over' | 'gone' | 'fenced'

// --------------------------------------------------------------------------------------------------------------------- inspect

export type GroupState = 'open' | 'released' | 'withdrawn'
export interface GroupStatus {
  readonly gid: string
  readonly graph: string
  readonly node: string
  readonly state: GroupState
  readonly size: number
  /** Branches by what they are now; they sum to `size`. `withdrawn` holds cancelled and skipped ones. */
  readonly ready: number
  readonly delayed: number
  readonly granted: number
  readonly succeeded: number
  readonly failed: number
  readonly dead: number
  readonly withdrawn: number
  readonly openedAt: number
  readonly releasedAt: number | undefined
  /** Those of `delayed` that are parked. */
  readonly parked: number
  /** Since when it has ready branches, where it has some. */
  readonly since: number | undefined
  /** As in its spec. */
  readonly queue: string
  readonly requires: readonly string[]
  readonly tasks: readonly string[]
  readonly affinity: string | undefined
  readonly limit: number
  /** Until then only the preferred worker takes from it, where that lives. */
  readonly affinityUntil: number | undefined
  /** The last start that ended in an error while branches wait for their retry: when, and its record, unless that is large. */
  readonly retried: { readonly at: number; readonly error: Uint8Array } | undefined
  /** Tasks of branches that are held, which wait there for their next start; of very many some. */
  readonly waitingInPlace: readonly { readonly path: string; readonly startsAt: number }[]
}
/** Times are milliseconds since the epoch by the store's clock. */
export interface RunRecord {
  readonly runId: string
  readonly workflow: string | undefined
  readonly graph: string
  /** As it was opened with. */
  readonly digest: string
  readonly state: RunState
  readonly createdAt: number
  readonly startedAt: number | undefined
  readonly endedAt: number | undefined
  /** As it was opened with; undefined for no limit. */
  readonly timeoutMs: number | undefined
  /** The session that drives it. */
  readonly driver: string | undefined
  /** Since when it is paused, where it is. */
  readonly pausedAt: number | undefined
  readonly cancelReason: string | undefined
  /** How often it was reopened, and by which calls, the newest first; of very many the last. */
  readonly retries: number
  readonly reopenedBy: readonly string[]
  /** Whether the process that opened it was to drive it; else any worker. */
  readonly hasOpener: boolean
  /** In order; of very many the last. */
  readonly byHand: readonly ByHand[]
  /** The build that it is pinned to. */
  readonly build: string | undefined
  readonly tags: readonly string[]
  readonly terms: RunTerms
  /** What counts of groups that were deleted with the payloads of an ended run; absent before. */
  readonly purged?: PurgedGroups
  /** Result or error record, once it has ended. */
  readonly value: Uint8Array | undefined
}
export interface PurgedGroups {
  /** Branches of all of them, without those that only forward one. */
  readonly branches: number
  /** Of these, how many were withdrawn. */
  readonly withdrawn: number
  /** Paths of what dispatched them from within a step of the driver (`''`: no step did); of very many the first hundred and the last hundred. */
  readonly dispatchers: readonly string[]
}
/** Branches that a session holds under one grant. */
export interface HeldBranches {
  readonly session: string
  /** When they were granted, in milliseconds since the epoch by the store's clock; some of them may be started later. */
  readonly grantedAt: number
  /** In the order of the group. */
  readonly indexes: Uint32Array
}
/** The `times` of a range, and the branches that they are of where the range does not say so itself: in its order. */
export interface RangeTimesBytes {
  readonly bytes: Uint8Array
  readonly indexes: Uint32Array
}
/**
 * Outcomes of one settle call, in the order in which they were counted. An empty value is one that no worker reported: `dead` (its
 * workers were lost) or `failed` (a sweep found it past its deadline). Where the branch had a task in hand, it is what that said.
 */
export interface OutcomeChunk {
  readonly indexes: Uint32Array
  readonly kinds: readonly OutcomeKind[]
  readonly values: PackedItems
  /** What the ranges said of times that these outcomes came in. */
  readonly times?: readonly RangeTimesBytes[]
}
export interface OutcomesPage {
  readonly state: GroupState
  readonly size: number
  readonly chunks: readonly OutcomeChunk[]
  /** When the group was closed, in milliseconds since the epoch by the store's clock; absent while it is open. */
  readonly releasedAt?: number
  /** The run has ended with the barrier (`GroupSpec.endsRun`), as far as is known here. */
  readonly hasEndedRun?: boolean
  /** Pass as `after` to read on; equal to it when there is nothing new. */
  readonly next: number
  /** Once `chunks` reach the end of a released group: the branches that were not final then. */
  readonly withdrawn:
    | { readonly indexes: Uint32Array; readonly kinds: readonly ('cancelled' | 'skipped')[] }
    | undefined
}
export interface QueueStatus {
  readonly queue: string
  /** Branches that wait to be granted, those included that a limit or a pause holds up, but no abandoned runs. */
  readonly ready: number
  readonly delayed: number
  /** Branches that workers hold, not the runs that the process drives which opened them. */
  readonly granted: number
  /** How long the oldest ready group has waited. */
  readonly oldestMs: number | undefined
  readonly isPaused: boolean
}
/** Groups of a queue that wait to be granted and ask the same of a worker, in the order of service; of very many the first 256. */
export interface WaitingLane {
  readonly requires: readonly string[]
  readonly tasks: readonly string[]
  readonly groups: readonly { readonly gid: string; readonly waitedMs: number }[]
}
export interface SessionStatus extends SessionInfo {
  readonly session: string
  readonly expiresAt: number
  /** Branches that it holds; runs that it drives are not among them. */
  readonly branches: number
  /** Runs that it drives. */
  readonly runs: number
}
/**
 * A worker as the registry has it, by its base id: also for a while after it was lost. Of several sessions with one base id it is the last that
 * registered. Times are milliseconds since the epoch by the store's clock.
 */
export interface NodeStatus extends SessionInfo {
  readonly session: string
  /** What the leader has made of its silence. */
  readonly mark: 'live' | 'stale' | 'dead'
  readonly registeredAt: number
  /** When it registered, gave its last sign of life by `beat`, or was taken for dead. */
  readonly seenAt: number
  /** What it said last of what it does; empty: nothing yet. */
  readonly state: string
}
/**
 * How many live workers serve the same queues. In Redis a sweep counts them, so it is some tenths of a second old, and asking it costs the same
 * however many there are; of more than 1 000 sessions, those count that are due to be renewed first.
 */
export interface ServingWorkers {
  readonly queues: readonly string[] | 'all'
  readonly workers: number
}
/** What is known of a workflow by its name. */
export interface StoredWorkflow {
  readonly name: string
  /** Hash of its graph, which the store may keep no more. */
  readonly graph: string
  readonly timeoutMs?: number
  /** Its runs are pinned to a build. */
  readonly pin?: boolean
  /** The build of who registered it. */
  readonly buildId?: string
  /** What its first task takes, as JSON Schema; absent where it says nothing, or more than fits. */
  readonly inputSchema?: string
  /** Whether what that refuses the schema of the task refuses, too, so that others may; and whether nothing at all is refused. */
  readonly isInputExact?: boolean
  readonly needsInput?: boolean
}
export interface PinnedRuns {
  readonly build: string
  readonly runs: number
}
export interface DeadLetter {
  readonly id: string
  readonly gid: string
  readonly index: number
  readonly runId: string
  /** Where it stands: the hash of a graph, and the static path of its group's node in it. Empty of one that an older release kept. */
  readonly graph: string
  readonly node: string
  readonly kind: 'failed' | 'dead'
  readonly errors: number
  readonly losses: number
  readonly at: number
  /** Empty where it was too large to be kept. */
  readonly input: Uint8Array
  /** Error record; empty when its workers were lost. */
  readonly error: Uint8Array
}

/** What the store has counted since it was made, and how large it is. Counters may begin anew. */
export interface StoreTotals {
  /** The store's clock, in milliseconds since the epoch. */
  readonly now: number
  /** Runs that have ended, by workflow and state. Of many workflows the later ones are counted together, as `OTHER_WORKFLOWS`. */
  readonly ended: readonly { readonly workflow: string; readonly state: EndState; readonly count: number }[]
  readonly deadLetters: number
  /** Live sessions that may lead, counted as `ServingWorkers` are. */
  readonly candidates: number
  /** Of memory, with what else is on the server; `limit` is absent where there is none. */
  readonly bytes: { readonly used: number; readonly peak?: number; readonly limit?: number }
}

/** Brings a payload to the wait at this address of a run; where there is none yet, it is kept for the first. */
export interface SignalRequest {
  readonly runId: string
  readonly address: string
  readonly payload: Uint8Array
  /** New for every new signal: a repeat of the call answers the same. */
  readonly nonce: string
  /** The sender knows that nobody can take it: where it is no repeat, it is `late`, and nothing is kept. */
  readonly isLate?: boolean
  /** The payload is refused: only a repeat is answered, by what the signal was answered before; any other is `new`, and nothing is done. */
  readonly isOnlyRepeat?: boolean
}
/**
 * `ok`: it is the answer, or is kept to be one. `late`: another came first, or nobody waits at this address any more. `over`: the run has ended.
 * `gone`: there is no such run.
 */
export type SignalAnswer = 'ok' | 'late' | 'over' | 'gone' | 'backpressure' | 'new'

/**
 * How far handlers of a run are, as notes for people: the last one at each of the `MOST_PROGRESS_NOTES` paths that were noted last. They are
 * kept as outputs at `progressMark`, as long as these: the fence and the time of the note, the length of its path, its path, and its value.
 */
export interface ProgressRequest {
  readonly runId: string
  readonly notes: readonly ProgressNote[]
}
export interface ProgressNote {
  readonly path: string
  /** Of the holder's grant: where a note of a later grant is there, this one is left out. */
  readonly fence: number
  readonly value: Uint8Array
}

/** A wait that is not answered. Times are milliseconds since the epoch by the store's clock. */
export interface OpenWait {
  readonly place: string
  readonly address: string | undefined
  readonly since: number
  readonly dueAt: number | undefined
  readonly about: Uint8Array | undefined
}

/** Which runs: what is given must all hold. Times are milliseconds since the epoch by the store's clock. */
export interface RunQuery {
  readonly states?: readonly RunState[]
  readonly workflow?: string
  readonly tag?: string
  /** That they are pinned to. */
  readonly build?: string
  /** Created then or later. */
  readonly since?: number
  /** Created before. */
  readonly until?: number
  readonly limit: number
  /** Where the page begins: what the page before said. */
  readonly after?: string
}
/** A run in a list: its record without what it ended with. */
export type ListedRun = Omit<RunRecord, 'value' | 'byHand' | 'reopenedBy' | 'purged'> & {
  /** As `after` of a query: what comes behind this run. */
  readonly position: string
}
/** Newest first. `after` is absent on the last page; a page before it may be shorter than its limit where few of very many match. */
export interface RunPage {
  readonly items: readonly ListedRun[]
  readonly after?: string
}

/** One consistent look each; nothing changes. Lists are in order of creation, newest first, `limit` at most. */
export interface Inspector {
  run(runId: string): Promise<RunRecord | undefined>
  /** The id of the run that was opened with an idempotency key. */
  runOfKey(key: string): Promise<string | undefined>
  /**
   * A page of runs, at a cost that does not grow with their number. Every run that is there all along, and matches all along, is on one page.
   * @throws GraflowError INVALID_OPTION for an `after` that no page has said
   */
  runs(request: RunQuery): Promise<RunPage>
  /** The run's groups without its root, in order of opening. */
  groups(runId: string): Promise<readonly GroupStatus[]>
  /** Undefined when there is no such group (any more). */
  outcomes(gid: string, after: number): Promise<OutcomesPage | undefined>
  /** The output saved for this path; what a handler asks for, so it costs no look at the others. */
  output(runId: string, path: string): Promise<Uint8Array | undefined>
  /** The outputs saved for these paths, in their order: it costs no look at any other. */
  outputs(runId: string, paths: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>
  /** Saved outputs whose path is `prefix` or below it (`''`: all of the run). */
  saved(runId: string, prefix: string): Promise<SavedValues>
  /** Branches of a group that sessions hold, as long as it is open, in the order in which they were granted: `most` at most. */
  held(gid: string, most: number): Promise<readonly HeldBranches[]>
  /** What a branch of a group got (the run itself: its id, index 0), as long as it is kept. */
  input(gid: string, index: number): Promise<Uint8Array | undefined>
  /**
   * Waits of the run that are not answered, in order of their places; of very many the first 1 000.
   * @param address only those that a signal to it can answer, the next one first
   */
  openWaits(runId: string, address?: string): Promise<readonly OpenWait[]>
  queues(): Promise<readonly QueueStatus[]>
  /** What waits in a queue; nothing where the queue is paused, and nothing of runs that are. */
  waiting(queue: string): Promise<readonly WaitingLane[]>
  sessions(): Promise<readonly SessionStatus[]>
  /** Workers that are registered, and those that were lost in the last day. */
  nodes(): Promise<readonly NodeStatus[]>
  serving(): Promise<readonly ServingWorkers[]>
  /** Who leads; undefined where nobody does. */
  lead(): Promise<Lead | undefined>
  /** The workflow that was registered under a name last. */
  workflow(name: string): Promise<StoredWorkflow | undefined>
  /** Names of all workflows that are registered, in no particular order. */
  workflowNames(): Promise<readonly string[]>
  /** How many runs that have not ended are pinned to each build that has some. */
  pinned(): Promise<readonly PinnedRuns[]>
  /** The store's clock, in milliseconds since the epoch. */
  now(): Promise<number>
  /** @param before the id of a letter: only older ones */
  deadLetters(limit: number, before?: string): Promise<readonly DeadLetter[]>
  deadLetter(id: string): Promise<DeadLetter | undefined>
  totals(): Promise<StoreTotals>
  /** @param after a position; undefined: only where the log ends */
  events(after: string | undefined, limit: number): Promise<EventPage>
  /** As `events`, of one run; after `'0'` from the beginning. */
  runEvents(runId: string, after: string | undefined, limit: number): Promise<RunEventPage>
  /** Documents of a collection by their names. */
  documents(collection: string, names: readonly string[]): Promise<DocumentsFound>
  /** Names of all documents of a collection, in no particular order. */
  documentNames(collection: string): Promise<readonly string[]>
}

// ------------------------------------------------------------------------------------------------------------------ event logs

/** Something that happened in the store. `deleted`: a person has deleted the run. */
export type LoggedEvent =
  | {
      readonly kind: 'run'
      readonly runId: string
      readonly workflow: string | undefined
      /** Undefined of a new run. */
      readonly from: RunState | undefined
      readonly to: RunState
    }
  | { readonly kind: 'deleted'; readonly runId: string }
  | { readonly kind: 'queue'; readonly queue: string; readonly isPaused: boolean }
  | { readonly kind: 'cluster'; readonly event: ClusterEvent }

/** What was kept behind a position, oldest first. Positions mean the same to every process of the store. */
export interface EventPage {
  /** Whether what happens is kept now: somebody has asked for it, and its time is not over. */
  readonly isKept: boolean
  /** Behind the last event that is kept; undefined: none is. */
  readonly last: string | undefined
  /** What came right behind the position may be forgotten, or the position is of another log. */
  readonly isGap: boolean
  /** `at`: milliseconds since the epoch by the store's clock. Events of a newer release are left out; `next` is behind them. */
  readonly events: readonly { readonly position: string; readonly at: number; readonly event: LoggedEvent }[]
  /** Behind the last event that was looked at; undefined: none was. */
  readonly next: string | undefined
}

/** The same of one run, by those who have watched it: bytes are opaque to the store. */
export interface RunEventPage {
  readonly last: string | undefined
  readonly isGap: boolean
  /** What the last one to append had seen of the run. */
  readonly seen: Uint8Array | undefined
  readonly entries: readonly { readonly position: string; readonly events: Uint8Array }[]
}
/** Adds to what was seen of a run, unless somebody else has done so behind `after` (`stale`). A repeat of a call that was done is `stale`, too. */
export interface RunEventsRequest {
  readonly runId: string
  /** The last position that the caller knows; undefined: nothing is kept. */
  readonly after: string | undefined
  readonly events: Uint8Array
  /** All that the caller has seen of the run, for whoever goes on from there. */
  readonly seen: Uint8Array
  /** How long it is kept, from now. */
  readonly keptMs: number
}
/** `stale`: somebody else has appended since. `backpressure`: the store is full, and nothing was kept. */
export type RunEventsAnswer =
  | { readonly status: 'ok'; readonly position: string }
  | { readonly status: 'stale' | 'backpressure' }

// -------------------------------------------------------------------------------------------------------------------- channels

/** A channel's value: one opaque value, a number (so that it can be added to), or a list of opaque items. */
export type ChannelValue =
  | { readonly kind: 'value'; readonly bytes: Uint8Array }
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'list'; readonly items: PackedItems }

/** A lock that a write stands under: its key, and the nonce of the call that got it. */
export interface HeldLock {
  readonly key: string
  readonly nonce: string
}

interface Write {
  readonly key: string
  /** As in acquire: a repeated write happens once, and undoes nothing that others have written meanwhile. */
  readonly nonce: string
  /** Locks that the writer must still have: where one is lost, nothing is written. */
  readonly under?: readonly HeldLock[]
}

/**
 * What is asked of a channel. `set` decides the time to live anew; append, prepend and add leave it where they name none. A repeated write
 * answers what the call answered.
 */
export type ChannelRequest =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'keys' }
  | ({ readonly kind: 'set'; readonly value: ChannelValue; readonly ttlMs?: number } & Write)
  | ({ readonly kind: 'delete' } & Write)
  | ({ readonly kind: 'append' | 'prepend'; readonly item: Uint8Array; readonly ttlMs?: number } & Write)
  | ({ readonly kind: 'add'; readonly number: number; readonly ttlMs?: number } & Write)
export type ChannelAnswer =
  /** `get`: the value or undefined. */
  | { readonly status: 'ok'; readonly kind: 'get'; readonly value: ChannelValue | undefined }
  /** In no particular order. */
  | { readonly status: 'ok'; readonly kind: 'keys'; readonly keys: readonly string[] }
  | { readonly status: 'ok'; readonly kind: 'set' }
  | { readonly status: 'ok'; readonly kind: 'delete'; readonly isDeleted: boolean }
  /** The list's new length. */
  | { readonly status: 'ok'; readonly kind: 'append' | 'prepend'; readonly length: number }
  /** The new sum. */
  | { readonly status: 'ok'; readonly kind: 'add'; readonly number: number }
  /** The key holds another kind. */
  | { readonly status: 'type'; readonly found: ChannelValue['kind'] }
  /** The writer does not have this lock any more. */
  | { readonly status: 'lost'; readonly key: string }
  | { readonly status: 'fenced' }
  | { readonly status: 'backpressure' }

/**
 * What is asked of a lock. `nonce` is new for every holder: with it the holder renews the lock and gives it back, and a repeated call is known.
 * - `lock` gets the lock if nobody has it: it was never taken or was unlocked, its lease is over, or its holder has lost its branch. Else the
 *   caller may become the next to get it, for half a second from each call: then nobody else gets it first.
 * - `renew` begins the lease anew, also when it is over and nobody has taken the lock since: time makes a lock stealable, never invalid.
 * - `unlock` gives it back, or gives up to be the next.
 */
export type LockRequest =
  | { readonly kind: 'lock' | 'renew'; readonly key: string; readonly nonce: string; readonly leaseMs: number }
  | { readonly kind: 'unlock'; readonly key: string; readonly nonce: string }
export type LockAnswer =
  /** `fence`: larger than that of every holder before. */
  | { readonly status: 'ok'; readonly fence: number }
  /** Another has it, `<gid>#<index>`; or it is free, and somebody else is the next to get it (`''`). */
  | { readonly status: 'locked'; readonly holder: string }
  /** The lock is not the caller's any more. */
  | { readonly status: 'lost' }
  | { readonly status: 'fenced' }

// ------------------------------------------------------------------------------------------------------------------- documents

/**
 * A change of a collection: small documents with names, which stay until they are removed, such as what is deployed. Whoever decides by what it has
 * read says so by the revision that it has read: if another has changed the collection since, nothing is done.
 */
export interface DocumentsRequest {
  readonly collection: string
  /** New for every new change: the last change of a collection, repeated, answers the same. */
  readonly nonce: string
  /** The revision that the collection must have; 0: nothing was ever written to it. Absent: any. */
  readonly ifRevision?: number
  /** In place of those that have the name. */
  readonly put: readonly Document[]
  readonly remove: readonly string[]
  /** It is written also where the store is full: it belongs to what makes room. What only removes always is. */
  readonly isFreeing?: true
}
export interface Document {
  readonly name: string
  readonly bytes: Uint8Array
}
export type DocumentsAnswer =
  /** `revision`: of the collection with the change. */
  | { readonly status: 'ok'; readonly revision: number }
  /** It has another revision. A repeated call may find that it was its own change, and another after it: read again. */
  | { readonly status: 'conflict'; readonly revision: number }
  | { readonly status: 'backpressure' }
/** What a collection has, at one moment. */
export interface DocumentsFound {
  readonly revision: number
  /** In the order of the names that were asked for. */
  readonly documents: readonly (Uint8Array | undefined)[]
}

// ----------------------------------------------------------------------------------------------------------------------- hints

/** A hint in the inbox of a session. It may be lost or doubled: it says that it is worth asking, never what the answer is. */
export type Notice =
  /** A group that this session's branch opened is released (or withdrawn); or a wait that it holds is answered: `<run>/<place>`. */
  | { readonly kind: 'released'; readonly gid: string }
  /** Branches of this group that the session holds are not wanted any more. */
  | { readonly kind: 'withdrawn'; readonly gid: string; readonly reason: string }
  /** Grants that were reclaimed. */
  | { readonly kind: 'lost'; readonly gid: string; readonly token: Token }
  /** All branches that are left of this group, which the session's branch opened, are parked. */
  | { readonly kind: 'idle'; readonly gid: string }
  /** There may be work for it. */
  | { readonly kind: 'work' }
  /** Nobody leads: it may stand. */
  | { readonly kind: 'lead' }
  /** A person wants its process to leave in good order. */
  | { readonly kind: 'drain' }
  /** A grant that it did not ask for (`acceptsPush`). More than a hint: the session holds it. */
  | { readonly kind: 'granted'; readonly grant: Grant }

export type RunChange = 'group' | 'settled' | 'state'
/** Something changed in a watched run: a group was opened, branches were settled, its state changed; or a process announced `events`. */
export type RunActivity =
  | { readonly kind: RunChange; readonly gid: string }
  /** Opaque bytes, as they were announced; also by this process. */
  | { readonly kind: 'events'; readonly gid: string; readonly bytes: Uint8Array }

export interface BackendLimits {
  /** Items and bytes in one step, acquire or settle; one item always goes. */
  readonly itemsPerCall: number
  readonly bytesPerCall: number
  /** The largest value that the store takes and gives back; undefined: there is no such bound. */
  readonly bytesPerValue?: number
  /** As `bytesPerValue`, of what is read in parts: the result of a run, or of a join. */
  readonly bytesPerResult?: number
}

export interface KeepAliveOptions {
  /** As the session was opened with; Infinity: there is nothing to do. */
  readonly ttlMs: number
  /**
   * Called when the session is gone (`session`: it is renewed no more; open a new one) or could not be renewed for its whole TTL
   * (`store`: attempts go on, and what it holds may be reclaimed). Never from inside `keepAlive`.
   */
  readonly onLost: (what: 'session' | 'store') => void
}
export interface KeepAlive {
  /** Resolves once the store would notice the end of this process at once; before that, when the session expires. */
  readonly ready: Promise<void>
  /** Ends it; once this resolves no renewal is under way. Safe to repeat. */
  stop(): Promise<void>
  /** When the last renewal that arrived was sent, by `monotonicClock` of time.ts. The session is ours for its TTL from then on. */
  readonly lastRenewedAt: number
}

/** `late`: not within some seconds. `cannot`: the store is not made for it; `why` says what would be. */
export type ConfirmAnswer = { readonly status: 'ok' } | { readonly status: 'late' | 'cannot'; readonly why: string }

/** A store, opened. Calls after `close` throw CLOSED. */
export interface Backend {
  readonly limits: BackendLimits
  /** Stores a packed graph under its hash. Repeating it is safe. */
  putGraph(hash: string, bytes: Uint8Array): Promise<'ok' | 'backpressure'>
  /** The packed graph; asking keeps it for another while. */
  getGraph(hash: string): Promise<Uint8Array | undefined>
  /** Whether `getGraph` would find it, at no cost of bytes; asking keeps it for another while. */
  hasGraph(hash: string): Promise<boolean>
  /** Registers a workflow under its name, in place of one that has the name, for clients that submit it by that. Repeating it is safe. */
  putWorkflow(workflow: StoredWorkflow): Promise<'ok' | 'backpressure'>
  open(request: OpenRequest): Promise<OpenAnswer>
  step(request: StepRequest): Promise<StepAnswer>
  acquire(request: AcquireRequest): Promise<AcquireAnswer>
  take(request: TakeRequest): Promise<TakeAnswer>
  reopen(request: ReopenRequest): Promise<ReopenAnswer>
  decide(runId: string, decision: Decision): Promise<DecideAnswer>
  /** One answer a range, in order. */
  settle(request: SettleRequest): Promise<readonly SettleAnswer[]>
  session(request: SessionRequest): Promise<SessionAnswer>
  /** Repeating it is safe: who leads goes on leading, in the same term. */
  lead(request: LeadRequest): Promise<LeadAnswer>
  /** Repeating it is safe. */
  tend(request: TendRequest): Promise<TendAnswer>
  sweep(session: string): Promise<SweepAnswer>
  control(request: ControlRequest): Promise<ControlAnswer>
  signal(request: SignalRequest): Promise<SignalAnswer>
  /** Repeating it is safe. `gone`: there is no such run. */
  progress(request: ProgressRequest): Promise<'ok' | 'gone' | 'backpressure'>
  /**
   * From now on what happens is kept, for so long, for `inspect.events`: the last ten thousand events or so. A store that nobody asks pays nothing.
   * Repeating it is safe, and prolongs it.
   */
  keepEvents(forMs: number): Promise<void>
  appendRunEvents(request: RunEventsRequest): Promise<RunEventsAnswer>
  /** Deletes one dead letter, or all that were kept before a time by the store's clock. Says how many; a repeated call finds none. */
  deleteDeadLetters(which: { readonly id: string } | { readonly before: number }): Promise<number>
  /** Changes a collection of documents as a whole, or not at all. */
  writeDocuments(request: DocumentsRequest): Promise<DocumentsAnswer>
  readonly inspect: Inspector
  /** Reads need no holder; writes need the current holder of a branch of this run. */
  channel(runId: string, holder: Holder | undefined, request: ChannelRequest): Promise<ChannelAnswer>
  /** Needs the current holder of a branch of this run. A lock is free as soon as that branch is not held any more. */
  lock(runId: string, holder: Holder, request: LockRequest): Promise<LockAnswer>
  /** Calls `listener` with what concerns the session; returns what ends that. */
  listen(session: string, listener: (notice: Notice) => void): () => void
  /** Calls `listener` when something changes in the run; returns what ends that. */
  watch(runId: string, listener: (activity: RunActivity) => void): () => void
  /** Calls `listener` with what happens among the processes of the store; returns what ends that. */
  watchCluster(listener: (event: ClusterEvent) => void): () => void
  /** Resolves once listeners of the run were called for all that reached the store before the call, or after the usual time without. */
  caughtUp(runId: string): Promise<void>
  /**
   * Sends to the watchers of the run what happened in it. A hint: it may be lost, or doubled. Resolves with how many other processes got it;
   * 0 in a store that has no others.
   */
  announce(runId: string, events: Uint8Array): Promise<number>
  /**
   * Whether all that was written before the call is on the disk of the store, or on a replica; it waits some seconds for that. Absent where the store
   * has neither.
   */
  confirm?(durability: Durability): Promise<ConfirmAnswer>
  /** Why the store is there and lets us in no more, such as for a changed password, with what to do; undefined where that is not so. */
  refusal?(): string | undefined
  /**
   * Calls `listener` whenever the store is there again after it was away: hints may have been lost, so what is awaited is to be asked
   * for. Returns what ends that. Absent where the store cannot be away.
   */
  onReconnected?(listener: () => void): () => void
  /** Renews an open session from now on, whatever this process is busy with, until it is stopped or the backend closed. */
  keepAlive(session: string, options: KeepAliveOptions): KeepAlive
  /** Resolves when the store answers. Throws REDIS_UNAVAILABLE, sooner than other calls do. */
  ping(): Promise<void>
  close(): Promise<void>
}
