/** Housekeeping that only the leader does: what it asks names its term, and is refused when that is over. */
import type { TendAnswer, TendRequest } from '../backend.js'
import { isTerm } from './leader.js'
import { markNodes } from './nodes.js'
import { endRun } from './runs.js'
import type { KernelState } from './state.js'

/** Does what a leader asks. Repeating it is safe. */
export function tend(state: KernelState, request: TendRequest): TendAnswer {
  if (!isTerm(state, request.session, request.term)) return { status: 'deposed' }
  switch (request.kind) {
    case 'nodes':
      return { status: 'ok', count: markNodes(state, request.staleAfterMs, request.deadAfterMs) }
    case 'graphs': // a store in this process keeps graphs as long as their runs,
    case 'orphans': // and deletes what a run has with the run
      return { status: 'ok', count: 0 }
    case 'fail-run': {
      const run = state.runs.get(request.runId)
      const isDriven = run?.groups.get(run.id)?.grantHolding(0) !== undefined
      if (run === undefined || run.end !== undefined || run.isPaused || !isDriven) return { status: 'ok', count: 0 }
      endRun(state, run, 'failed', request.value, request.reason)
      return { status: 'ok', count: 1 }
    }
    default:
      return request satisfies never
  }
}
