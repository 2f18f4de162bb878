/**
 * Outcomes of a run's branches as they arrive, read from the store group by group; nothing is lost if the reader is slow. A group that a retry opens
 * again is read again: branches that start anew have another outcome, the others are left out.
 */
import type { GroupStatus, OutcomesPage } from '../backend/backend.js'
import { named } from '../values/item-label.js'
import { decodeItem } from '../values/value-lists.js'
import { Cancellation } from '../engine/cancellation.js'
import { labelKeyOf, NO_LABELS, StoredLabels, type LabelOf } from '../engine/branch-labels.js'
import { labelOf as taskLabelOf } from '../engine/prepared-grant.js'
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

/** How many first pages are asked for at once: each has at most an eighth of what the server holds back for a client. */
const READ_AHEAD = 4

/** How far a group has been read. */
interface Position {
  /** The chunk that comes next. */
  readonly next: number
  /** The outcomes given. */
  readonly given: number
  /** Whether none will follow. */
  readonly isOver: boolean
  readonly openedAt: number
  /** By index, 1 for each branch whose success was given, also before the group was opened again. */
  readonly succeeded: Uint8Array
}

const NONE = new Uint8Array(0)

/** All branches of all groups of the run, those so far first; ends when the run is over. A reader that leaves, leaves at once. */
export function branchOutcomes(
  runId: string,
  services: HandleServices,
): AsyncGenerator<BranchOutcome, void, undefined> {
  const reader = { leave: (): void => undefined }
  const items = outcomesFor(reader, runId, services)
  const end = items.return.bind(items)
  // a generator ends only behind what it waits for
  return Object.assign(items, {
    return: (...given: Parameters<typeof end>) => {
      reader.leave()
      return end(...given)
    },
  })
}

class HasLeft extends Error {}

async function* outcomesFor(
  reader: { leave: () => void },
  runId: string,
  services: HandleServices,
): AsyncGenerator<BranchOutcome, void, undefined> {
  const { backend, engine, closed } = services
  const left = new Cancellation(closed)
  reader.leave = () => left.abort(new HasLeft())
  const positions = new Map<string, Position>()
  const labels = new StoredLabels(backend.inspect, runId)
  const positionOf = ({ gid, openedAt }: GroupStatus): Position => {
    const known = positions.get(gid)
    if (known !== undefined && known.openedAt >= openedAt) return known
    return { next: 0, given: 0, isOver: false, openedAt, succeeded: known?.succeeded ?? NONE }
  }
  const pageOf = (group: GroupStatus): Promise<OutcomesPage | undefined> =>
    backend.inspect.outcomes(group.gid, positionOf(group).next)
  const changes = changesOf(runId, services, ['group', 'settled', 'state'])
  try {
    for (;;) {
      const changed = changes.next()
      const record = await backend.inspect.run(runId)
      if (record === undefined) throw runNotFound(runId)
      const groups = await backend.inspect.groups(runId)
      const forwarded = await forwardedGroups(groups, engine.graphs)
      const changedGroups = groups.filter((group) => !forwarded.has(group) && hasNews(group, positionOf(group)))
      for await (const [group, first] of readAhead(changedGroups, pageOf)) {
        const graph = await engine.graphs.load(group.graph)
        for (let page = first; ; page = await pageOf(group)) {
          const before = positionOf(group)
          const succeeded = before.succeeded.length === 0 ? new Uint8Array(group.size) : before.succeeded
          const position = { ...before, ...behind(page, before), succeeded }
          positions.set(group.gid, position)
          if (page !== undefined)
            yield* outcomesInPage(group, graph, page, succeeded, await labelsInPage(labels, group, graph, page))
          if (position.isOver || position.next === before.next) break
        }
      }
      if (isEnded(record)) return
      await left.race(changed)
    }
  } catch (error) {
    if (!(error instanceof HasLeft)) throw error
  } finally {
    changes.end()
    left.leave()
  }
}

/** Where one is who has read this page. A group that is gone has none. */
function behind(
  page: OutcomesPage | undefined,
  { next, given }: Position,
): Pick<Position, 'next' | 'given' | 'isOver'> {
  if (page === undefined) return { next, given, isOver: true }
  const count = page.chunks.reduce((sum, { indexes }) => sum + indexes.length, 0)
  return { next: page.next, given: given + count, isOver: page.withdrawn !== undefined }
}

/** Whether there may be outcomes that were not given. A group that is not open has its withdrawn branches, too. */
const hasNews = ({ state, succeeded, failed, dead }: GroupStatus, { given, isOver }: Position): boolean =>
  !isOver && (state !== 'open' || succeeded + failed + dead > given)

/** The answers for these, in turn; those for the next ones are on their way meanwhile. */
async function* readAhead<T, R>(
  items: readonly T[],
  ask: (item: T) => Promise<R>,
): AsyncGenerator<readonly [T, R], void, undefined> {
  const asked: Promise<R>[] = []
  for (const [i, item] of items.entries()) {
    for (const next of items.slice(i + asked.length, i + READ_AHEAD)) {
      const answer = ask(next)
      answer.catch(() => undefined) // awaited when its turn comes, and throws then
      asked.push(answer)
    }
    yield [item, (await asked.shift()) as R]
  }
}

/** Of all branches in a page; asked for where the group has some. */
function labelsInPage(
  labels: StoredLabels,
  { gid, node }: GroupStatus,
  graph: Graph,
  { chunks, withdrawn }: OutcomesPage,
): Promise<LabelOf> | LabelOf {
  const at = node === '' ? undefined : nodeAt(graph, node)
  if (labelKeyOf(at) === undefined) return NO_LABELS
  const indexes = [...chunks.map((chunk) => chunk.indexes), withdrawn?.indexes ?? new Uint32Array(0)]
  return labels.of(at, gid.slice(gid.indexOf('/') + 1), concatenated(indexes))
}

function* concatenated(lists: readonly Iterable<number>[]): Generator<number, void, undefined> {
  for (const list of lists) yield* list
}

function* outcomesInPage(
  group: GroupStatus,
  graph: Graph,
  page: OutcomesPage,
  succeeded: Uint8Array,
  labelOf: LabelOf,
): Generator<BranchOutcome, void, undefined> {
  for (const chunk of page.chunks) {
    for (const [i, index] of chunk.indexes.entries()) {
      const status = chunk.kinds[i] ?? 'dead'
      if (status === 'succeeded') {
        if (succeeded[index] === 1) continue
        succeeded[index] = 1
      }
      const isSilent = chunk.values.ends[i] === (chunk.values.ends[i - 1] ?? 0)
      yield branchOutcome(
        group,
        graph,
        index,
        labelOf(index),
        status,
        isSilent ? undefined : decodeItem(chunk.values, i),
      )
    }
  }
  for (const [i, index] of (page.withdrawn?.indexes ?? new Uint32Array(0)).entries()) {
    yield branchOutcome(group, graph, index, labelOf(index), page.withdrawn?.kinds[i] ?? 'cancelled', undefined)
  }
}

const SILENT = { failed: 'TIMEOUT', dead: 'BRANCH_DEAD', cancelled: 'CANCELLED', skipped: 'SKIPPED' } as const

function branchOutcome(
  group: GroupStatus,
  graph: Graph,
  index: number,
  label: string | undefined,
  status: OutcomeStatus,
  value: unknown,
): BranchOutcome {
  const base = group.gid.slice(group.gid.indexOf('/') + 1)
  const node = group.node === '' ? undefined : nodeAt(graph, group.node)
  const { path, branch } = memberOf(base, node, index)
  const task = taskLabelOf(branch, graph)
  const outcome: Outcome<unknown> =
    status === 'succeeded'
      ? { status, value: plainOutput(value) }
      : {
          status,
          error:
            value instanceof GraflowError
              ? value
              : new GraflowError(SILENT[status], `branch ${named(path, label)} is ${status}`, {
                  details: { path, ...(label !== undefined && { label }) },
                }),
        }
  return Object.freeze({ path, task, ...(label !== undefined && { label }), index, status, outcome })
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
