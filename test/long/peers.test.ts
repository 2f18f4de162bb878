/** The benchmark of peers over Redis, with so few branches that nothing is measured: does every system run, and is every answer right? */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkResults, itemsOf, type Load, numbers, resultOf } from '../../bench/peers/loads.js'
import { joinOf, p50Of, p99Of, rateOf, ratio, spread, type Results, type Sample } from '../../bench/peers/results.js'
import { rowsOf } from '../../bench/peers/rows.js'
import { PEER_NAMES } from '../../bench/peers/systems.js'
import { type Ended, runProgram } from '../support/programs.js'

/** As `--smoke` has it. */
const SMOKE_SIZE = 0.02
const folder = mkdtempSync(join(tmpdir(), 'graflow-peers-'))

afterAll(() => {
  rmSync(folder, { recursive: true })
})

const bench = (...options: readonly string[]): Promise<Ended> => runProgram('bench/peers/run.ts', options)

describe('benchmark of peers', () => {
  it('runs every system with real processes and finds every answer right', async () => {
    const file = join(folder, 'results.json')
    const { code, printed } = await bench('--smoke', '--sizes', '40,1', '--workers', '1', '--markdown', '--json', file)
    expect(printed).toContain('**Join latency, in milliseconds, 1 worker process**')
    expect(code).toBe(0)
    const { samples, rows, skipped } = JSON.parse(readFileSync(file, 'utf8')) as Results
    // A machine that is busy elsewhere may leave out a size of a slow peer.
    expect([...samples, ...skipped].map(({ system, count }) => `${system}: ${count}`).sort()).toEqual(
      PEER_NAMES.flatMap((system) => [`${system}: 1`, `${system}: 40`]).sort(),
    )
    expect(new Set(samples.map(({ system }) => system)).size).toBe(PEER_NAMES.length)
    expect(rows.map(({ row, system }) => `${system}: ${row}`).sort()).toEqual(
      rowsOf(['values', 'failing'], SMOKE_SIZE)
        .flatMap(({ name, systems }) => systems.map((system) => `${system}: ${name}`))
        .sort(),
    )
    for (const { singles, timesMs, cost } of samples) {
      for (const { totalMs, joinMs, afterHandlerMs } of singles) {
        expect(joinMs).toBeGreaterThan(0)
        expect(afterHandlerMs).toBeGreaterThanOrEqual(joinMs)
        expect(totalMs).toBeGreaterThan(afterHandlerMs)
      }
      expect(timesMs.length).toBeGreaterThanOrEqual(1)
      for (const number of Object.values(cost)) expect(number).toBeGreaterThan(0)
    }
  }, 120_000)

  it('measures joins while workers are killed', async () => {
    const { code, printed } = await bench('--smoke', '--rows', 'kills', '--only', 'graflow', '--markdown')
    expect(printed).toMatch(/While one of 2 workers is killed every 0\.5 s: \d+ runs, [1-9] kills/)
    expect(code).toBe(0)
  }, 120_000)

  it('says which option it does not understand', async () => {
    const { code, printed } = await bench('--only', 'bullmq')
    expect(printed).toContain(`--only takes ${PEER_NAMES.join(', ')}, got "bullmq"`)
    expect(code).toBe(1)
  }, 60_000)
})

describe('the check of a run', () => {
  it('takes one result of each branch, in any order', () => {
    expect(() => checkResults([4, 0, 3, 1, 2].map(resultOf), numbers(5))).not.toThrow()
  })

  it.each([
    ['a result that is missing', [0, 1, 3].map(resultOf), 4],
    ['one that is there twice', [0, 1, 1].map(resultOf), 3],
    ['one too many', [0, 1, 2].map(resultOf), 2],
    ['an item that nobody handled', [resultOf(0), 2], 2],
    ['no number', [Number.NaN], 1],
  ])('refuses %s', (_, results, count) => {
    expect(() => checkResults(results, numbers(count))).toThrow(/^expected /)
  })
})

describe('what a branch of a load makes of its item', () => {
  const of = (load: Partial<Load>): Load => ({ ...numbers(3), ...load })

  it('is a text as long as the item, which the check looks at', () => {
    const load = of({ what: { kind: 'text', bytes: 100 } })
    const results = itemsOf(load).map(resultOf)
    expect(() => checkResults(results, load)).not.toThrow()
    expect(() => checkResults([...results.slice(0, 2), '5 cut'], load)).toThrow(
      'expected results of 100 bytes, got one of 5',
    )
  })

  it('is an error that says which branch it was, for an item that is to fail', () => {
    const load = of({ what: { kind: 'fail' } })
    const errors = itemsOf(load).map((item) => {
      try {
        return resultOf(item)
      } catch (error) {
        return (error as Error).message
      }
    })
    expect(errors).toEqual(['1 failed', '3 failed', '5 failed'])
    expect(() => checkResults(errors, load)).not.toThrow()
    expect(() => checkResults([1, ...errors.slice(1)], load)).toThrow('expected the error of a branch, got 1')
  })
})

describe('the numbers of a benchmark', () => {
  const sample = (system: Sample['system'], round: number, timesMs: readonly number[]): Sample => ({
    ...{ round, system, workers: 1, count: 100, timesMs, peakBytes: undefined },
    singles: [5, 1, 3].map((joinMs) => ({ totalMs: 10, joinMs, afterHandlerMs: 6 })),
    cost: { commands: 1, redisUs: 1, producerUs: 1, workersUs: 1 },
    residentBytes: { producer: 1, worker: 1 },
  })
  const results = {
    samples: [sample('graflow', 0, [1, 3]), sample('graflow', 1, [2]), sample('bullmq-flows', 1, [8])],
  } as unknown as Results // nothing else of it is looked at

  it('are branches a second over the whole stream, and quantiles of its runs', () => {
    const [first] = results.samples as readonly [Sample]
    expect([rateOf(first), p50Of(first), p99Of(first), joinOf(first)]).toEqual([50_000, 1, 3, 3])
  })

  it('are medians of the rounds, and ratios within each round', () => {
    const ours = { system: 'graflow', workers: 1, count: 100 } as const
    expect(spread(results, ours, p99Of)).toEqual({ median: 2, min: 2, max: 3 })
    expect(ratio(results, { ...ours, system: 'bullmq-flows' }, ours, p50Of)).toEqual({ median: 4, min: 4, max: 4 })
    expect(spread(results, { ...ours, count: 10 }, p99Of)).toBeUndefined()
  })
})
