/**
 * The timeline as numbers: which part of the time is in view, where lanes and slots lie, what is under a point. Knows nothing of a canvas or a server, so that
 * tests can ask it anything.
 */
import type { ReportBranch, ReportCritical, ReportStep } from '../../lib/report/report.js'
import type {
  RunningBranch,
  Timeline,
  TimelineBins,
  TimelineBlocks,
  TimelineGroup,
  TimelineWindow,
} from '../../lib/report/timeline.js'

/** With the name of its worker: numbers differ from answer to answer. */
export type NamedCritical = ReportCritical & { readonly workerName?: string }
export type NamedGroup = Omit<TimelineGroup, 'stragglers'> & { readonly stragglers: readonly NamedBranch[] }
type NamedBranch = ReportBranch & { readonly workerName?: string }
export type NamedRunning = RunningBranch & { readonly workerName?: string }

/** What does not change with the part of the time in view. */
export interface Whole {
  readonly groups: readonly NamedGroup[]
  readonly bands: readonly NamedGroup[]
  readonly critical: readonly NamedCritical[]
  readonly main: readonly NamedCritical[]
  /** What was at work when it was looked at. */
  readonly running: readonly NamedRunning[]
}

export function wholeOf({ workers, groups = [], critical = [], running = [] }: Timeline): Whole {
  const named = <T extends { readonly worker?: number }>(one: T): T & { readonly workerName?: string } => {
    const name = one.worker === undefined ? undefined : workers[one.worker]
    return name === undefined ? one : { ...one, workerName: name }
  }
  const all = groups.map((group): NamedGroup => ({ ...group, stragglers: group.stragglers.map(named) }))
  const path = critical.map(named)
  return { groups: all, bands: outermost(all), critical: path, main: mainParts(path), running: running.map(named) }
}

/** The part of the time in view, in milliseconds since the creation of the run. */
export interface View {
  readonly from: number
  readonly to: number
}

/** No closer: times are kept in milliseconds. */
const LEAST_SPAN_MS = 4
/** Heights of a lane, by how many slots it has. */
const LANE = { least: 20, most: 72, slot: 15, gap: 10 } as const

export const spanOf = ({ from, to }: View): number => to - from

/** The nearest view that lies in the run's time. */
export function within({ from, to }: View, end: number): View {
  const whole = Math.max(1, end)
  const span = Math.min(whole, Math.max(Math.min(LEAST_SPAN_MS, whole), to - from))
  const start = Math.min(Math.max(0, from), whole - span)
  return { from: start, to: start + span }
}

/** Makes the view `by` times as long around a moment, which stays where it is. */
export const zoomed = (view: View, by: number, around: number, end: number): View =>
  within({ from: around - (around - view.from) * by, to: around + (view.to - around) * by }, end)

export const panned = (view: View, byMs: number, end: number): View =>
  within({ from: view.from + byMs, to: view.to + byMs }, end)

/** A round distance of moments, of which at most `most` fit. */
export function tickStep(span: number, most: number): number {
  const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000]
  const LONG = [60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000]
  const fits = (step: number): boolean => span / step <= Math.max(1, most)
  return [...STEPS, ...LONG].find(fits) ?? 86_400_000 * Math.ceil(span / 86_400_000 / Math.max(1, most))
}

/** Moments for the axis, `step` apart. */
export function ticksOf({ from, to }: View, step: number): readonly number[] {
  const ticks: number[] = []
  for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) ticks.push(tick)
  return ticks
}

/** A step of the driver in its lane. */
export interface StepBlock extends ReportStep {
  readonly until: number
  readonly row: number
}

/** One lane: the driver's steps, or a worker. */
export interface LaneBox {
  readonly kind: 'driver' | 'worker'
  readonly name: string
  readonly slots: number
  readonly branches: number
  readonly failed: number
  readonly y: number
  readonly height: number
}

export interface Scene {
  readonly lanes: readonly LaneBox[]
  readonly height: number
  readonly steps: readonly StepBlock[]
}

/** Steps in rows, so that none hides another. */
function packSteps(steps: readonly ReportStep[], now: number): readonly StepBlock[] {
  const free: number[] = []
  return [...steps]
    .sort((a, b) => a.start - b.start)
    .map((step) => {
      const until = step.end ?? Math.max(now, step.start)
      let row = free.findIndex((at) => at <= step.start)
      if (row < 0) row = free.length
      free[row] = Math.max(until, step.start + 0.01)
      return { ...step, until, row }
    })
}

const heightOf = (slots: number): number => Math.max(LANE.least, Math.min(LANE.most, slots * LANE.slot))

/** Where the lanes lie, from the top: the same however far one zooms, so that nothing jumps. Workers are in the order of their names. */
export function sceneOf({ workers, window, end, steps = [] }: Timeline): Scene {
  const lanes: LaneBox[] = []
  let y = 0
  const add = (lane: Omit<LaneBox, 'y' | 'height'>): void => {
    const height = heightOf(lane.slots)
    lanes.push({ ...lane, y, height })
    y += height + LANE.gap
  }
  const packed = packSteps(steps, end)
  const rows = packed.reduce((most, { row }) => Math.max(most, row + 1), 0)
  const failed = steps.filter(({ state }) => state === 'failed').length
  if (rows > 0) add({ kind: 'driver', name: 'driver', slots: rows, branches: steps.length, failed })
  const named = window.lanes.map((lane) => ({ lane, name: workers[lane.worker] ?? '' }))
  for (const { lane, name } of named.sort((a, b) => byName(a.name, b.name)))
    add({ kind: 'worker', name, slots: lane.slots, branches: lane.branches, failed: lane.failed })
  return { lanes, height: Math.max(0, y - LANE.gap), steps: packed }
}

/** `worker-2` before `worker-10`. */
const byName = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true })

/** What is drawn of one lane: the best data that there is for the view. */
export interface LaneData {
  readonly from: number
  readonly to: number
  readonly blocks: TimelineBlocks | undefined
  readonly bins: TimelineBins | undefined
}

/** The lanes of an answer by the names of their workers: numbers differ from answer to answer. */
export function dataByName(
  workers: readonly string[],
  { from, to, lanes }: TimelineWindow,
): ReadonlyMap<string, LaneData> {
  return new Map(lanes.map(({ worker, blocks, bins }) => [workers[worker] ?? '', { from, to, blocks, bins }]))
}

/** Whether a window has all that a view shows, finely enough. */
export function covers(window: { readonly from: number; readonly to: number }, view: View, end: number): boolean {
  const isWhole = window.from <= Math.max(0, view.from) && window.to >= Math.min(end, view.to)
  return isWhole && (window.to - window.from) / Math.max(1, spanOf(view)) <= MOST_TIMES
}
/** A window that is longer than this many views is too coarse for its bins. */
const MOST_TIMES = 3.2

/** The part to ask for: the view, and half of it at each side, so that small moves need no other. */
export function askFor(view: View, end: number): View {
  const room = spanOf(view) / 2
  return { from: Math.max(0, Math.floor(view.from - room)), to: Math.min(Math.ceil(end), Math.ceil(view.to + room)) }
}

/** A branch under the pointer, or that has been chosen. */
export interface BlockHit {
  readonly kind: 'block'
  readonly lane: LaneBox
  readonly group: number
  readonly index: number
  readonly start: number
  readonly end: number
  readonly status: string
  readonly again: number
  readonly row: number
}
export interface BinHit {
  readonly kind: 'bin'
  readonly lane: LaneBox
  readonly from: number
  readonly to: number
  readonly busyMs: number
  readonly ended: number
  readonly failed: number
  readonly again: number
}
export interface StepHit {
  readonly kind: 'step'
  readonly lane: LaneBox
  readonly step: StepBlock
}
/** A branch that has not ended. */
export interface RunningHit {
  readonly kind: 'running'
  readonly lane: LaneBox
  readonly branch: NamedRunning
  /** How far it is drawn. */
  readonly end: number
}
/** A stretch in which nothing was at work, which is cut short. */
export interface FoldHit {
  readonly kind: 'fold'
  readonly from: number
  readonly to: number
}
export type Hit = BlockHit | BinHit | StepHit | RunningHit | FoldHit

/** Longer than so many times the median, a branch is a straggler, as the server has it of those that have ended. */
const STRAGGLER_TIMES = 3
const LEAST_STRAGGLER_MS = 10

/** Branches that have not ended, and take far longer than those of their group that have. */
export const lateOf = ({ running, groups }: Whole, now: number): readonly NamedRunning[] =>
  running.filter(({ group, start }) => {
    const { medianMs, timed = 0 } = groups[group] ?? {}
    return (
      timed > 1 && medianMs !== undefined && now - start >= Math.max(LEAST_STRAGGLER_MS, STRAGGLER_TIMES * medianMs)
    )
  })

/**
 * What lies at a moment and a height.
 * @param y from the top of the first lane
 * @param slackMs so far beside a block one still hits it: blocks may be narrower than a pixel
 * @param now until when what runs is drawn
 */
export function hitAt(
  scene: Scene,
  data: (name: string) => LaneData | undefined,
  at: number,
  y: number,
  slackMs: number,
  { running, now }: { readonly running: readonly NamedRunning[]; readonly now: number } = { running: [], now: 0 },
): Hit | undefined {
  const lane = scene.lanes.find((one) => y >= one.y && y < one.y + one.height)
  if (lane === undefined) return undefined
  const row = Math.min(lane.slots - 1, Math.floor(((y - lane.y) / lane.height) * lane.slots))
  if (lane.kind === 'driver') {
    const step = scene.steps.find((one) => one.row === row && at >= one.start - slackMs && at <= one.until + slackMs)
    return step === undefined ? undefined : { kind: 'step', lane, step }
  }
  const branch = running.find(
    (one) => one.workerName === lane.name && one.row === row && at >= one.start - slackMs && at <= now + slackMs,
  )
  if (branch !== undefined) return { kind: 'running', lane, branch, end: now }
  const found = data(lane.name)
  if (found?.blocks !== undefined) return blockAt(lane, found.blocks, row, at, slackMs)
  if (found?.bins === undefined) return undefined
  const { from, to, bins } = found
  const width = (to - from) / bins.ended.length
  const bin = Math.floor((at - from) / width)
  const busyMs = bins.busyMs[bin]
  if (busyMs === undefined) return undefined
  const [ended = 0, failed = 0, again = 0] = [bins.ended[bin], bins.failed[bin], bins.again[bin]]
  return { kind: 'bin', lane, from: from + bin * width, to: from + (bin + 1) * width, busyMs, ended, failed, again }
}

function blockAt(
  lane: LaneBox,
  blocks: TimelineBlocks,
  row: number,
  at: number,
  slackMs: number,
): BlockHit | undefined {
  let best: number | undefined
  let distance = slackMs
  for (let i = 0; i < blocks.start.length; i += 1) {
    if (blocks.row[i] !== row) continue
    const [start = 0, end = 0] = [blocks.start[i], blocks.end[i]]
    if (start - slackMs > at) break
    const off = at < start ? start - at : at > end ? at - end : 0
    if (off <= distance) {
      best = i
      distance = off
    }
  }
  return best === undefined ? undefined : blockOf(lane, blocks, best)
}

function blockOf(lane: LaneBox, blocks: TimelineBlocks, i: number): BlockHit {
  const [group = 0, index = 0, start = 0, end = 0] = [blocks.group[i], blocks.index[i], blocks.start[i], blocks.end[i]]
  const [again = 0, row = 0] = [blocks.again[i], blocks.row[i]]
  return { kind: 'block', lane, group, index, start, end, status: blocks.status[i] ?? 's', again, row }
}

/** Words of the letters that stand for outcomes. */
export const STATUS_WORDS: Readonly<Record<string, string>> = {
  ...{ s: 'succeeded', f: 'failed', d: 'dead', c: 'cancelled', k: 'skipped' },
}

/** Groups that lie in no other: their bands cover the time. */
function outermost<T extends { readonly path: string }>(groups: readonly T[]): readonly T[] {
  const paths = new Set(groups.map(({ path }) => path))
  return groups.filter(({ path }) => {
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1))
      if (paths.has(path.slice(0, cut))) return false
    return true
  })
}

/** The parts of the critical path that follow each other on the outermost level; they cover the time without a gap. */
const mainParts = (critical: readonly NamedCritical[]): readonly NamedCritical[] =>
  critical.filter(({ depth, end, start }) => depth === 0 && end > start)
