import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, runExample } from '../support/programs.js'

beforeAll(build, 120_000)

describe('examples/etl', () => {
  const folder = mkdtempSync(join(tmpdir(), 'graflow-etl-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('loads every good order once, whichever worker has it', async () => {
    const file = join(folder, 'orders.jsonl')
    const { code, stdout } = await runExample('etl/main.ts', ['--workers', '2', '--pages', '6', '--out', file])
    expect(code).toBe(0)
    const report = JSON.parse(stdout) as { loaded: number; rejected: number; cents: Record<string, number> }
    const orders = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: number; cents: number })
    expect(report).toMatchObject({ loaded: 270, rejected: 30 })
    expect(new Set(orders.map(({ id }) => id)).size).toBe(270)
    const sum = orders.reduce((all, { cents }) => all + cents, 0)
    expect(Object.values(report.cents).reduce((all, cents) => all + cents, 0)).toBe(sum)
  }, 60_000)
})
