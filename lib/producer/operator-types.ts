/** What operators see: dead letters, and pages of lists. */
import type { GraflowError } from '../errors.js'

/** A page of a list; `cursor` is absent on the last one, else it is what the next call is given. */
export interface Page<out T> {
  /** In the list's order. */
  readonly items: readonly T[]
  /** Where the next page begins. */
  readonly cursor?: string
}

/** Which page of a list. */
export interface PageOptions {
  /** Items at most: 1 to 1000. Default: 50. */
  readonly limit?: number
  /** What the page before said. Default: from the beginning. */
  readonly cursor?: string
}

/** A branch whose attempts are spent, or whose workers were lost too often. */
export interface DeadLetter {
  /** The id of the letter. */
  readonly id: string
  /** The run that the branch was of; it may be gone. */
  readonly runId: string
  /** The path of the branch in the run, such as `1/0/3`. */
  readonly path: string
  /** Its task or workflow; of any other branch its kind as events have it, such as `(sequence)`. Undefined when the graph is not kept any more. */
  readonly task: string | undefined
  /** How the branch ended. */
  readonly status: 'failed' | 'dead'
  /** Starts before the last one that ended in an error. */
  readonly errors: number
  /** Starts that were lost with their worker. */
  readonly losses: number
  /** When it ended. */
  readonly at: Date
  /** What it ended with; undefined when its workers were lost. */
  readonly error: GraflowError | undefined
}

/** A dead letter with its input. */
export interface DeadLetterWithInput extends DeadLetter {
  /** What the branch got; undefined when that was more than 64 KiB (then `hasInput` is false). */
  readonly input: unknown
  /** Whether the input was kept. */
  readonly hasInput: boolean
}

/** From where a run is retried. */
export interface RetryRunOptions {
  /** The path of a step or branch from which on all is done again. Default: what failed. */
  readonly from?: string
}

/** What a person decides: what a step or branch gives, why it fails, or that it is left out. */
export type Decision = { readonly succeed: unknown } | { readonly fail: unknown } | { readonly skip: true }

/** What a person has decided in a run. */
export interface DecisionByHand {
  /** The path of the step or branch. */
  readonly path: string
  /** What it was decided to be. */
  readonly as: 'succeeded' | 'failed' | 'skipped'
  /** When that was. */
  readonly at: Date
}

/** Which dead letters. */
export interface DeadLetterOptions extends PageOptions {
  /** Only those of this task or workflow. Default: all. */
  readonly task?: string
}

/** A build that is at work, or that runs wait for. */
export interface Build {
  /** What its workers and clients are given as `buildId`. */
  readonly buildId: string
  /** Its live workers; the embedded engine is one. */
  readonly workers: number
  /** Runs that have not ended and are pinned to it. When there are none, its workers may go. */
  readonly runs: number
}

/** The builds of a deployment. */
export interface Builds {
  /**
   * A page of the builds that have live workers or unfinished pinned runs, by their ids. Runs that end meanwhile may be counted or not.
   * @throws GraflowError INVALID_OPTION
   */
  list(options?: PageOptions): Promise<Page<Build>>
}
