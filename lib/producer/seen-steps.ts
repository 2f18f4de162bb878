/** What `status()` says of a run's steps and of how far its handlers are. */
import { countSteps, seenIn, type StepRecord } from '../engine/step-journal.js'
import type { Engine } from '../engine/engine.js'
import type { RunStateName } from '../events.js'
import { decode } from '../values/codec.js'
import type { RunProgress, RunStep } from './types.js'

/** @param state of the run */
export async function seenOf(
  { stepsSeen, progress }: Pick<Engine, 'stepsSeen' | 'progress'>,
  runId: string,
  state: RunStateName,
): Promise<{
  readonly steps: readonly RunStep[]
  readonly progress: readonly RunProgress[]
  readonly counts: { readonly done: number; readonly total: number }
}> {
  const [records, said] = await Promise.all([stepsSeen.of(runId), progress.of(runId)])
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
