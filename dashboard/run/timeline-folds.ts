/**
 * Long stretches in which nothing was at work, cut short: a run that waited a night for an answer is drawn by what it did, not as slivers at two ends. Times stay
 * milliseconds since the creation of the run; what is shown is another scale, on which a stretch that was cut is as long as every other one. Pure.
 */
import { spanOf, type View } from './timeline-model.js'
import type { Timeline } from '../../lib/report/timeline.js'

/** From when to when something was at work; without an end while it is. */
export type Busy = readonly [from: number, to: number]

export interface Fold {
  readonly from: number
  readonly to: number
  /** Where it begins on the scale that is shown. */
  readonly at: number
}

export interface Folding {
  readonly folds: readonly Fold[]
  /** How long each is on the scale that is shown. */
  readonly gap: number
}

/** Shorter ones are never cut. */
const LEAST_IDLE_MS = 1_000
/** Of the time at work, which a stretch that was cut is shown as long as. */
const GAP_SHARE = 0.1

/** When anything was at work, in order and without overlaps. */
export function busyOf({ steps = [], running = [], groups = [], window, end, isOver }: Timeline): readonly Busy[] {
  const still = isOver ? end : Number.POSITIVE_INFINITY
  const found: Busy[] = steps.map(({ start, end: until = still }) => [start, until])
  for (const { start } of running) found.push([start, still])
  // bins are wide where a run is long: the groups say when their branches began and ended
  const spans = merged(
    groups.flatMap(({ first, last }): Busy[] => (first === undefined ? [] : [[first, last ?? still]])),
  )
  for (const { blocks, bins } of window.lanes) {
    blocks?.start.forEach((start, i) => found.push([start, blocks.end[i] ?? start]))
    const width = (window.to - window.from) / (bins?.ended.length ?? 1)
    bins?.busyMs.forEach((busy, i) => {
      const [from, to] = [window.from + i * width, window.from + (i + 1) * width]
      if (busy <= 0) return
      const within = spans.filter(([first, last]) => first < to && last > from)
      for (const [first, last] of within) found.push([Math.max(from, first), Math.min(to, last)])
      if (within.length === 0) found.push([from, to])
    })
  }
  return merged(found)
}

function merged(all: readonly Busy[]): readonly Busy[] {
  const found: [number, number][] = []
  for (const [from, to] of [...all].sort(([a], [b]) => a - b)) {
    const last = found.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else found.push([from, to])
  }
  return found
}

export const UNFOLDED: Folding = { folds: [], gap: 0 }

/** The longest idle stretches are cut, so many that what was at work has the larger part. @param end of the run, or now */
export function foldingOf(busy: readonly Busy[], end: number): Folding {
  const idle: (readonly [number, number])[] = []
  let [at, work] = [0, 0]
  for (const [from, to] of busy) {
    if (from > at) idle.push([at, from])
    work += Math.max(0, Math.min(end, to) - Math.max(at, from))
    at = Math.max(at, to)
  }
  if (end > at) idle.push([at, end])
  let left = idle.reduce((sum, [from, to]) => sum + to - from, 0)
  const cut: (readonly [number, number])[] = []
  for (const one of [...idle].sort(([a, b], [c, d]) => d - c - (b - a))) {
    if (left <= work || one[1] - one[0] < LEAST_IDLE_MS || work <= 0) break
    cut.push(one)
    left -= one[1] - one[0]
  }
  if (cut.length === 0) return UNFOLDED
  const gap = Math.min(work * GAP_SHARE, work / cut.length)
  let gone = 0
  const folds = cut
    .sort(([a], [b]) => a - b)
    .map(([from, to]): Fold => {
      const fold = { from, to, at: from - gone }
      gone += to - from - gap
      return fold
    })
  return { folds, gap }
}

/** A moment on the scale that is shown. */
export function shownAt({ folds, gap }: Folding, ms: number): number {
  let gone = 0
  for (const { from, to, at } of folds) {
    if (ms <= from) break
    if (ms < to) return at + (gap * (ms - from)) / (to - from)
    gone += to - from - gap
  }
  return ms - gone
}

/** The moment at a place of the scale that is shown. */
export function timeOf({ folds, gap }: Folding, shown: number): number {
  let gone = 0
  for (const { from, to, at } of folds) {
    if (shown <= at) break
    if (shown < at + gap) return from + ((to - from) * (shown - at)) / gap
    gone += to - from - gap
  }
  return shown + gone
}

export const shownView = (folding: Folding, { from, to }: View): View => ({
  from: shownAt(folding, from),
  to: shownAt(folding, to),
})
export const timeView = (folding: Folding, { from, to }: View): View => ({
  from: timeOf(folding, from),
  to: timeOf(folding, to),
})

/** How much of a stretch was not cut. */
export const keptOf = ({ folds }: Folding, { from, to }: View): number =>
  folds.reduce(
    (left, fold) => left - Math.max(0, Math.min(to, fold.to) - Math.max(from, fold.from)),
    spanOf({ from, to }),
  )

/** The parts of a view between what was cut. */
export function piecesOf({ folds }: Folding, { from, to }: View): readonly View[] {
  const pieces: View[] = []
  let at = from
  for (const fold of folds) {
    if (fold.to <= from || fold.from >= to) continue
    if (fold.from > at) pieces.push({ from: at, to: fold.from })
    at = fold.to
  }
  return at < to ? [...pieces, { from: at, to }] : pieces
}
