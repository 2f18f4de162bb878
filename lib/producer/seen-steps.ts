/** What `status()` says of a run's steps and of how far its handlers are. */
import { countSteps, seenIn, type StepRecord } from '../engine/step-journal.js'
import type { Engine } from '../engine/engine.js'
import { PROGRESS_MARKS, type SeenProgress } from '../engine/progress-notes.js'
import type { RunStateName } from '../events.js'
import { decode } from '../values/codec.js'
import type { RunProgress, RunStep } from './types.js'

/** What was noted of a run. */
export interface Noted {
  readonly records: readonly StepRecord[]
  readonly said: readonly SeenProgress[]
}

/** One look at the store for all of it. */
export async function notedOf(
  { stepsSeen, progress, parts: { backend } }: Pick<Engine, 'stepsSeen' | 'progress' | 'parts'>,
  runId: string,
): Promise<Noted> {
  const { marks, read } = stepsSeen.lookAt(runId)
  const outputs = await backend.inspect.outputs(runId, [...marks, ...PROGRESS_MARKS])
  return {
    records: read(outputs.slice(0, marks.length)),
    said: progress.read(runId, outputs.slice(marks.length)),
  }
}

/** @param state of the run */
export function seenOf(
  { records, said }: Noted,
  state: RunStateName,
): {
  readonly steps: readonly RunStep[]
  readonly progress: readonly RunProgress[]
  readonly counts: { readonly done: number; readonly total: number }
} {
  const seen = records.map((record) => seenIn(record, state))
  return {
    steps: seen.map(asStep),
    progress: said.map(({ at, ...one }) => ({ ...one, at: new Date(at) })),
    counts: countSteps(seen),
  }
}

function asStep({ path, task, state, attempt, startedAt, endedAt, error }: StepRecord): RunStep {
  const thrown = error === undefined ? undefined : decode(error)
  return {
    ...{ path, task, state, attempt, startedAt: new Date(startedAt) },
    // of a start that is repeated
    endedAt: endedAt === undefined || state === 'retrying' ? undefined : new Date(endedAt),
    ...(thrown instanceof Error && { error: thrown }),
  }
}
