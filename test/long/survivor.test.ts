import { build, runExample } from '../support/programs.js'

beforeAll(build, 120_000)

describe('examples/survivor', () => {
  it('P2: goes on in the other worker when its driver is killed in the middle of a step', async () => {
    const { code, stdout } = await runExample('survivor/main.ts')
    expect(code).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines[1]).toMatch(/^killed process \d+$/)
    expect(lines).toContainEqual(expect.stringMatching(/^order +attempt 1 in the killed process$/))
    expect(lines).toContainEqual(expect.stringMatching(/^drive +attempt 2 in the other one$/))
    expect(lines.filter((line) => line.startsWith('pack')).length).toBe(3)
    expect(lines.at(-1)).toMatch(/^delivered \d+ ms after the kill$/)
  }, 60_000)
})
