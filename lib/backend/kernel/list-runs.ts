/** A page of the runs, newest first. Finding where it begins takes a few steps, however many runs there are. */
import type { ListedRun, RunPage, RunQuery } from '../backend.js'
import { wrongCursor } from '../request-checks.js'
import type { Run } from './group.js'
import type { KernelState } from './state.js'

/** Runs that one call looks at: some milliseconds. */
const MOST_RUNS_LOOKED_AT = 100_000

/** `after` is the number of the last run that was looked at. */
export function listRuns(state: KernelState, query: RunQuery): RunPage {
  const { runList, runs, wallNow } = state
  const items: ListedRun[] = []
  const from = positionBefore(runList, query.after)
  let after: number | undefined
  for (let i = from; i >= 0; i -= 1) {
    const run = runList[i]
    if (run === undefined || runs.get(run.id) !== run) continue
    if (items.length === query.limit || from - i >= MOST_RUNS_LOOKED_AT)
      return { items, after: String(after ?? run.number) }
    after = run.number
    if (isWanted(run, query, wallNow)) items.push(run.listed(wallNow))
  }
  return { items }
}

function isWanted(
  run: Run,
  { states, workflow, tag, build, since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY }: RunQuery,
  wallNow: number,
): boolean {
  if (states !== undefined && !states.includes(run.stateAt(wallNow))) return false
  if (workflow !== undefined && run.workflow !== workflow) return false
  if (tag !== undefined && !run.tags.includes(tag)) return false
  if (build !== undefined && run.build !== build) return false
  return run.createdAt >= since && run.createdAt < until
}

/** The place of the last run before the one with this number. @throws GraflowError INVALID_OPTION */
function positionBefore(runs: readonly Run[], after: string | undefined): number {
  if (after === undefined) return runs.length - 1
  if (!/^\d{1,16}$/.test(after)) {
    throw wrongCursor()
  }
  let [low, high] = [0, runs.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((runs[middle]?.number ?? 0) < Number(after)) low = middle + 1
    else high = middle
  }
  return low - 1
}
