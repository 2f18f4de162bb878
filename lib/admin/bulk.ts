/**
 * A command on all runs that match a filter: page by page, newest first, some runs of a page at a time. Each run is a call of its own, so the store
 * serves others in between, and what was done stays done when this process ends. A later call finds what is left.
 */
import type { Inspector, ListedRun, RunQuery } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import { checkOptions, type OptionTable } from '../options.js'
import type { BulkOptions, BulkProgress } from '../producer/operator-types.js'

/** Runs of a page, and how many of them are worked on at once: their calls travel together. */
const PAGE = 256
const AT_ONCE = 32

const BULK_OPTIONS = {
  onProgress: { kind: 'function', help: '' },
  signal: { kind: 'object', like: { what: 'an AbortSignal', methods: ['addEventListener'] }, help: '' },
  cursor: { kind: 'string', help: '' },
} as const satisfies OptionTable

/** Callers may have no types. @throws GraflowError INVALID_OPTION */
export const checkBulk = (what: string, options: BulkOptions): BulkOptions => checkOptions(what, BULK_OPTIONS, options)

/**
 * How many runs `command` did something for (it answers whether it did).
 * @throws GraflowError what `command` throws that is not about one run
 */
export async function inBulk(
  inspect: Pick<Inspector, 'runs'>,
  criteria: Omit<RunQuery, 'limit' | 'after'>,
  { onProgress, signal, cursor }: BulkOptions,
  command: (run: ListedRun) => Promise<boolean>,
): Promise<number> {
  let progress: BulkProgress = { done: 0, matched: 0, failed: 0, cursor }
  while (signal?.aborted !== true) {
    const after = progress.cursor
    const page = await inspect.runs({ ...criteria, limit: PAGE, ...(after !== undefined && { after }) })
    const answers = await eachOf(page.items, command)
    const count = (wanted: boolean | 'failed'): number => answers.filter((answer) => answer === wanted).length
    progress = {
      done: progress.done + count(true),
      matched: progress.matched + answers.length,
      failed: progress.failed + count('failed'),
      cursor: page.after,
    }
    onProgress?.(progress)
    if (page.after === undefined) break
  }
  return progress.done
}

async function eachOf(
  runs: readonly ListedRun[],
  command: (run: ListedRun) => Promise<boolean>,
): Promise<readonly (boolean | 'failed')[]> {
  const answers: (boolean | 'failed')[] = []
  const left = runs.values()
  let isStopped = false
  const work = async (): Promise<void> => {
    for (const run of left) {
      if (isStopped) return
      answers.push(await command(run).catch(failedOr))
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  } finally {
    isStopped = true // once the caller knows of an error, no other run is touched
  }
  return answers
}

/** Errors that are about one run. */
const OF_ONE_RUN: readonly string[] = ['NOT_KEPT', 'RUN_NOT_FOUND', 'NO_GRAPH', 'INTEGRITY', 'GRAPH_MISMATCH']

function failedOr(error: unknown): 'failed' {
  if (error instanceof GraflowError && OF_ONE_RUN.includes(error.code)) return 'failed'
  throw error
}
