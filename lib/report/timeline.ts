/**
 * The time of one run for a drawing that people zoom into: of a window of it a lane for each worker, with its branches or, where these are many, with bins of
 * equal width. Plain data, which JSON carries as it is, bounded whatever the run's size. Times are milliseconds since the creation of the run, as in a report.
 */
import type { ReportBranch, ReportCritical, ReportError, ReportGroup, ReportStatus, ReportStep } from './report.js'

/** Which part of the time, and how finely. */
export interface TimelineQuery {
  /** In milliseconds since the creation of the run. Default: all of it. */
  readonly from?: number
  readonly to?: number
  /** Bins of a lane: 16 to 600. Default: 240. */
  readonly bins?: number
}

/** A superstep with its barrier. */
export type TimelineGroup = Omit<ReportGroup, 'branches' | 'bins' | 'stragglers'> & {
  readonly stragglers: readonly ReportBranch[]
}

/** Branches of a lane, a column for each fact. */
export interface TimelineBlocks {
  /** In `groups`. */
  readonly group: readonly number[]
  /** In the group. */
  readonly index: readonly number[]
  readonly start: readonly number[]
  readonly end: readonly number[]
  /** A letter for each: succeeded, failed, dead, cancelled, or skipped (k). */
  readonly status: string
  /** Starts before the last one. */
  readonly again: readonly number[]
  /** The slot of the worker that the branch is drawn in. */
  readonly row: readonly number[]
}

/** Parts of the window of equal width. */
export interface TimelineBins {
  /** Milliseconds of work in each, of all slots together. */
  readonly busyMs: readonly number[]
  /** Branches that ended in each, and of these the failed ones, and those that were started again. */
  readonly ended: readonly number[]
  readonly failed: readonly number[]
  readonly again: readonly number[]
}

/** A branch that has not ended, in the lane of the worker that holds it. */
export interface RunningBranch {
  /** In `groups`. */
  readonly group: number
  /** In the group. */
  readonly index: number
  readonly path: string
  readonly task: string
  /** What people call its item by, where its each labels them. */
  readonly label?: string
  /** In `workers`. */
  readonly worker: number
  /** The slot of the worker that it is drawn in. */
  readonly row: number
  /** At the earliest: when it was granted, or its slot was free. */
  readonly start: number
  /** Starts before this one. */
  readonly again: number
}

/** What one worker did in the window: blocks or bins. */
export interface TimelineLane {
  /** In `workers`. */
  readonly worker: number
  /** Of the whole run. */
  readonly branches: number
  readonly failed: number
  /** Branches that it ran at once at most. */
  readonly slots: number
  readonly blocks?: TimelineBlocks
  readonly bins?: TimelineBins
}

export interface TimelineWindow {
  readonly from: number
  readonly to: number
  readonly lanes: readonly TimelineLane[]
}

/** The whole of a run, and a window of it. */
export interface Timeline {
  readonly id: string
  readonly state: string
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** By the store's clock; where the run has ended, its end. */
  readonly end: number
  readonly isOver: boolean
  /** Another one where what was drawn before is out of date: windows of different revisions do not fit each other. */
  readonly revision: string
  readonly workers: readonly string[]
  readonly window: TimelineWindow
  /** What follows is left out where a part of the time was asked for. */
  readonly groups?: readonly TimelineGroup[]
  readonly steps?: readonly ReportStep[]
  readonly critical?: readonly ReportCritical[]
  /** What is at work now: at most 500 of them. */
  readonly running?: readonly RunningBranch[]
  readonly notes?: readonly string[]
}

/** Which branches of a group. */
export interface BranchQuery {
  /** The path of the group in the run. */
  readonly path: string
  /** Only those that ended so; `again`: those that were started more than once; `slow`: the slowest first. Default: all that have ended, in order. */
  readonly only?: ReportStatus | 'again' | 'slow'
  /** Only this one. */
  readonly index?: number
  /** 1 to 200. Default: 50. */
  readonly limit?: number
  /** How many to pass over. Default: 0. */
  readonly skip?: number
}

/** A branch as people read it; `error` where it is known: of the first 60 of a group that did not succeed. */
export type ListedBranch = ReportBranch & { readonly workerName?: string; readonly error?: ReportError }

export interface BranchPage {
  readonly items: readonly ListedBranch[]
  /** How many match in all. */
  readonly total: number
}
