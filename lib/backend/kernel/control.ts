/** Commands of people and of holders: cancel, fail, end, pause, resume, withdraw, widen. */
import type { ControlAnswer, ControlRequest } from '../backend.js'
import { close } from './closing.js'
import { noteEvent, noteRun } from './event-log.js'
import { heldGroup } from './grants.js'
import type { Run } from './group.js'
import { purge } from './purge.js'
import { endRun } from './runs.js'
import type { KernelState } from './state.js'
import { place, notifyFor, notifyAll } from './waking.js'
import { widenLane } from './wide-lanes.js'

/**
 * Does a command. Repeated it is `dup` (or `over`, where the run has ended otherwise; `ok`, where a group was withdrawn) and changes nothing.
 */
export function control(state: KernelState, request: ControlRequest): ControlAnswer {
  switch (request.kind) {
    case 'cancel-run': {
      const run = state.runs.get(request.runId)
      if (run === undefined) return 'gone'
      if (run.end !== undefined) return run.end.state === 'cancelled' ? 'dup' : 'over'
      run.cancelReason = request.reason
      endRun(state, run, 'cancelled', request.value, request.reason)
      return 'ok'
    }
    case 'fail-run': {
      const run = state.runs.get(request.runId)
      if (run === undefined) return 'gone'
      if (run.end !== undefined) return run.end.state === 'failed' ? 'dup' : 'over'
      const isWaiting = run.groups.get(run.id)?.ready === 1 && !run.isPaused
      if (!isWaiting || run.isAbandoned || run.lostAt !== undefined) return 'fenced'
      endRun(state, run, 'failed', request.value, request.reason)
      return 'ok'
    }
    case 'end-run': {
      const run = state.runs.get(request.runId)
      if (run === undefined) return 'gone'
      if (run.end !== undefined) return run.end.state === request.state ? 'dup' : 'over'
      if (heldGroup(state, request.holder)?.run !== run) return 'fenced'
      if (request.state === 'cancelled') run.cancelReason = request.reason
      endRun(state, run, request.state, request.value, request.reason)
      return 'ok'
    }
    case 'delete-run': {
      const run = state.runs.get(request.runId)
      if (run === undefined) return 'gone'
      const isFirst = run.end === undefined || run.keptUntil > state.now
      if (run.end === undefined) {
        run.cancelReason = request.reason
        endRun(state, run, 'cancelled', request.value, request.reason)
      }
      if (isFirst) noteEvent(state, { kind: 'deleted', runId: run.id })
      run.keptUntil = state.now
      purge(state, run)
      return 'ok'
    }
    case 'pause-run':
    case 'resume-run':
      return setPaused(state, state.runs.get(request.runId), request.kind === 'pause-run')
    case 'withdraw-group': {
      const group = state.groups.get(request.gid)
      if (group === undefined) return 'gone'
      if (group.run.end !== undefined) return 'over'
      const holding = heldGroup(state, request.holder)
      if (group.isRoot || holding !== group.parent || request.holder.index !== group.parentIndex) return 'fenced'
      if (group.state === 'released') return 'dup'
      // a repeated call is answered as the first: only that tells the holder whether outcomes of the group count
      close(state, group, 'withdrawn', 'its holder withdrew it')
      return 'ok'
    }
    case 'widen-lane': {
      const answer = widenLane(state, request.gid, request.orNone)
      if (answer === 'ok') notifyAll(state)
      return answer
    }
    case 'drain-session':
      if (!state.sessions.has(request.session)) return 'gone'
      state.effects.notice(request.session, { kind: 'drain' })
      return 'ok'
    case 'pause-queue':
    case 'resume-queue': {
      const isPaused = request.kind === 'pause-queue'
      if ((state.queues.get(request.queue)?.isPaused ?? false) === isPaused) return 'dup'
      const queue = state.queue(request.queue)
      queue.isPaused = isPaused
      noteEvent(state, { kind: 'queue', queue: request.queue, isPaused })
      if (!isPaused) notifyAll(state)
      if (!isPaused && queue.isUnused) state.queues.delete(request.queue)
      return 'ok'
    }
    default:
      return request satisfies never
  }
}

function setPaused(state: KernelState, run: Run | undefined, isPaused: boolean): ControlAnswer {
  if (run === undefined) return 'gone'
  if (run.end !== undefined) return 'over'
  if (run.isPaused === isPaused) return 'dup'
  run.isPaused = isPaused
  run.pausedAt = isPaused ? state.wallNow : undefined
  for (const group of run.groups.values()) {
    place(group)
    if (!isPaused) notifyFor(state, group, group.ready)
  }
  noteRun(state, run)
  return 'ok'
}
