/** Opening a run: its record, and the root group whose one branch is the run itself. */
import { pack } from '../../values/packed-items.js'
import type { OpenAnswer, OpenRequest } from '../backend.js'
import { checkOpen } from '../request-checks.js'
import { rootSpec } from '../root-spec.js'
import { noteRun } from './event-log.js'
import { grantTo } from './granting.js'
import type { Group, Run } from './group.js'
import { newGroup } from './opening.js'
import { Run as RunRecord } from './run.js'
import type { KernelState } from './state.js'
import { step } from './step.js'
import { addReady } from './waking.js'

/**
 * Opens a run. Repeated with the same nonce it answers the same token while that is current; opened again under another nonce it is
 * `exists` (same digest) or `conflict`, by run id first, then by idempotency key. A first group is dispatched as by a step of its driver.
 */
export function open(state: KernelState, request: OpenRequest): OpenAnswer {
  const { runId, idempotencyKey } = request
  checkOpen(request, state.options)
  const known =
    state.runs.get(runId) ?? (idempotencyKey === undefined ? undefined : state.runsByKey.get(idempotencyKey))
  if (known !== undefined) return answerForKnown(known, request)
  const session = request.session === undefined ? undefined : state.sessions.get(request.session)
  if (request.session !== undefined && session === undefined) return { status: 'nosession' }
  if (state.isFull(request.input.length)) return { status: 'backpressure' }

  const run: Run = new RunRecord<Group>(request, state.wallNow, state.nextRunNumber())
  const root = newGroup(state, rootSpec(request), run, undefined)
  root.addInputs(pack([request.input]))
  root.workBytes += request.input.length
  root.need = request.rest
  state.addBytes(run, request.input.length)
  state.addRun(run)
  if (idempotencyKey !== undefined) state.runsByKey.set(idempotencyKey, run)
  state.graphRuns.set(run.graph, (state.graphRuns.get(run.graph) ?? 0) + 1)
  if (request.timeoutMs > 0) {
    run.timeout = { run, dueAt: 0, place: -1, order: 0 }
    state.runTimeouts.add(run.timeout, state.now + request.timeoutMs)
  }
  if (session === undefined) {
    addReady(state, root, 1)
    noteRun(state, run)
    return { status: 'ok', token: undefined }
  }
  root.isOpeners = true
  root.ready = 1
  const grant = grantTo(state, session, root, 1, request.nonce, Number.POSITIVE_INFINITY)
  if (grant === undefined || request.first === undefined) return { status: 'ok', token: grant?.token }
  const { spec, inputs } = request.first
  const holder = { gid: runId, index: 0, token: grant.token }
  const first = step(state, { holder, runId, group: { spec, from: 0, inputs } })
  return { status: 'ok', token: grant.token, first }
}

function answerForKnown(run: Run, request: OpenRequest): OpenAnswer {
  if (run.digest !== request.digest) return { status: 'conflict', runId: run.id }
  if (run.id !== request.runId || run.openNonce !== request.nonce || run.end !== undefined)
    return { status: 'exists', runId: run.id }
  if (request.session === undefined)
    return run.hasOpener ? { status: 'exists', runId: run.id } : { status: 'ok', token: undefined }
  const grant = run.groups.get(run.id)?.grantHolding(0)
  const isMine = grant !== undefined && grant.nonce === request.nonce && grant.session.id === request.session
  return isMine ? { status: 'ok', token: grant.token } : { status: 'exists', runId: run.id }
}
