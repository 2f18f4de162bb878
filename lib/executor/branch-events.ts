/**
 * What events say of a branch. Each is called only when there is a listener, because an event is more work than a short branch, and not for a
 * branch that is only forwarded: its events come from where the task runs.
 */
import type { PreparedBranch } from '../engine/prepared-grant.js'
import type { GraflowError } from '../errors.js'
import type { Emitter, OutcomeStatus } from '../events.js'

export function emitStarted(emitter: Emitter, branch: PreparedBranch): void {
  const { runId, runPath: path, label: task, eventIndex: index, workerId } = branch
  emitter.emit('branch:started', {
    runId,
    path,
    task,
    ...labelled(branch),
    index,
    workerId,
    attempt: attemptOf(branch),
  })
}

export function emitRetrying(emitter: Emitter, branch: PreparedBranch, delayMs: number, error: GraflowError): void {
  const { runId, runPath: path, label: task, eventIndex: index } = branch
  emitter.emit('branch:retrying', {
    runId,
    path,
    task,
    ...labelled(branch),
    index,
    attempt: attemptOf(branch),
    delayMs,
    error,
  })
}

export function emitSettled(emitter: Emitter, branch: PreparedBranch, status: OutcomeStatus): void {
  const { runId, runPath: path, label: task, eventIndex: index, workerId } = branch
  emitter.emit('branch:settled', {
    ...{ runId, path, task, ...labelled(branch), index, workerId },
    ...{ attempt: attemptOf(branch), status },
  })
}

/** Emitted only in this process. @param delayMs until the next start; undefined where there is none */
export function emitFailed(emitter: Emitter, branch: PreparedBranch, delayMs: number | undefined, error: Error): void {
  const { runId, runPath: path, label: task, workerId } = branch
  const attempt = attemptOf(branch)
  const again = delayMs === undefined ? {} : { delayMs }
  emitter.emit('start:failed', {
    ...{ runId, path, task, ...labelled(branch), attempt, workerId, what: 'branch' },
    ...again,
    error,
  })
}

const labelled = ({ itemLabel: label }: PreparedBranch): { readonly label?: string } =>
  label === undefined ? {} : { label }

const attemptOf = ({ errors, losses }: PreparedBranch): number => 1 + errors + losses
