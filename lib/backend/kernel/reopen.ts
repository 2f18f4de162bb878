/** Opening a run again that has ended: what is saved stays, its root group waits for a driver, and a new epoch begins. */
import type { ReopenAnswer, ReopenRequest } from '../backend.js'
import { applyDecision } from './by-hand.js'
import { noteRun } from './event-log.js'
import type { Run } from './group.js'
import { relane } from './ready-queue.js'
import { forgetSaved, reopenGroup, reopenRoot, requeueAnew, withLayout } from './retries.js'
import { withCall } from './run.js'
import type { KernelState } from './state.js'
import { addReady } from './waking.js'

/** Reopens a run. Repeated with its nonce it is `ok` and changes nothing. */
export function reopen(state: KernelState, request: ReopenRequest): ReopenAnswer {
  const run = state.runs.get(request.runId)
  if (run === undefined) return 'gone'
  if (run.reopenedBy.includes(request.nonce)) return 'ok'
  if (run.end === undefined) return 'running'
  const root = run.groups.get(run.id)
  const redo = request.isPartial === true ? [] : (request.redo ?? [])
  const redone = redo.map(({ gid }) => run.groups.get(gid))
  if (root === undefined || root.filled === 0 || redone.includes(undefined)) return 'not-kept'
  forget(state, run, request)
  if (request.isPartial === true) return 'ok'
  goOn(state, run, request.nonce)
  reopenRoot(state, root)
  root.isOpeners = false
  root.need = request.need ?? root.need
  if (root.need !== undefined) relane(root, root.need)
  for (const [i, { indexes }] of redo.entries()) {
    const group = redone[i]
    if (group !== undefined) reopenGroup(state, group, new Set(indexes), withLayout(group.spec))
  }
  addReady(state, root, requeueAnew(root, 0))
  if (request.decision !== undefined) applyDecision(state, run, request.decision)
  noteRun(state, run)
  return 'ok'
}

/** Deletes saved outputs and groups. */
function forget(state: KernelState, run: Run, { forget: paths = [], drop = [] }: ReopenRequest): void {
  forgetSaved(state, run, paths)
  for (const gid of drop) {
    const group = run.groups.get(gid)
    if (group === undefined || group.isRoot) continue
    state.addBytes(run, -group.workBytes - group.outcomeBytes)
    state.groups.delete(gid)
    run.groups.delete(gid)
  }
}

/** The run has not ended any more, and nobody drives it. Whoever drives it next, a worker takes it over from. */
function goOn(state: KernelState, run: Run, nonce: string): void {
  state.retained.delete(run)
  state.withPayloads.delete(run)
  state.retainedBytes -= run.bytes
  state.addBytes(run, -(run.end?.value.length ?? 0))
  run.end = undefined
  run.cancelReason = undefined
  run.epoch += 1
  run.reopenedBy = withCall(run.reopenedBy, nonce)
  run.isPaused = false
  run.isAbandoned = false
  run.isLeftBehind = false
  run.driver = undefined
  run.lostAt = run.hasOpener ? state.wallNow : undefined
  if (run.timeout !== undefined && run.timeoutMs !== undefined) {
    state.runTimeouts.add(run.timeout, state.now + run.timeoutMs)
  }
  if (run.hasOpener) {
    // nobody may come
    run.keptUntil = state.now + run.retentionMs
    state.purges.add(run.purge, run.keptUntil)
  } else state.purges.remove(run.purge)
}
