/** That a system which loses work cannot win, and what the numbers in the tables are. */
import { measureTime } from '../../bench/measure.js'
import { ratio, type Results, type Sample } from '../../bench/results.js'
import { median, quantile, spreadOf } from '../../bench/statistics.js'
import type { OpenSystem } from '../../bench/system.js'
import { numbers } from '../../bench/workload.js'

const request = { count: 10, heatMs: 0, warmMs: 0, timedMs: 0 }

const lossy: OpenSystem = async ({ step, total }) => ({
  run: async (items) => total(await Promise.all(items.slice(1).map(step))),
  close: async () => undefined,
})

const plain: OpenSystem = async ({ step, total }) => ({
  run: async (items) => total(await Promise.all(items.map(step))),
  close: async () => undefined,
})

describe('measuring', () => {
  it('fails a system that gives a wrong answer', async () => {
    await expect(measureTime(lossy, numbers, request)).rejects.toThrow('expected 55 for 10 of number, got 54')
  })

  it('times at least two runs', async () => {
    const timing = await measureTime(plain, numbers, request)
    expect(timing.runs).toBe(2)
    expect(timing.minUs).toBeLessThanOrEqual(timing.p50Us)
    expect(timing.p50Us).toBeLessThanOrEqual(timing.p99Us)
    expect(timing.p99Us).toBeLessThanOrEqual(timing.maxUs)
  })
})

describe('statistics', () => {
  it('takes quantiles by nearest rank, in any order', () => {
    const values = [40, 10, 30, 20]
    expect([0, 0.25, 0.5, 0.75, 0.99, 1].map((share) => quantile(values, share))).toEqual([10, 10, 20, 30, 40, 40])
    expect(median([3, 1, 2])).toBe(2)
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 })
  })

  it('compares systems within each round, so that a slow round disturbs no ratio', () => {
    const sample = (round: number, system: Sample['system'], cpuUs: number): Sample => ({
      round,
      system,
      workload: 'number',
      count: 1,
      timing: { runs: 1, cpuUs, meanUs: 1, minUs: 1, p50Us: 1, p99Us: 1, maxUs: 1 },
    })
    const results = {
      samples: [
        sample(0, 'promise-all', 1),
        sample(0, 'p-queue', 4),
        sample(1, 'promise-all', 100),
        sample(1, 'p-queue', 400),
        sample(2, 'promise-all', 1),
        sample(2, 'p-queue', 5),
      ],
    } as unknown as Results
    expect(ratio(results, 'p-queue', 'promise-all', 'number', 1)).toEqual({ median: 4, min: 4, max: 5 })
    expect(ratio(results, 'graflow-embedded', 'promise-all', 'number', 1)).toBeUndefined()
  })
})
