/** From when to when the branches of a group ran, on one clock, and what these times say of the group. */
import type { GroupStatus, RunRecord } from '../backend/backend.js'
import type { ReportGroup } from '../report/report.js'
import { nearest } from '../values/branch-times.js'
import type { GroupTimes, Workers } from './group-times.js'

const STRAGGLERS = 20
/** A straggler takes so many times the median. */
const TIMES = 3
const LEAST_STRAGGLER_MS = 10
/** More than a group has branches: a start and a number make one key, which sorts without a function. */
const MOST_BRANCHES = 2 ** 20

export interface SpansFrame {
  readonly workers: Workers
  /** By the store's clock. */
  readonly now: number
}

/** The spans of a group's branches in milliseconds since the creation of the run; those of a worker that contradict the store are shifted. */
export class Spans {
  /** Branches with times, in order of their starts. */
  readonly timed: readonly number[]
  readonly #start: Float64Array
  readonly #durationMs: Float64Array
  readonly #worker = new Map<number, number>()
  readonly #tag: Int32Array

  constructor(record: RunRecord, { openedAt, releasedAt, size }: GroupStatus, times: GroupTimes, frame: SpansFrame) {
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
    this.timed = inOrder(timed, this.#start)
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

/** Of the branches of which times are kept. @param openedAt of the group, since the creation of the run: its barrier waited for none that ended before */
export function statsOf(spans: Spans, openedAt: number): Stats {
  const { timed } = spans
  const [earliest] = timed
  if (earliest === undefined) return { timed: 0, stragglers: [] }
  const durations = Float64Array.from(timed, (i) => spans.durationMs(i)).sort()
  const ends = Float64Array.from(timed, (i) => spans.end(i)).sort()
  const awaited = ends.filter((end) => end >= openedAt)
  const at = (sorted: Float64Array, share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0
  const medianMs = at(durations, 0.5)
  const least = Math.max(LEAST_STRAGGLER_MS, TIMES * medianMs)
  const stragglers = timed.length < 3 ? [] : timed.filter((i) => spans.durationMs(i) >= least)
  return {
    timed: timed.length,
    ...{ first: spans.start(earliest), last: at(ends, 1) },
    ...{ medianMs, p95Ms: at(durations, 0.95), longestMs: at(durations, 1) },
    skewMs: at(awaited, 1) - at(awaited, 0.5),
    stragglers: stragglers.sort((a, b) => spans.durationMs(b) - spans.durationMs(a)).slice(0, STRAGGLERS),
  }
}

/** By start, then by number. Of 100 000 branches a sort that calls a function would hold up a server for too long. */
function inOrder(branches: readonly number[], start: Float64Array): readonly number[] {
  const earliest = branches.reduce((least, i) => Math.min(least, start[i] ?? 0), Number.POSITIVE_INFINITY)
  const keys = Float64Array.from(branches, (i) => Math.floor((start[i] ?? 0) - earliest) * MOST_BRANCHES + i)
  return Array.from(keys.sort(), (key) => key % MOST_BRANCHES)
}
