/**
 * What a report of one run says: plain data, which JSON carries as it is. Times are milliseconds since the creation of the run, by the store's clock; starts and
 * ends of branches are by the clocks of their workers, shifted where those contradict the store.
 */

/** An error as people read it. */
export interface ReportError {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** At most 4 000 characters. */
  readonly stack?: string
  /** Messages of its causes, outermost first. */
  readonly causes?: readonly string[]
}

/** A step that the driver ran. */
export interface ReportStep {
  readonly path: string
  readonly task: string
  readonly state: string
  /** Its last start, from 1. */
  readonly attempt: number
  readonly start: number
  /** Undefined while it runs. */
  readonly end?: number
}

/** How a branch ended; `running` where it has not. */
export type ReportStatus = 'succeeded' | 'failed' | 'dead' | 'cancelled' | 'skipped'

/** One branch that is shown by itself. */
export interface ReportBranch {
  readonly index: number
  readonly path: string
  readonly task: string
  /** What people call its item by, where its each labels them. */
  readonly label?: string
  readonly status: ReportStatus
  /** Undefined where its times are not kept. */
  readonly start?: number
  readonly end?: number
  /** In `workers`. */
  readonly worker?: number
  /** Starts before the last one that ended in an error, or were lost with their worker. */
  readonly errors: number
  readonly losses: number
}

/** What a worker did in a group, in equal parts of the time from the first start to the last end: milliseconds of work in each part. */
export interface ReportBins {
  readonly worker: number
  readonly branches: number
  readonly failed: number
  readonly busyMs: readonly number[]
}

/** A superstep: a group with its branches. */
export interface ReportGroup {
  readonly path: string
  /** The task of its branches; where they have several, what kind of group it is. */
  readonly title: string
  readonly state: 'open' | 'released' | 'withdrawn'
  readonly width: number
  /** Branches by what they are now; `withdrawn` are cancelled and skipped ones. */
  readonly counts: Readonly<
    Record<'ready' | 'delayed' | 'running' | 'succeeded' | 'failed' | 'dead' | 'withdrawn', number>
  >
  readonly openedAt: number
  readonly releasedAt?: number
  /** Branches of which times are kept. */
  readonly timed: number
  /** First start and last end of these. */
  readonly first?: number
  readonly last?: number
  /** Milliseconds that half of them, nineteen in twenty and all took at most. */
  readonly medianMs?: number
  readonly p95Ms?: number
  readonly longestMs?: number
  /** From the end of half of its branches to the last end: how long most of the work was over, and the barrier waited. */
  readonly skewMs?: number
  /** All starts but the first of each branch that errors and losses made necessary. */
  readonly retries: number
  readonly losses: number
  /** Branches of the group that took three times the median or more, the slowest first; at most 20. */
  readonly stragglers: readonly number[]
  /** All of its branches in order of their starts, or of very many those that people look for: slow, failed, started again, the first and the last. */
  readonly branches: readonly ReportBranch[]
  /** Of very many: the rest of the picture. */
  readonly bins?: readonly ReportBins[]
}

/** A part of the longest chain of what waited for each other. */
export interface ReportCritical {
  readonly path: string
  readonly title: string
  /** `start`: a group waited for its last branch to be started; `barrier`: for its release. */
  readonly kind: 'step' | 'start' | 'branch' | 'barrier'
  readonly start: number
  readonly end: number
  /** How deep inside branches it is. */
  readonly depth: number
  readonly worker?: number
}

/** Why a step or branch failed. */
export interface ReportFailure {
  readonly path: string
  readonly task: string
  /** What people call its item by, where its each labels them. */
  readonly label?: string
  readonly status: string
  readonly error: ReportError
}

/** What stood at a path, as text for people. */
export interface ReportValue {
  readonly path: string
  readonly task: string
  /** What people call its item by, where its each labels them. */
  readonly label?: string
  readonly input?: string
  readonly output?: string
}

/** One run. */
export interface ReportData {
  readonly id: string
  readonly workflow?: string
  readonly state: string
  readonly tags: readonly string[]
  readonly build?: string
  readonly driver?: string
  readonly retries: number
  /** Milliseconds since the epoch: when the run was created, and this was written. */
  readonly createdAt: number
  readonly writtenAt: number
  /** When a driver began, and when it ended. */
  readonly startedAt?: number
  readonly endedAt?: number
  readonly error?: ReportError
  /** The flow as an SVG image; undefined where the store has it no more. */
  readonly svg?: string
  /** Branches by the path of their node in the flow, with `*` for items and passes. */
  readonly counts: Readonly<Record<string, { readonly done: number; readonly failed: number; readonly all: number }>>
  readonly workers: readonly string[]
  readonly steps: readonly ReportStep[]
  readonly groups: readonly ReportGroup[]
  readonly critical: readonly ReportCritical[]
  readonly failures: readonly ReportFailure[]
  readonly values: readonly ReportValue[]
  /** What is not in it, and why, in sentences. */
  readonly notes: readonly string[]
}
