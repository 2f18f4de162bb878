/** Groups of reports: what is worked out of the times of their branches, and how large they get. */
import type { GroupStatus, RunRecord } from '../../lib/backend/backend.js'
import { type GroupTimes, Workers } from '../../lib/admin/group-times.js'
import { groupOf } from '../../lib/admin/report-groups.js'
import { pageOf } from '../../lib/report/page.js'
import type { ReportData, ReportGroup } from '../../lib/report/report.js'

const NOON = 1_795_245_857_544
const LONG_MS = 60_000

/** Branches that each took so long, one after the other on a few workers. */
function timesOf(durations: readonly number[], workers: number, clocksOff = 0): GroupTimes {
  const size = durations.length
  const ends = new Array<number>(workers).fill(0)
  const start = new Float64Array(size)
  const tag = new Int32Array(size)
  for (const [i, ms] of durations.entries()) {
    const worker = i % workers
    tag[i] = worker
    start[i] = (NOON + (ends[worker] ?? 0) + clocksOff) % 2 ** 32
    ends[worker] = (ends[worker] ?? 0) + ms
  }
  return {
    ...{ graph: undefined, status: durations.map(() => 'succeeded' as const), start, tag },
    ...{ durationMs: Float64Array.from(durations), errors: new Uint8Array(size), losses: new Uint8Array(size) },
    ...{ names: new Map(ends.map((_, i) => [i, `worker-${i}`])), failed: [], outputs: [] },
  }
}

function grouped(
  times: GroupTimes,
  workers = new Workers(),
  releasedAt = NOON + LONG_MS,
  { retries, openedAt } = { retries: 0, openedAt: NOON },
): ReportGroup {
  const size = times.status.length
  const status: GroupStatus = {
    ...{ gid: 'run/1', graph: '', node: '', state: 'released', size, openedAt, releasedAt },
    ...{ ready: 0, delayed: 0, granted: 0, succeeded: size, failed: 0, dead: 0, withdrawn: 0 },
    ...{ parked: 0, since: undefined, queue: 'default', requires: [], tasks: [], affinity: undefined, limit: 0 },
    ...{ affinityUntil: undefined, retried: undefined, waitingInPlace: [] },
  }
  const record = { runId: 'run', createdAt: NOON - 1_000, retries } as RunRecord // what groupOf reads of it
  return groupOf(record, status, times, { workers, now: NOON + LONG_MS, most: 2_000 }).group
}

describe('a group of a report', () => {
  it('has its stragglers, the slowest first, and how long its barrier waited for them', () => {
    const group = grouped(timesOf([20, 20, 90, 20, 20, 400], 6))
    expect(group).toMatchObject({
      medianMs: 20,
      longestMs: 400,
      skewMs: 380,
      stragglers: [5, 2],
      first: 1_000,
      last: 1_400,
    })
    expect(group.bins).toBeUndefined()
  })

  it('that was opened again waited at its barrier for the branches of then, and not for those before', () => {
    const group = grouped(timesOf([10, 10, 20_000, 30], 1), new Workers(), NOON + 20_100, {
      retries: 1,
      openedAt: NOON + 20_005,
    })
    expect(group).toMatchObject({ timed: 4, skewMs: 30 })
  })

  it.each([-30_000, 120_000])(
    'moves the branches of a worker whose clock is off by %i ms into the time of the group',
    (off) => {
      const { first = 0, last = 0 } = grouped(timesOf([50, 60, 70], 1, off), new Workers(), NOON + 200)
      expect(first).toBeGreaterThanOrEqual(1_000)
      expect(last).toBeLessThanOrEqual(1_200)
      expect(last - first).toBe(180)
    },
  )

  it('of 100 000 branches has bins for each worker, and a page of less than 3 MB', () => {
    const durations = Array.from({ length: 100_000 }, (_, i) => (i % 9_973 === 0 ? 900 : 5 + (i % 7)))
    const workers = new Workers()
    const group = grouped(timesOf(durations, 64), workers)
    expect(group.branches.length).toBeLessThan(300)
    expect(group.branches.map(({ index }) => index)).toEqual(expect.arrayContaining([...group.stragglers]))
    expect(group.bins?.length).toBe(64)
    const busy = (group.bins ?? []).reduce((all, { busyMs }) => all + busyMs.reduce((sum, ms) => sum + ms, 0), 0)
    const total = durations.reduce((sum, ms) => sum + ms, 0)
    expect(Math.abs(busy - total) / total).toBeLessThan(0.01)
    const data: ReportData = {
      ...{
        id: 'run',
        state: 'completed',
        tags: [],
        retries: 0,
        createdAt: NOON,
        writtenAt: NOON + LONG_MS,
        endedAt: LONG_MS,
      },
      ...{
        counts: {},
        workers: workers.names,
        steps: [],
        groups: [group],
        critical: [],
        failures: [],
        values: [],
        notes: [],
      },
    }
    expect(pageOf(data).length).toBeLessThan(3_000_000)
  })
})
