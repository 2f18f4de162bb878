/** Channel operations: which branches may write, and whether there is room; channels.ts does the rest. */
import { GraflowError } from '../../errors.js'
import type { ChannelAnswer, ChannelRequest, Holder } from '../backend.js'
import { Channels } from './channels.js'
import { heldGroup } from './grants.js'
import type { KernelState } from './state.js'

/**
 * Reads or writes a channel of a run. A write needs the current holder of a branch of this run, else it is `fenced`; one that adds
 * bytes to a full store is `backpressure`. Channels.apply says what a repeat does. Throws RUN_NOT_FOUND.
 */
export function channel(
  state: KernelState,
  runId: string,
  holder: Holder | undefined,
  request: ChannelRequest,
): ChannelAnswer {
  const run = state.runs.get(runId)
  if (run === undefined) throw new GraflowError('RUN_NOT_FOUND', `expected a run that is kept, got ${runId}`)
  const isRead = request.kind === 'get' || request.kind === 'keys'
  if (!isRead && (holder === undefined || heldGroup(state, holder)?.run !== run)) return { status: 'fenced' }
  const adds = request.kind === 'set' || request.kind === 'append' || request.kind === 'prepend'
  if (adds && state.isFull(0)) return { status: 'backpressure' }
  run.channels ??= new Channels()
  const before = run.channels.bytes
  const answer = run.channels.apply(request, state.now)
  state.addBytes(run, run.channels.bytes - before)
  return answer
}
