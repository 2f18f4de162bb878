/** One run as the data of a report: read once, bounded whatever the run's size. */
import type { GroupStatus, RunRecord } from '../backend/backend.js'
import { StoredLabels } from '../engine/branch-labels.js'
import { outcomeOfRun } from '../engine/driver.js'
import type { Graph } from '../graph/graph.js'
import { nodeAt, staticPath } from '../graph/locate.js'
import { toSvg } from '../graph/svg.js'
import { baseIdOf } from '../producer/run-handle.js'
import { forwardedGroups } from '../producer/forwarded-groups.js'
import type { OperatorServices } from '../producer/operators.js'
import type { RunStep } from '../producer/types.js'
import type { ReportData, ReportFailure, ReportGroup, ReportStep, ReportValue } from '../report/report.js'
import { criticalPath } from './report-critical.js'
import { readTimes, Workers } from './group-times.js'
import { groupOf, labelsOfGroup, type ReadGroup } from './report-groups.js'
import { errorOf, valueText, valuesOf, withInputs } from './report-values.js'

/** Groups that are shown; of more the first and the last. */
const MOST_GROUPS = 400
/** Branches of all groups that are shown by themselves. */
const MOST_BRANCHES = 12_000
/** Groups that are read at once. */
const AT_ONCE = 4

/** @param steps of its status */
export async function reportOf(
  services: OperatorServices,
  record: RunRecord,
  steps: readonly RunStep[],
): Promise<ReportData> {
  const { inspect } = services.backend
  const writtenAt = Math.round(await inspect.now())
  const notes: string[] = []
  const all = await inspect.groups(record.runId)
  const forwarded = await forwardedGroups(all, services.engine.graphs)
  const groups = shownOf(
    all.filter((group) => !forwarded.has(group)),
    notes,
  )
  const graph = await services.engine.graphs.load(record.graph).catch(() => undefined)
  const workers = new Workers()
  const read = await readGroups(services, record, groups, workers, writtenAt)
  const shown = read.map(({ group }) => group)
  noteMissing(record, shown, notes)
  const ownSteps = steps.map((step) => stepOf(step, record.createdAt))
  const outcome = record.endedAt === undefined ? undefined : outcomeOfRun(record)
  return {
    ...factsOf(record, writtenAt),
    ...(outcome !== undefined && 'error' in outcome && { error: errorOf(outcome.error) }),
    ...(graph !== undefined && { svg: toSvg(graph) }),
    counts: graph === undefined ? {} : countsOf(graph, shown, ownSteps),
    workers: workers.names,
    steps: ownSteps,
    groups: shown,
    critical: criticalPath(ownSteps, shown),
    failures: [...failedSteps(steps), ...read.flatMap(({ failures }) => failures)].slice(0, 200),
    values: [
      ...(await valuesOf(services.engine, record, steps)),
      ...runValue(outcome),
      ...(await withInputs(services.engine, record, read)),
    ],
    notes,
  }
}

function factsOf(
  record: RunRecord,
  writtenAt: number,
): Omit<ReportData, 'counts' | 'workers' | 'steps' | 'groups' | 'critical' | 'failures' | 'values' | 'notes'> {
  const { runId, workflow, state, tags, build, driver, retries, createdAt, startedAt, endedAt } = record
  const name = driver === undefined ? undefined : baseIdOf(driver)
  return {
    ...{ id: runId, state, tags, retries, createdAt, writtenAt },
    ...(workflow !== undefined && { workflow }),
    ...(build !== undefined && { build }),
    ...(name !== undefined && { driver: name }),
    ...(startedAt !== undefined && { startedAt: startedAt - createdAt }),
    ...(endedAt !== undefined && { endedAt: endedAt - createdAt }),
  }
}

export function shownOf(groups: readonly GroupStatus[], notes: string[]): readonly GroupStatus[] {
  if (groups.length <= MOST_GROUPS) return groups
  const half = MOST_GROUPS / 2
  notes.push(`The run has ${groups.length} groups. The report has the first ${half} and the last ${half} of them.`)
  return [...groups.slice(0, half), ...groups.slice(-half)]
}

async function readGroups(
  services: OperatorServices,
  record: RunRecord,
  groups: readonly GroupStatus[],
  workers: Workers,
  now: number,
): Promise<readonly ReadGroup[]> {
  const read: ReadGroup[] = []
  const labels = new StoredLabels(services.backend.inspect, record.runId)
  const mostEach = Math.max(60, Math.floor(MOST_BRANCHES / Math.max(1, groups.length)))
  for (let from = 0; from < groups.length; from += AT_ONCE) {
    const some = groups.slice(from, from + AT_ONCE)
    const times = await Promise.all(some.map((group) => readTimes(services, group)))
    for (const [i, group] of some.entries()) {
      const found = times[i]
      if (found === undefined) continue
      const labelOf = await labelsOfGroup(labels, group, found.graph)
      read.push(groupOf(record, group, found, { workers, now, most: mostEach, labelOf }))
    }
  }
  return read
}

export function noteMissing(
  record: RunRecord,
  groups: readonly Pick<ReportGroup, 'timed' | 'counts'>[],
  notes: string[],
): void {
  if (record.state === 'completed' && groups.length === 0)
    notes.push(
      'If the run had groups, their outcomes are not kept any more: those of a completed run go ten minutes after its end.',
    )
  const untimed = groups.reduce((sum, { timed, counts }) => sum + counts.succeeded + counts.failed - timed, 0)
  if (untimed > 0)
    notes.push(
      `${untimed} branches that ended have no times: a worker with timings: false ran them, a person decided them, or the store did.`,
    )
}

export const stepOf = ({ path, task, state, attempt, startedAt, endedAt }: RunStep, createdAt: number): ReportStep => ({
  ...{ path, task, state, attempt, start: startedAt.getTime() - createdAt },
  ...(endedAt !== undefined && { end: endedAt.getTime() - createdAt }),
})

const failedSteps = (steps: readonly RunStep[]): readonly ReportFailure[] =>
  steps.flatMap(({ path, task, state, error }) =>
    error === undefined ? [] : [{ path, task, status: state, error: errorOf(error) }],
  )

const runValue = (outcome: ReturnType<typeof outcomeOfRun> | undefined): readonly ReportValue[] =>
  outcome === undefined || 'error' in outcome
    ? []
    : [{ path: '', task: 'result of the run', output: valueText(outcome.value) }]

/** How much was done at each node of the flow: of a group its branches, of a step its starts. */
function countsOf(graph: Graph, groups: readonly ReportGroup[], steps: readonly ReportStep[]): ReportData['counts'] {
  const counts: Record<string, { done: number; failed: number; all: number }> = {}
  const add = (path: string, done: number, failed: number, all: number): void => {
    const known = staticPath(graph, path)
    if (known === undefined || nodeAt(graph, known) === undefined) return
    const sum = (counts[known] ??= { done: 0, failed: 0, all: 0 })
    sum.done += done
    sum.failed += failed
    sum.all += all
  }
  for (const { path, counts: of, width } of groups) add(path, of.succeeded, of.failed + of.dead, width)
  for (const { path, state } of steps) add(path, state === 'succeeded' ? 1 : 0, state === 'failed' ? 1 : 0, 1)
  return counts
}
