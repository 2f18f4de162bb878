/** Channel operations: which branches may write or lock, and whether there is room; channels.ts and locks.ts do the rest. */
import { GraflowError } from '../../errors.js'
import type { ChannelAnswer, ChannelRequest, Holder, LockAnswer, LockRequest } from '../backend.js'
import { Channels } from './channels.js'
import { heldGroup } from './grants.js'
import { lostLock, renewLock, takeLock, unlock } from './locks.js'
import type { Run } from './group.js'
import type { KernelState } from './state.js'

/**
 * Reads or writes a channel of a run. A write needs the current holder of a branch of this run, else it is `fenced`, and the locks that it
 * stands under, else it is `lost`; one that adds bytes to a full store is `backpressure`. Channels.apply says what a repeat does. Throws
 * RUN_NOT_FOUND.
 */
export function channel(
  state: KernelState,
  runId: string,
  holder: Holder | undefined,
  request: ChannelRequest,
): ChannelAnswer {
  const run = runOf(state, runId)
  const isRead = request.kind === 'get' || request.kind === 'keys'
  if (!isRead) {
    if (!isHeldBy(state, run, holder)) return { status: 'fenced' }
    const lost = request.under === undefined ? undefined : lostLock(run.locks, request.under)
    if (lost !== undefined) return { status: 'lost', key: lost }
  }
  const adds = request.kind === 'set' || request.kind === 'append' || request.kind === 'prepend'
  if (adds && state.isFull(0)) return { status: 'backpressure' }
  run.channels ??= new Channels()
  const before = run.channels.bytes
  const answer = run.channels.apply(request, state.now)
  state.addBytes(run, run.channels.bytes - before)
  return answer
}

/** Takes, renews or gives back a lock of a run. A repeated unlock answers the same. Throws RUN_NOT_FOUND. */
export function lock(state: KernelState, runId: string, holder: Holder, request: LockRequest): LockAnswer {
  const run = runOf(state, runId)
  if (!isHeldBy(state, run, holder)) return { status: 'fenced' }
  run.locks ??= new Map()
  run.channels ??= new Channels()
  const { key, nonce } = request
  switch (request.kind) {
    case 'renew':
      return renewLock(state, run.locks, key, nonce, request.leaseMs)
    case 'lock':
      // a call that arrives once more, after the unlock: nobody waits for its answer
      return run.channels.hasAnswered(nonce) ? { status: 'lost' } : takeLock(state, run.locks, holder, request)
    case 'unlock': {
      const { locks } = run
      return run.channels.once(nonce, () => unlock(state, locks, key, nonce))
    }
    default:
      return request satisfies never
  }
}

function runOf(state: KernelState, runId: string): Run {
  const run = state.runs.get(runId)
  if (run === undefined) throw new GraflowError('RUN_NOT_FOUND', `expected a run that is kept, got ${runId}`)
  return run
}

const isHeldBy = (state: KernelState, run: Run, holder: Holder | undefined): boolean =>
  holder !== undefined && heldGroup(state, holder)?.run === run
