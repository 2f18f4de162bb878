/** Outcomes of a run's branches as they arrive, read from the store group by group; nothing is lost if the reader is slow. */
import type { GroupStatus, OutcomesPage } from '../backend/backend.js'
import { decodeItem } from '../values/value-lists.js'
import { labelOf } from '../engine/prepared-grant.js'
import { GraflowError } from '../errors.js'
import type { OutcomeStatus } from '../events.js'
import type { Outcome } from '../flow/types.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { groupSegment, nodeAt } from '../graph/locate.js'
import { plainOutput } from '../engine/directives.js'
import { isEnded } from '../engine/driver.js'
import { changesOf } from './follow-run.js'
import { forwardedGroups } from './forwarded-groups.js'
import { runNotFound, type HandleServices } from './handle-services.js'
import type { BranchOutcome } from './types.js'

/** All branches of all groups of the run, those so far first; ends when the run is over. */
export async function* branchOutcomes(
  runId: string,
  services: HandleServices,
): AsyncGenerator<BranchOutcome, void, undefined> {
  const { backend, closed } = services
  const positions = new Map<string, number>()
  const over = new Set<string>()
  const changes = changesOf(runId, services, ['group', 'settled', 'state'])
  try {
    for (;;) {
      const changed = changes.next()
      const record = await backend.inspect.run(runId)
      if (record === undefined) throw runNotFound(runId)
      const groups = await backend.inspect.groups(runId)
      const forwarded = await forwardedGroups(groups, services.engine.graphs)
      for (const group of groups) {
        if (over.has(group.gid) || forwarded.has(group)) continue
        yield* outcomesOf(group, services, positions, over)
      }
      if (isEnded(record)) return
      await closed.race(changed)
    }
  } finally {
    changes.end()
  }
}

async function* outcomesOf(
  group: GroupStatus,
  services: HandleServices,
  positions: Map<string, number>,
  over: Set<string>,
): AsyncGenerator<BranchOutcome, void, undefined> {
  const graph = await services.engine.graphs.load(group.graph)
  for (;;) {
    const after = positions.get(group.gid) ?? 0
    const page = await services.backend.inspect.outcomes(group.gid, after)
    if (page === undefined) {
      over.add(group.gid)
      return
    }
    positions.set(group.gid, page.next)
    yield* outcomesInPage(group, graph, page)
    if (page.withdrawn !== undefined) over.add(group.gid)
    if (page.withdrawn !== undefined || page.next === after) return
  }
}

function* outcomesInPage(
  group: GroupStatus,
  graph: Graph,
  page: OutcomesPage,
): Generator<BranchOutcome, void, undefined> {
  for (const chunk of page.chunks) {
    for (const [i, index] of chunk.indexes.entries()) {
      const status = chunk.kinds[i] ?? 'dead'
      const isSilent = chunk.values.ends[i] === (chunk.values.ends[i - 1] ?? 0)
      yield branchOutcome(group, graph, index, status, isSilent ? undefined : decodeItem(chunk.values, i))
    }
  }
  for (const [i, index] of (page.withdrawn?.indexes ?? new Uint32Array(0)).entries()) {
    yield branchOutcome(group, graph, index, page.withdrawn?.kinds[i] ?? 'cancelled', undefined)
  }
}

const SILENT = { failed: 'TIMEOUT', dead: 'BRANCH_DEAD', cancelled: 'CANCELLED', skipped: 'SKIPPED' } as const

function branchOutcome(
  group: GroupStatus,
  graph: Graph,
  index: number,
  status: OutcomeStatus,
  value: unknown,
): BranchOutcome {
  const base = group.gid.slice(group.gid.indexOf('/') + 1)
  const node = group.node === '' ? undefined : nodeAt(graph, group.node)
  const { path, branch } = memberOf(base, node, index)
  const task = labelOf(branch, graph)
  const outcome: Outcome<unknown> =
    status === 'succeeded'
      ? { status, value: plainOutput(value) }
      : {
          status,
          error:
            value instanceof GraflowError
              ? value
              : new GraflowError(SILENT[status], `branch ${path} is ${status}`, { details: { path } }),
        }
  return Object.freeze({ path, task, index, status, outcome })
}

function memberOf(
  base: string,
  node: GraphNode | undefined,
  index: number,
): { readonly path: string; readonly branch: GraphNode | undefined } {
  if (node?.kind === 'each') return { path: `${base}/${index}`, branch: node.body }
  if (node?.kind === 'group') return { path: `${base}/${groupSegment(node, index)}`, branch: node.branches[index] }
  return { path: base, branch: node }
}
