/** Tells of every state that a run goes through, whoever brings it about: the store is asked, not the driver. */
import { outcomeOfRun } from '../engine/driver.js'
import type { RunStateName } from '../events.js'
import { isEnded, type HandleServices } from './handle-services.js'

/**
 * Emits `run:state` for every change from now on, until the run is over or the client closed.
 * @param known the state that it is in, which is told at once unless it is pending
 * @param over called once when the run is over, before its last event
 */
export function tellStates(
  runId: string,
  workflow: string | undefined,
  known: 'pending' | 'running',
  { backend, emitter }: HandleServices,
  over: () => void,
): void {
  let last: RunStateName = known
  const look = async (): Promise<void> => {
    const record = await backend.inspect.run(runId)
    if (record === undefined) {
      // past its retention before anybody looked
      off()
      over()
      return
    }
    if (record.state === last) return
    const from = last
    last = record.state
    if (!isEnded(record)) {
      emitter.emit('run:state', { runId, workflow, from, to: record.state })
      return
    }
    off()
    over()
    if (!emitter.has('run:state')) return
    const outcome = outcomeOfRun(record)
    const error = 'error' in outcome ? { error: outcome.error } : {}
    emitter.emit('run:state', { runId, workflow, from, to: record.state, ...error })
  }
  const lookAgain = (): void => {
    look().catch(() => undefined) // closed meanwhile: there is nobody to tell
  }
  const off = backend.watch(runId, ({ kind }) => {
    if (kind === 'state') lookAgain()
  })
  if (known === 'running') emitter.emit('run:state', { runId, workflow, from: 'pending', to: known })
  lookAgain() // somebody may have been faster: a worker that drives it, a caller who cancelled it
}
