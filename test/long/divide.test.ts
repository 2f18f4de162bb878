import { build, runExample } from '../support/programs.js'

beforeAll(build, 120_000)

describe('examples/divide', () => {
  it('sorts by forks of forks, in this process and on a worker that runs one branch at a time', async () => {
    for (const workers of ['0', '1']) {
      const { code, stdout, stderr } = await runExample('divide/main.ts', [
        '--workers',
        workers,
        '--count',
        '4001',
        '--json',
      ])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(JSON.parse(stdout)).toEqual({ count: 4_001, forks: 4, engine: workers === '0' ? 'embedded' : 'redis' })
    }
  }, 60_000)
})
