/** The timeline as numbers: views, lanes, and what is under a point. */
import {
  askFor,
  covers,
  dataByName,
  hitAt,
  panned,
  sceneOf,
  ticksOf,
  tickStep,
  wholeOf,
  within,
  zoomed,
} from '../../dashboard/run/timeline-model.js'
import type { Timeline } from '../../lib/report/timeline.js'

const counts = { ready: 0, delayed: 0, running: 0, succeeded: 2, failed: 0, dead: 0, withdrawn: 0 }
const group = {
  state: 'released' as const,
  width: 2,
  counts,
  openedAt: 0,
  timed: 2,
  retries: 0,
  losses: 0,
  stragglers: [],
}
const timeline: Timeline = {
  ...{ id: 'run', state: 'completed', createdAt: 0, end: 100, isOver: true, revision: '0', workers: ['w-10', 'w-2'] },
  window: {
    ...{ from: 0, to: 100 },
    lanes: [
      {
        ...{ worker: 0, branches: 2, failed: 0, slots: 2 },
        blocks: {
          group: [0, 0],
          index: [0, 1],
          start: [10, 12],
          end: [40, 90],
          status: 'sf',
          again: [0, 1],
          row: [0, 1],
        },
      },
      {
        worker: 1,
        branches: 9,
        failed: 1,
        slots: 4,
        bins: { busyMs: [5, 0], ended: [9, 0], failed: [1, 0], again: [0, 0] },
      },
    ],
  },
  steps: [
    { path: '0', task: 'list', state: 'succeeded', attempt: 1, start: 0, end: 8 },
    { path: '2', task: 'sum', state: 'running', attempt: 1, start: 91 },
  ],
  groups: [
    {
      ...group,
      path: '1',
      title: 'each',
      stragglers: [{ index: 1, path: '1/1', task: 't', status: 'failed', errors: 1, losses: 0, worker: 0 }],
    },
    { ...group, path: '1/0/1', title: 'inner' },
  ],
  critical: [
    { path: '0', title: 'list', kind: 'step', start: 0, end: 8, depth: 0 },
    { path: '1/1', title: 't', kind: 'branch', start: 12, end: 90, depth: 0, worker: 0 },
    { path: '1/0/1', title: 'x', kind: 'barrier', start: 20, end: 30, depth: 1 },
  ],
}

describe('the view of a timeline', () => {
  it('stays in the time of the run, and keeps its length there', () => {
    expect(within({ from: -20, to: 20 }, 100)).toEqual({ from: 0, to: 40 })
    expect(within({ from: 90, to: 130 }, 100)).toEqual({ from: 60, to: 100 })
    expect(within({ from: 0, to: 1e9 }, 100)).toEqual({ from: 0, to: 100 })
    expect(panned({ from: 20, to: 40 }, 1_000, 100)).toEqual({ from: 80, to: 100 })
  })

  it('zooms around a moment, which stays where it is', () => {
    const view = zoomed({ from: 0, to: 100 }, 0.5, 25, 100)
    expect(view).toEqual({ from: 12.5, to: 62.5 })
    expect((25 - view.from) / (view.to - view.from)).toBe(0.25)
  })

  it('has at most as many ticks as fit, at round distances', () => {
    expect(ticksOf({ from: 0, to: 100 }, tickStep(100, 5))).toEqual([0, 20, 40, 60, 80, 100])
    for (const span of [1, 37, 4_000, 90_000, 7_200_000, 86_400_000 * 30])
      expect(ticksOf({ from: 0, to: span }, tickStep(span, 8)).length).toBeLessThanOrEqual(9)
  })

  it('asks for half a view more at each side, and for nothing new within that', () => {
    const asked = askFor({ from: 40, to: 60 }, 100)
    expect(asked).toEqual({ from: 30, to: 70 })
    expect(covers(asked, { from: 32, to: 52 }, 100)).toBe(true)
    expect(covers(asked, { from: 20, to: 40 }, 100)).toBe(false)
    // too coarse: bins of the whole are wide for a small part
    expect(covers({ from: 0, to: 100 }, { from: 40, to: 60 }, 100)).toBe(false)
  })
})

describe('the lanes of a timeline', () => {
  it('are the driver and the workers in the order of their names', () => {
    const scene = sceneOf(timeline)
    expect(scene.lanes.map(({ name, slots }) => [name, slots])).toEqual([
      ['driver', 1],
      ['w-2', 4],
      ['w-10', 2],
    ])
    expect(scene.steps.map(({ path, until }) => [path, until])).toEqual([
      ['0', 8],
      ['2', 100],
    ])
    for (const [i, lane] of scene.lanes.entries())
      expect(lane.y).toBeGreaterThanOrEqual((scene.lanes[i - 1]?.y ?? -1) + (scene.lanes[i - 1]?.height ?? 0))
  })

  it('give the branch, the bin or the step under a point', () => {
    const scene = sceneOf(timeline)
    const byName = dataByName(timeline.workers, timeline.window)
    const data = (name: string) => byName.get(name)
    const [driver, binned, blocked] = scene.lanes
    const middle = (lane = driver, row = 0): number =>
      (lane?.y ?? 0) + ((row + 0.5) * (lane?.height ?? 0)) / (lane?.slots ?? 1)
    expect(hitAt(scene, data, 4, middle(), 0)).toMatchObject({ kind: 'step', step: { path: '0' } })
    expect(hitAt(scene, data, 50, middle(), 0)).toBeUndefined()
    expect(hitAt(scene, data, 11, middle(blocked, 0), 0)).toMatchObject({ kind: 'block', index: 0, status: 's' })
    expect(hitAt(scene, data, 50, middle(blocked, 1), 0)).toMatchObject({
      kind: 'block',
      index: 1,
      status: 'f',
      again: 1,
    })
    expect(hitAt(scene, data, 9, middle(blocked, 0), 2)).toMatchObject({ index: 0 })
    expect(hitAt(scene, data, 9, middle(blocked, 0), 0.5)).toBeUndefined()
    expect(hitAt(scene, data, 10, middle(binned), 0)).toMatchObject({
      kind: 'bin',
      ended: 9,
      failed: 1,
      from: 0,
      to: 50,
    })
  })

  it('know stragglers and the critical path by the names of workers', () => {
    const whole = wholeOf(timeline)
    expect(whole.groups[0]?.stragglers[0]?.workerName).toBe('w-10')
    expect(whole.bands.map(({ path }) => path)).toEqual(['1'])
    expect(whole.main.map(({ kind }) => kind)).toEqual(['step', 'branch'])
  })
})
