/** Long idle stretches of a timeline are cut short: which, how they are shown, and that what was at work keeps its place. */
import {
  busyOf,
  foldingOf,
  keptOf,
  piecesOf,
  shownAt,
  shownView,
  timeOf,
  timeView,
  UNFOLDED,
} from '../../dashboard/run/timeline-folds.js'
import { axisTime } from '../../dashboard/run/timeline-words.js'
import type { Timeline } from '../../lib/report/timeline.js'

const HOUR = 3_600_000
/** At work for 10 s, then for 10 s after an hour, and again after another. */
const busy = [
  [0, 10_000],
  [HOUR, HOUR + 10_000],
  [2 * HOUR, 2 * HOUR + 10_000],
] as const
const end = 2 * HOUR + 10_000

describe('idle stretches', () => {
  it('are cut where they would leave the work no room, all to the same length', () => {
    const folding = foldingOf(busy, end)
    expect(folding.folds.map(({ from, to }) => [from, to])).toEqual([
      [10_000, HOUR],
      [HOUR + 10_000, 2 * HOUR],
    ])
    expect(folding.gap).toBe(3_000)
    expect(shownAt(folding, end)).toBe(36_000)
    expect(shownView(folding, { from: 5_000, to: HOUR + 1_000 })).toEqual({ from: 5_000, to: 14_000 })
  })

  it('stay as they are where the work has the larger part, or they are short', () => {
    expect(
      foldingOf(
        [
          [0, 10_000],
          [15_000, 25_000],
        ],
        25_000,
      ),
    ).toBe(UNFOLDED)
    expect(
      foldingOf(
        [
          [0, 100],
          [900, 1_000],
        ],
        1_000,
      ),
    ).toBe(UNFOLDED)
    expect(foldingOf([], HOUR)).toBe(UNFOLDED)
    // of several the longest go first
    const folding = foldingOf(
      [
        [0, 10_000],
        [15_000, 20_000],
        [HOUR, HOUR + 1],
      ],
      HOUR + 1,
    )
    expect(folding.folds.map(({ from }) => from)).toEqual([20_000])
  })

  it('reach to the end while a run waits', () => {
    expect(foldingOf([[0, 1_000]], HOUR).folds).toEqual([{ from: 1_000, to: HOUR, at: 1_000 }])
    expect(
      foldingOf(
        [
          [0, 1_000],
          [HOUR, Number.POSITIVE_INFINITY],
        ],
        HOUR + 50,
      ).folds,
    ).toHaveLength(1)
  })

  it('take every moment to its place and back', () => {
    const folding = foldingOf(busy, end)
    let before = -1
    for (let ms = 0; ms <= end; ms += 12_345) {
      const shown = shownAt(folding, ms)
      expect(shown).toBeGreaterThan(before)
      expect(timeOf(folding, shown)).toBeCloseTo(ms, 3)
      before = shown
    }
    const view = { from: 2_000, to: HOUR + 2_000 }
    const back = timeView(folding, shownView(folding, view))
    expect([back.from, back.to].map(Math.round)).toEqual([view.from, view.to])
    expect(keptOf(folding, { from: 0, to: end })).toBe(30_000)
    expect(piecesOf(folding, { from: 2_000, to: HOUR + 5_000 })).toEqual([
      { from: 2_000, to: 10_000 },
      { from: HOUR, to: HOUR + 5_000 },
    ])
  })
})

describe('the axis', () => {
  it('tells moments of one burst apart, also hours after the begin', () => {
    expect([axisTime(480, 1_000), axisTime(9 * HOUR + 480, 1_000)]).toEqual(['480 ms', '9:00:00.480 h'])
    expect([axisTime(9 * HOUR + 5_000, 60_000), axisTime(9 * HOUR, 3 * HOUR)]).toEqual(['9:00:05 h', '9:00 h'])
    expect([axisTime(9_480, 1_000), axisTime(32_713, 1_000)]).toEqual(['9\u202f480 ms', '32.713 s'])
    expect([axisTime(65_250, 1_000), axisTime(65_000, 90_000)]).toEqual(['1:05.250 min', '1:05 min'])
  })
})

describe('what was at work', () => {
  const timeline: Timeline = {
    ...{
      id: 'run',
      state: 'waiting',
      createdAt: 0,
      end: HOUR,
      isOver: false,
      revision: '0',
      workers: ['ada', 'grace'],
    },
    window: {
      ...{ from: 0, to: HOUR },
      lanes: [
        {
          ...{ worker: 0, branches: 2, failed: 0, slots: 2 },
          blocks: {
            group: [0, 0],
            index: [0, 1],
            start: [10, 20],
            end: [30, 40],
            status: 'ss',
            again: [0, 0],
            row: [0, 1],
          },
        },
        {
          ...{ worker: 1, branches: 9, failed: 0, slots: 4 },
          bins: { busyMs: [50, 0], ended: [9, 0], failed: [0, 0], again: [0, 0] },
        },
      ],
    },
    steps: [
      { path: '0', task: 'list', state: 'succeeded', attempt: 1, start: 0, end: 8 },
      { path: '2', task: 'sum', state: 'running', attempt: 1, start: HOUR - 5 },
    ],
  }

  it('are steps and branches, until now where they have not ended', () => {
    expect(busyOf({ ...timeline, window: { ...timeline.window, lanes: timeline.window.lanes.slice(0, 1) } })).toEqual([
      [0, 8],
      [10, 40],
      [HOUR - 5, Number.POSITIVE_INFINITY],
    ])
  })

  it('are of a bin the times in which its groups had branches at work', () => {
    const counts = { ready: 0, delayed: 0, running: 0, succeeded: 9, failed: 0, dead: 0, withdrawn: 0 }
    const group = {
      ...{ path: '1', title: 'tick', state: 'released' as const, width: 9, counts, openedAt: 5, timed: 9 },
      ...{ first: 10, last: 900, retries: 0, losses: 0, stragglers: [] },
    }
    expect(busyOf({ ...timeline, groups: [group] })[1]).toEqual([10, 900])
    expect(busyOf(timeline)[0]).toEqual([0, HOUR / 2])
  })
})
