/** A group and where its pipelines are: what people see of it, and what is to be decided anew. */
import type { PipelineGroup } from '../../producer/deployment-types.js'
import type { GroupFound, Places, StoredGroup, StoredPipeline } from './group-store.js'
import { isMisplaced, placeOf, type Candidate, type PlacingState, type Unplaced } from './placement.js'

/** Workers that could drive a pipeline, by id. */
export type Candidates = ReadonlyMap<string, Candidate>

const unplaced = ({ name, tasks, workerAffinity: affinity }: StoredPipeline): Unplaced => ({ name, tasks, affinity })

/** Whether a pipeline is not where it should be. */
export const isAnyMisplaced = ({ group, places }: GroupFound, candidates: Candidates): boolean =>
  group.pipelines.some((pipeline) => isMisplaced(unplaced(pipeline), places.get(pipeline.name), candidates))

/** Pipelines stay where they are, unless that is not right any more. */
export function placesOf(
  { group, places }: GroupFound,
  candidates: Candidates,
  state: PlacingState,
): { readonly places: Places; readonly cursor: string } {
  const decided = new Map<string, string>()
  for (const pipeline of group.pipelines) {
    const before = places.get(pipeline.name)
    const isRight = before !== undefined && !isMisplaced(unplaced(pipeline), before, candidates)
    const now = isRight ? before : placeOf(unplaced(pipeline), candidates, group.placement, state)
    if (now !== undefined) decided.set(pipeline.name, now)
  }
  return { places: decided, cursor: state.cursor }
}

/** A group as people see it. */
export function viewOf({ group, places }: GroupFound, candidates: Candidates): PipelineGroup {
  const { id, name, pipelines, routes, placement, createdAt } = group
  const placements = pipelines.map(({ name: pipeline }) => {
    const workerId = places.get(pipeline)
    const isThere = workerId !== undefined && candidates.has(workerId)
    return isThere
      ? ({ pipeline, workerId, status: 'running' } as const)
      : ({ pipeline, workerId: undefined, status: 'waiting' } as const)
  })
  const running = placements.filter(({ status }) => status === 'running').length
  return {
    ...{ id, name, pipelineCount: pipelines.length, placements, routes, placement, createdAt: new Date(createdAt) },
    status: running === pipelines.length ? 'running' : running === 0 ? 'waiting' : 'degraded',
    pipelines: pipelines.map(({ name, source, workerAffinity }) => ({
      ...{ name, source },
      ...(workerAffinity !== undefined && { workerAffinity }),
    })),
  }
}

/** Whether people have written the same. */
export function isSame(a: StoredGroup, b: StoredGroup): boolean {
  const written = ({ name, placement, routes, pipelines }: StoredGroup): string =>
    JSON.stringify([
      ...[name, placement, routes.map(({ from, to, eventTypes }) => [from, to, eventTypes])],
      pipelines.map(({ name, source, workerAffinity = null }) => [name, source, workerAffinity]),
    ])
  return written(a) === written(b)
}
