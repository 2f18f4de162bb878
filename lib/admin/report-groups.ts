/** One group of a run as a report shows it: all of its branches, or of very many those that people look for, and bins of the time of each worker. */
import type { GroupStatus, RunRecord } from '../backend/backend.js'
import { type LabelOf, NO_LABELS, type StoredLabels } from '../engine/branch-labels.js'
import { labelOf } from '../engine/prepared-grant.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { groupSegment, nodeAt } from '../graph/locate.js'
import { countsOf } from '../producer/group-counts.js'
import type { ReportBins, ReportBranch, ReportFailure, ReportGroup, ReportValue } from '../report/report.js'
import { Spans, type SpansFrame, statsOf } from './group-spans.js'
import type { GroupTimes } from './group-times.js'
import { branchErrorOf, valueText } from './report-values.js'

const BINS = 240

/** A group, and what is shown of it elsewhere. */
export interface ReadGroup {
  readonly group: ReportGroup
  readonly failures: readonly ReportFailure[]
  readonly values: readonly ReportValue[]
}

/** What is known beside the group itself. */
export interface GroupFrame extends SpansFrame {
  readonly labelOf?: LabelOf
}

interface Frame extends GroupFrame {
  /** Branches at most that are shown by themselves. */
  readonly most: number
}

/** What is known of a group, whatever is shown of its branches. */
export interface KnownGroup {
  readonly facts: Omit<ReportGroup, 'branches' | 'bins'>
  readonly spans: Spans
  readonly branchOf: (index: number) => ReportBranch
}

export function knownGroup(record: RunRecord, status: GroupStatus, times: GroupTimes, frame: GroupFrame): KnownGroup {
  const { createdAt } = record
  const path = status.gid.slice(status.gid.indexOf('/') + 1)
  const node = times.graph === undefined || status.node === '' ? undefined : nodeAt(times.graph, status.node)
  const spans = new Spans(record, status, times, frame)
  const nameOf = (index: number): { path: string; task: string; label?: string } => {
    const label = frame.labelOf?.(index)
    return { ...memberOf(path, node, index, times.graph), ...(label !== undefined && { label }) }
  }
  return {
    facts: {
      ...{ path, title: titleOf(node, nameOf), state: status.state, width: status.size, counts: countsOf(status) },
      openedAt: status.openedAt - createdAt,
      ...(status.releasedAt !== undefined && { releasedAt: status.releasedAt - createdAt }),
      ...statsOf(spans, status.openedAt - createdAt),
      ...{ retries: sum(times.errors) + sum(times.losses), losses: sum(times.losses) },
    },
    spans,
    branchOf: (index) => {
      const worker = spans.worker(index)
      return {
        ...{ index, ...nameOf(index), status: times.status[index] ?? 'skipped' },
        ...(spans.isTimed(index) && { start: spans.start(index), end: spans.end(index) }),
        ...(worker !== undefined && { worker }),
        ...{ errors: times.errors[index] ?? 0, losses: times.losses[index] ?? 0 },
      }
    },
  }
}

export function groupOf(record: RunRecord, status: GroupStatus, times: GroupTimes, frame: Frame): ReadGroup {
  const { facts, spans, branchOf } = knownGroup(record, status, times, frame)
  const shown = shownOf(times, spans, facts.stragglers, frame.most)
  return {
    group: {
      ...facts,
      branches: shown.map(branchOf),
      ...(spans.timed.length > frame.most && { bins: binsOf(spans, times) }),
    },
    failures: times.failed.map(({ index, error }) => {
      const { path, task, label, status: ended } = branchOf(index)
      return {
        ...{ path, task, status: ended },
        ...(label !== undefined && { label }),
        error: branchErrorOf(error),
      }
    }),
    values: times.outputs.map(({ index, value }) => {
      const { path, task, label } = branchOf(index)
      return { path, task, ...(label !== undefined && { label }), output: valueText(value) }
    }),
  }
}

/** Of all branches of the group: in a part of them any may be shown. */
export function labelsOfGroup(
  labels: StoredLabels,
  { gid, node, size }: GroupStatus,
  graph: Graph | undefined,
): Promise<LabelOf> | LabelOf {
  if (graph === undefined || node === '') return NO_LABELS
  return labels.of(nodeAt(graph, node), gid.slice(gid.indexOf('/') + 1), Array.from({ length: size }).keys())
}

const sum = (counts: Uint8Array): number => counts.reduce((all, count) => all + count, 0)

/** Numbers of the branches to show by themselves, in order of their starts. */
function shownOf(times: GroupTimes, spans: Spans, stragglers: readonly number[], most: number): readonly number[] {
  const size = times.status.length
  const ended = Array.from({ length: size }, (_, i) => i).filter((i) => times.status[i] !== undefined)
  const byStart = (a: number, b: number): number => (spans.start(a) || 0) - (spans.start(b) || 0) || a - b
  if (ended.length <= most) return ended.sort(byStart)
  const { timed } = spans
  const wanted = new Set([...stragglers, ...[...timed].sort((a, b) => spans.end(b) - spans.end(a)).slice(0, 10)])
  const add = (indexes: readonly number[], count: number): void => {
    for (const index of indexes.slice(0, count)) if (wanted.size < most) wanted.add(index)
  }
  add(
    ended.filter((i) => times.status[i] !== 'succeeded'),
    200,
  )
  add(
    ended.filter((i) => (times.errors[i] ?? 0) + (times.losses[i] ?? 0) > 0),
    200,
  )
  add(timed, 20)
  return [...wanted].sort(byStart)
}

function binsOf(spans: Spans, times: GroupTimes): readonly ReportBins[] {
  const { timed } = spans
  const first = spans.start(timed[0] ?? 0)
  const last = timed.reduce((latest, i) => Math.max(latest, spans.end(i)), first)
  const width = Math.max(1, last - first) / BINS
  const lanes = new Map<number, { branches: number; failed: number; busyMs: number[] }>()
  for (const i of timed) {
    const worker = spans.worker(i) ?? 0
    const lane = lanes.get(worker) ?? { branches: 0, failed: 0, busyMs: new Array<number>(BINS).fill(0) }
    lanes.set(worker, lane)
    lane.branches += 1
    if (times.status[i] !== 'succeeded') lane.failed += 1
    const [from, to] = [spans.start(i) - first, spans.end(i) - first]
    for (
      let bin = Math.min(BINS - 1, Math.floor(from / width));
      bin < BINS && bin * width < Math.max(to, from + 0.1);
      bin++
    ) {
      const overlap = Math.min(to, (bin + 1) * width) - Math.max(from, bin * width)
      lane.busyMs[bin] = (lane.busyMs[bin] ?? 0) + Math.max(overlap, 0)
    }
  }
  return [...lanes].map(([worker, { busyMs, ...lane }]) => ({
    ...{ worker, ...lane },
    busyMs: busyMs.map((ms) => Math.round(ms * 10) / 10),
  }))
}

function memberOf(
  base: string,
  node: GraphNode | undefined,
  index: number,
  graph: Graph | undefined,
): { readonly path: string; readonly task: string } {
  const task = (branch: GraphNode | undefined): string => (graph === undefined ? '' : labelOf(branch, graph))
  if (node?.kind === 'each') return { path: `${base}/${index}`, task: task(node.body) }
  if (node?.kind === 'group') return { path: `${base}/${groupSegment(node, index)}`, task: task(node.branches[index]) }
  return { path: base, task: task(node) }
}

function titleOf(node: GraphNode | undefined, nameOf: (index: number) => { readonly task: string }): string {
  if (node?.kind === 'each') return node.options.name ?? `${nameOf(0).task}*`
  if (node?.kind !== 'group') return nameOf(0).task
  const tasks = node.branches.slice(0, 3).map((_, i) => nameOf(i).task)
  return node.options.name ?? `${tasks.join(' | ')}${node.branches.length > 3 ? ' | …' : ''}`
}
