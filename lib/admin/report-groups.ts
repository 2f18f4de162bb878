/** One group of a run as a report shows it: all of its branches, or of very many those that people look for, and bins of the time of each worker. */
import type { GroupStatus, OutcomesPage, RunRecord } from '../backend/backend.js'
import { type LabelOf, NO_LABELS, type StoredLabels } from '../engine/branch-labels.js'
import { labelOf } from '../engine/prepared-grant.js'
import { plainOutput } from '../engine/directives.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { groupSegment, nodeAt } from '../graph/locate.js'
import { countsOf } from '../producer/group-counts.js'
import type { OperatorServices } from '../producer/operators.js'
import type {
  ReportBins,
  ReportBranch,
  ReportFailure,
  ReportGroup,
  ReportStatus,
  ReportValue,
} from '../report/report.js'
import { decodeTimes, nearest } from '../values/branch-times.js'
import { decodeItem } from '../values/value-lists.js'
import { errorOf, valueText } from './report-values.js'

const BINS = 240
const STRAGGLERS = 20
/** A straggler takes so many times the median. */
const TIMES = 3
const LEAST_STRAGGLER_MS = 10
const MOST_FAILURES = 60
/** Outputs of the first branches of a group that are shown. */
const MOST_VALUES = 8

/** Names of workers, by the numbers that a report has for them. */
export class Workers {
  readonly names: string[] = []
  readonly #numbers = new Map<string, number>()
  readonly #known = new Map<number, string>()

  /** Of the worker with this tag in a group; `names`: those that the group says. Another group may say it where this one does not. */
  tagged(tag: number, names: ReadonlyMap<number, string>): number {
    const name = names.get(tag) ?? this.#known.get(tag)
    if (name !== undefined) this.#known.set(tag, name)
    return this.#numberOf(name ?? `worker ${tag.toString(16)}`)
  }

  #numberOf(name: string): number {
    let number = this.#numbers.get(name)
    if (number === undefined) {
      number = this.names.push(name) - 1
      this.#numbers.set(name, number)
    }
    return number
  }
}

/** What the store has of a group's branches: a column for each fact, a row for each branch. */
export interface GroupTimes {
  readonly graph: Graph | undefined
  readonly status: (ReportStatus | undefined)[]
  /** The last 32 bits of its start, as in branch-times.ts; NaN where it is not known. */
  readonly start: Float64Array
  readonly durationMs: Float64Array
  readonly errors: Uint8Array
  readonly losses: Uint8Array
  readonly tag: Int32Array
  readonly names: ReadonlyMap<number, string>
  readonly failed: readonly { readonly index: number; readonly error: unknown }[]
  readonly outputs: readonly { readonly index: number; readonly value: unknown }[]
}

/** Undefined where the outcomes of the group are not kept any more. */
export async function readTimes(
  { backend, engine }: OperatorServices,
  group: GroupStatus,
): Promise<GroupTimes | undefined> {
  const { size } = group
  const names = new Map<number, string>()
  const failed: { index: number; error: unknown }[] = []
  const outputs: { index: number; value: unknown }[] = []
  const times: GroupTimes = {
    graph: await engine.graphs.load(group.graph).catch(() => undefined),
    status: new Array<ReportStatus | undefined>(size).fill(undefined),
    ...{ start: new Float64Array(size).fill(Number.NaN), durationMs: new Float64Array(size) },
    ...{ errors: new Uint8Array(size), losses: new Uint8Array(size), tag: new Int32Array(size).fill(-1) },
    ...{ names, failed, outputs },
  }
  for (let after = 0; ; ) {
    const page = await backend.inspect.outcomes(group.gid, after)
    if (page === undefined) return after === 0 ? undefined : times
    addPage(times, page, names, failed, outputs)
    if (page.withdrawn !== undefined || page.next === after) return times
    after = page.next
  }
}

function addPage(
  times: GroupTimes,
  { chunks, withdrawn }: OutcomesPage,
  names: Map<number, string>,
  failed: { index: number; error: unknown }[],
  outputs: { index: number; value: unknown }[],
): void {
  for (const { indexes, kinds, values, times: kept = [] } of chunks) {
    for (const [i, index] of indexes.entries()) {
      const kind = kinds[i] ?? 'dead'
      times.status[index] = kind
      if (kind === 'succeeded') {
        if (outputs.length < MOST_VALUES) outputs.push({ index, value: plainOutput(decodeItem(values, i)) })
      } else if (failed.length < MOST_FAILURES) {
        const isSilent = values.ends[i] === (values.ends[i - 1] ?? 0)
        failed.push({ index, error: isSilent ? undefined : decodeItem(values, i) })
      }
    }
    for (const range of kept) addTimes(times, range.bytes, range.indexes, names)
  }
  for (const [i, index] of (withdrawn?.indexes ?? new Uint32Array(0)).entries())
    times.status[index] = withdrawn?.kinds[i] ?? 'cancelled'
}

function addTimes(times: GroupTimes, bytes: Uint8Array, indexes: Uint32Array, names: Map<number, string>): void {
  const read = decodeTimes(bytes, indexes)
  if (read === undefined) return
  if (read.name !== undefined) names.set(read.tag, read.name)
  for (const { index, start, durationMs, errors, losses } of read.branches) {
    if (times.status[index] === undefined) continue // it did not end by this
    times.start[index] = start
    times.durationMs[index] = durationMs
    times.errors[index] = errors
    times.losses[index] = losses
    times.tag[index] = read.tag
  }
}

/** A group, and what is shown of it elsewhere. */
export interface ReadGroup {
  readonly group: ReportGroup
  readonly failures: readonly ReportFailure[]
  readonly values: readonly ReportValue[]
}

interface Frame {
  readonly workers: Workers
  /** By the store's clock. */
  readonly now: number
  /** Branches at most that are shown by themselves. */
  readonly most: number
  readonly labelOf?: LabelOf
}

export function groupOf(record: RunRecord, status: GroupStatus, times: GroupTimes, frame: Frame): ReadGroup {
  const { createdAt } = record
  const path = status.gid.slice(status.gid.indexOf('/') + 1)
  const node = times.graph === undefined || status.node === '' ? undefined : nodeAt(times.graph, status.node)
  const spans = new Spans(record, status, times, frame)
  const nameOf = (index: number): { path: string; task: string; label?: string } => {
    const label = frame.labelOf?.(index)
    return { ...memberOf(path, node, index, times.graph), ...(label !== undefined && { label }) }
  }
  const branchOf = (index: number): ReportBranch => {
    const worker = spans.worker(index)
    return {
      ...{ index, ...nameOf(index), status: times.status[index] ?? 'skipped' },
      ...(spans.isTimed(index) && { start: spans.start(index), end: spans.end(index) }),
      ...(worker !== undefined && { worker }),
      ...{ errors: times.errors[index] ?? 0, losses: times.losses[index] ?? 0 },
    }
  }
  const stats = statsOf(spans)
  const shown = shownOf(times, spans, stats.stragglers, frame.most)
  return {
    group: {
      ...{ path, title: titleOf(node, nameOf), state: status.state, width: status.size, counts: countsOf(status) },
      openedAt: status.openedAt - createdAt,
      ...(status.releasedAt !== undefined && { releasedAt: status.releasedAt - createdAt }),
      ...stats,
      ...{ retries: sum(times.errors) + sum(times.losses), losses: sum(times.losses) },
      branches: shown.map(branchOf),
      ...(spans.timed.length > frame.most && { bins: binsOf(spans, times) }),
    },
    failures: times.failed.map(({ index, error }) => ({
      ...{ ...nameOf(index), status: times.status[index] ?? 'failed' },
      error: errorOf(
        error ?? { name: 'Error', message: 'its workers were lost, or it was past its deadline: no worker said more' },
      ),
    })),
    values: times.outputs.map(({ index, value }) => ({ ...nameOf(index), output: valueText(value) })),
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

/** The spans of a group's branches in milliseconds since the creation of the run; those of a worker that contradict the store are shifted. */
class Spans {
  /** Branches with times, in order of their starts. */
  readonly timed: readonly number[]
  readonly #start: Float64Array
  readonly #durationMs: Float64Array
  readonly #worker = new Map<number, number>()
  readonly #tag: Int32Array

  constructor(record: RunRecord, { openedAt, releasedAt, size }: GroupStatus, times: GroupTimes, frame: Frame) {
    const { createdAt, retries } = record
    this.#start = new Float64Array(size).fill(Number.NaN)
    this.#durationMs = times.durationMs
    this.#tag = times.tag
    const early = new Map<number, number>()
    const late = new Map<number, number>()
    const timed: number[] = []
    for (let i = 0; i < size; i++) {
      const low = times.start[i] ?? Number.NaN
      if (Number.isNaN(low)) continue
      timed.push(i)
      const start = nearest(low, openedAt)
      this.#start[i] = start - createdAt
      const tag = times.tag[i] ?? -1
      if (!this.#worker.has(tag)) this.#worker.set(tag, frame.workers.tagged(tag, times.names))
      early.set(tag, Math.max(early.get(tag) ?? 0, openedAt - start))
      late.set(tag, Math.max(late.get(tag) ?? 0, start + (times.durationMs[i] ?? 0) - (releasedAt ?? frame.now)))
    }
    // What was kept of a group that was opened again is older than its opening.
    if (retries === 0) {
      for (const i of timed) {
        const tag = times.tag[i] ?? -1
        const shift = (early.get(tag) ?? 0) > 0 ? (early.get(tag) ?? 0) : -(late.get(tag) ?? 0)
        this.#start[i] = (this.#start[i] ?? 0) + shift
      }
    }
    this.timed = timed.sort((a, b) => this.start(a) - this.start(b) || a - b)
  }

  isTimed(index: number): boolean {
    return !Number.isNaN(this.#start[index] ?? Number.NaN)
  }

  start(index: number): number {
    return this.#start[index] ?? Number.NaN
  }

  durationMs(index: number): number {
    return this.#durationMs[index] ?? 0
  }

  end(index: number): number {
    return this.start(index) + this.durationMs(index)
  }

  worker(index: number): number | undefined {
    return this.isTimed(index) ? this.#worker.get(this.#tag[index] ?? -1) : undefined
  }
}

type Stats = Pick<
  ReportGroup,
  'timed' | 'first' | 'last' | 'medianMs' | 'p95Ms' | 'longestMs' | 'skewMs' | 'stragglers'
>

function statsOf(spans: Spans): Stats {
  const { timed } = spans
  const [earliest] = timed
  if (earliest === undefined) return { timed: 0, stragglers: [] }
  const durations = Float64Array.from(timed, (i) => spans.durationMs(i)).sort()
  const ends = Float64Array.from(timed, (i) => spans.end(i)).sort()
  const at = (sorted: Float64Array, share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0
  const medianMs = at(durations, 0.5)
  const least = Math.max(LEAST_STRAGGLER_MS, TIMES * medianMs)
  const stragglers = timed.length < 3 ? [] : timed.filter((i) => spans.durationMs(i) >= least)
  return {
    timed: timed.length,
    ...{ first: spans.start(earliest), last: at(ends, 1) },
    ...{ medianMs, p95Ms: at(durations, 0.95), longestMs: at(durations, 1), skewMs: at(ends, 1) - at(ends, 0.5) },
    stragglers: stragglers.sort((a, b) => spans.durationMs(b) - spans.durationMs(a)).slice(0, STRAGGLERS),
  }
}

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
