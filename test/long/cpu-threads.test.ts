import { build, runExample } from '../support/programs.js'

beforeAll(build, 120_000)

describe('examples/cpu-threads', () => {
  it('counts the same primes in threads and in the event loop', async () => {
    const { code, stdout } = await runExample('cpu-threads/main.ts', ['--below', '20000', '--json'])
    expect(code).toBe(0)
    const { threads, loop } = JSON.parse(stdout) as Record<string, { result: { primes: number; inThreads: number } }>
    expect(threads?.result.primes).toBe(2_262)
    expect(loop?.result).toEqual({ primes: 2_262, inThreads: 0 })
    expect(threads?.result.inThreads).toBeGreaterThan(0)
  })
})
