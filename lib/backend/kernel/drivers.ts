/** What becomes of a run that nobody drives any more. */
import { noteRun } from './event-log.js'
import type { Group } from './group.js'
import { relane } from './ready-queue.js'
import type { KernelState } from './state.js'

/**
 * Nobody drives the run any more; its groups go on. A worker that knows what is left of it may take it over, unless it is left behind. What
 * nobody takes goes when its retention ends; a submitted run waits for a driver as before. Call it before the root is ready again.
 *
 * @param isWoken the root was parked, so its driver is not lost: one that is left behind is given a while to be taken before it is abandoned
 */
export function loseDriver(state: KernelState, root: Group, isWoken = false): void {
  const { run } = root
  run.driver = undefined
  root.isOpeners = run.isLeftBehind // from now on it is counted where a worker may take it
  if (run.isLeftBehind && !isWoken) run.isAbandoned = true
  else if (run.isLeftBehind || run.hasOpener) run.lostAt = state.wallNow
  if (root.need !== undefined) relane(root, root.need)
  if (run.isLeftBehind || run.hasOpener) {
    run.keptUntil = state.now + run.retentionMs
    state.purges.add(run.purge, run.keptUntil)
  }
  noteRun(state, run)
}
