/** What a driver that takes up a run goes on from: the outputs that are saved, checked, and whether there is enough of them. */
import type { Graph } from '../graph/graph.js'
import { stepsOf } from '../graph/locate.js'
import { corruptInput, faultLine, isInput, type CheckedOutputs } from './checksums.js'
import type { Engine } from './engine.js'

/**
 * Reads what was saved of a run. What is damaged or gone is logged and left out: the step runs again, from what was saved before it.
 * @throws GraflowError CHECKPOINT_VERSION; CHECKPOINT_CORRUPT where the input is damaged and the first step is not finished
 */
export async function savedOfRun(
  engine: Engine,
  runId: string,
  graph: Graph,
  input: Uint8Array,
): Promise<CheckedOutputs> {
  const saved = await engine.savedOf(runId, '')
  if (!isInput(saved, input) && !saved.outputs.has('0')) throw corruptInput(runId)
  if (saved.outputs.size === 0 && saved.faults.length === 0) await reportLost(engine, runId, graph)
  return saved
}

/** Nothing at all is saved: where a group stands behind a task that was not dispatched, the output of that task was saved, and is gone. */
async function reportLost({ parts: { backend, emitter } }: Engine, runId: string, graph: Graph): Promise<void> {
  const groups = await backend.inspect.groups(runId)
  const steps = new Set(groups.map(({ gid }) => gid.split('/', 2)[1]))
  const reached = Math.max(0, ...[...steps].map(Number).filter(Number.isSafeInteger))
  const lost = stepsOf(graph).findIndex(({ kind }, i) => i < reached && kind === 'task' && !steps.has(String(i)))
  if (lost < 0) return
  const path = String(lost)
  const message = faultLine(runId, { code: 'CHECKPOINT_MISSING', path })
  emitter.emit('log', { level: 'warn', message, runId, path })
}
