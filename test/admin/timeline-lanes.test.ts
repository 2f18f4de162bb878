/** Lanes of a timeline: how branches are told apart by worker and slot, and what of them a window of time shows. */
import type { GroupStatus, RunRecord } from '../../lib/backend/backend.js'
import { Spans } from '../../lib/admin/group-spans.js'
import { type GroupTimes, Workers } from '../../lib/admin/group-times.js'
import { type Lane, lanesOf, windowOf } from '../../lib/admin/timeline-lanes.js'
import { withRunning } from '../../lib/admin/timeline-running.js'
import type { ReportStatus } from '../../lib/report/report.js'

const NOON = 1_795_245_857_544
interface Branch {
  readonly at: number
  readonly ms: number
  readonly worker?: number
  readonly status?: ReportStatus
  readonly errors?: number
}

/** The lanes of a group that was opened when its run was created. */
function lanes(branches: readonly Branch[]): readonly Lane[] {
  const size = branches.length
  const times: GroupTimes = {
    ...{ graph: undefined, status: branches.map(({ status = 'succeeded' }) => status) },
    start: Float64Array.from(branches, ({ at }) => (NOON + at) % 2 ** 32),
    durationMs: Float64Array.from(branches, ({ ms }) => ms),
    errors: Uint8Array.from(branches, ({ errors = 0 }) => errors),
    ...{ losses: new Uint8Array(size), tag: Int32Array.from(branches, ({ worker = 0 }) => worker) },
    ...{ names: new Map([0, 1, 2].map((tag) => [tag, `worker-${tag}`])), failed: [], outputs: [] },
  }
  const record = { createdAt: NOON, retries: 0 } as RunRecord // what Spans reads of it
  const status = { openedAt: NOON, releasedAt: undefined, size } as GroupStatus // the same
  const spans = new Spans(record, status, times, { workers: new Workers(), now: NOON + 1e9 })
  return lanesOf([{ times, spans }])
}

/** What a worker holds of the first group, from its number on. */
const held = (worker: number, grantedAt: number, from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ group: 0, index: from + i, worker, grantedAt }))
const groups = [
  {
    status: {} as GroupStatus, // not looked at
    known: { branchOf: (index: number) => ({ index, path: `0/${index}`, task: 't', errors: 0, losses: 1 }) },
  } as unknown as Parameters<typeof withRunning>[2][number],
]

describe('lanes of a timeline', () => {
  it('give what runs the slot that is free first, and leave out what waits for one', () => {
    const ended = lanes([
      { at: 0, ms: 10 },
      { at: 0, ms: 14 },
      { at: 10, ms: 5 },
    ])
    // granted together with what has ended: they began as slots got free; a third one must wait
    const found = withRunning(ended, held(0, 0, 3, 3), groups)
    expect(found.running.map(({ index, row, start, again }) => [index, row, start, again])).toEqual([
      [3, 1, 14, 1],
      [4, 0, 15, 1],
    ])
    expect(windowOf(found.lanes, 0, 100, 16)[0]?.slots).toBe(2)
  })

  it('show workers of which nothing has ended yet, with a slot for each branch', () => {
    const { lanes: all, running } = withRunning([], [...held(7, 30, 0, 2), ...held(3, 20, 2, 80)], groups)
    expect(all.map(({ worker, slots, branches }) => [worker, slots, branches])).toEqual([
      [3, 64, 0],
      [7, 2, 0],
    ])
    expect(running.filter(({ worker }) => worker === 7)).toMatchObject([
      { path: '0/0', row: 0, start: 30 },
      { path: '0/1', row: 1, start: 30 },
    ])
    expect(running).toHaveLength(66)
    expect(windowOf(all, 0, 100, 16)[0]?.blocks?.start).toEqual([])
  })

  it('are one for each worker, with a slot for each branch at once', () => {
    const found = lanes([
      { at: 0, ms: 10 },
      { at: 5, ms: 10, status: 'failed' },
      { at: 10, ms: 10 },
      { at: 0, ms: 50, worker: 1 },
    ])
    expect(found.map(({ worker, branches, failed, slots }) => [worker, branches, failed, slots])).toEqual([
      [0, 3, 1, 2],
      [1, 1, 0, 1],
    ])
    expect(windowOf(found, 0, 100, 16)[0]?.blocks).toEqual({
      ...{ group: [0, 0, 0], index: [0, 1, 2], start: [0, 5, 10], end: [10, 15, 20] },
      ...{ status: 'sfs', again: [0, 0, 0], row: [0, 1, 0] },
    })
  })

  it('show of a window what touches it, also what began before and ends after', () => {
    const [lane] = windowOf(
      lanes([
        { at: 0, ms: 10 },
        { at: 0, ms: 100 },
        { at: 60, ms: 1 },
      ]),
      40,
      50,
      16,
    )
    expect(lane?.blocks?.index).toEqual([1])
  })

  it('become bins where more than 2 000 branches are in the window, and nothing of them is lost', () => {
    const branches = Array.from({ length: 3_000 }, (_, i) => ({
      ...{ at: i * 2, ms: 4, errors: i === 7 ? 1 : 0 },
      status: i % 1_000 === 0 ? ('dead' as const) : ('succeeded' as const),
    }))
    const found = lanes(branches)
    const [whole] = windowOf(found, 0, 6_002, 100)
    expect(whole?.blocks).toBeUndefined()
    const sum = (of: readonly number[] = []): number => of.reduce((all, one) => all + one, 0)
    expect(sum(whole?.bins?.busyMs)).toBeCloseTo(3_000 * 4, -1.5)
    expect([sum(whole?.bins?.ended), sum(whole?.bins?.failed), sum(whole?.bins?.again)]).toEqual([3_000, 3, 1])
    expect(windowOf(found, 0, 1_000, 100)[0]?.blocks?.index).toHaveLength(500)
  })

  it('give their room to those with few branches first', () => {
    const busy = [1, 2].flatMap((worker) => Array.from({ length: 2_500 }, (_, i) => ({ at: i, ms: 1, worker })))
    const found = windowOf(lanes([...busy, { at: 0, ms: 1, worker: 0 }]), 0, 3_000, 16)
    expect(found.map(({ blocks }) => blocks?.index.length)).toEqual([undefined, undefined, 1])
  })
})
