/** The benchmark's driver and all its adapters, with so few branches that nothing is measured: do they run, and is every answer right? */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Results } from '../../bench/results.js'
import { type Ended, runProgram } from '../support/programs.js'

const folder = mkdtempSync(join(tmpdir(), 'graflow-bench-'))

afterAll(() => {
  rmSync(folder, { recursive: true })
})

const bench = (...options: readonly string[]): Promise<Ended> => runProgram('bench/run.ts', options)

describe('benchmark', () => {
  it('runs every system on both kinds of items, and finds every answer right', async () => {
    const file = join(folder, 'results.json')
    const { code, printed } = await bench('--smoke', '--sizes', '5,1', '--markdown', '--json', file)
    expect(printed).toContain('| branches | promise-all, µs | graflow-embedded, µs |')
    expect(code).toBe(0)

    const { samples, memory, skipped, machine } = JSON.parse(readFileSync(file, 'utf8')) as Results
    const systems = ['promise-all', 'graflow-embedded', 'p-queue', 'langgraph']
    const done = samples.map(({ system, workload, count }) => `${system}: ${count} of ${workload}`)
    const wanted = systems.flatMap((system) =>
      ['number', 'object'].flatMap((workload) => [1, 5].map((count) => `${system}: ${count} of ${workload}`)),
    )
    // A machine that is busy elsewhere may leave out a size of a slow peer.
    const left = skipped.map(({ system, workload, count }) => `${system}: ${count} of ${workload}`)
    expect([...done, ...left].sort()).toEqual(wanted.sort())
    expect([...new Set(samples.map(({ system }) => system))].sort()).toEqual([...systems].sort())
    for (const { timing } of samples) expect(timing.runs).toBeGreaterThanOrEqual(2)
    expect(memory.map(({ system, workload }) => `${system}: ${workload}`)).toEqual(
      systems.flatMap((system) => [`${system}: number`, `${system}: object`]),
    )
    expect(Object.keys(machine)).toEqual(['node', 'v8', 'platform', 'processor', 'cores', 'memoryGiB'])
  }, 120_000)

  it('says which option it does not understand', async () => {
    const { code, printed } = await bench('--smoke', '--systems', 'promise-none')
    expect(printed).toContain('--systems takes promise-all, graflow-embedded, p-queue, langgraph, got "promise-none"')
    expect(code).toBe(1)
  }, 60_000)
})
