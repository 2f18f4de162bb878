/** A few long branches and several worker processes that have nothing to do: each gets its share, and one that does not come loses it. */
import { join } from 'node:path'
import { each } from 'graflow'
import { gated } from '../faults/fault.tasks.js'
import { monotonicMs, type Note } from '../support/ledger.js'
import { useStage } from '../support/redis-stage.js'

const open = useStage(join(__dirname, '../faults/fault.tasks.ts'))
const BRANCHES = 10

const items = (round: number): { n: number; gate: string }[] =>
  Array.from({ length: BRANCHES }, (_, n) => ({ n, gate: `round-${round}` }))
const countBy = (starts: readonly Note[], pid: number): number => starts.filter((start) => start.pid === pid).length

describe('two idle workers with 16 slots each', () => {
  it('start about half of ten branches each, every time', async () => {
    const stage = await open()
    const workers = await Promise.all([stage.worker('a'), stage.worker('b')])
    const client = await stage.client()
    for (let round = 0; round < 3; round += 1) {
      const run = await client.start(each(gated), items(round))
      const starts = (await stage.ledger.until('start', BRANCHES * (round + 1))).slice(BRANCHES * round)
      stage.ledger.open(`round-${round}`)
      expect(await run.result()).toEqual(items(round).map(({ n }) => n))
      const counts = workers.map(({ pid }) => countBy(starts, pid))
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(BRANCHES)
      // half, but for a worker that a busy machine keeps from asking in time
      expect(Math.min(...counts)).toBeGreaterThanOrEqual(3)
    }
  })

  it('leave the share of one that is stopped to the other, within a moment', async () => {
    const stage = await open()
    const [a, b] = await Promise.all([stage.worker('a'), stage.worker('b')])
    const client = await stage.client()
    await a.freeze()
    const startedAt = monotonicMs()
    const run = await client.start(each(gated), items(0))
    const starts = await stage.ledger.until('start', BRANCHES)
    expect(countBy(starts, b.pid)).toBe(BRANCHES)
    expect((starts.at(-1)?.at ?? Infinity) - startedAt).toBeLessThan(1_500)
    a.thaw()
    stage.ledger.open('round-0')
    expect(await run.result()).toEqual(items(0).map(({ n }) => n))
  })
})
