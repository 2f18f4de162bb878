/** The distributed Mandelbrot as pipelines by event routing. */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, runExample } from '../support/programs.js'

let folder: string
beforeAll(() => {
  build()
  folder = mkdtempSync(join(tmpdir(), 'graflow-pipelines-'))
}, 120_000)
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** Of the file that test/long/mandelbrot.test.ts knows, by whatever way it is drawn. */
const SMALL_SHA256 = '3da6f47b3fd84acb3a0a79e01b9bc2adaf7296ad37ea27de3d2720b5be9b3f25'

describe('examples/mandelbrot/pipelines.ts', () => {
  it.each([0, 2])(
    'draws the same picture by events, each row on its worker (%i workers)',
    async (workers) => {
      const out = join(folder, `${workers}.png`)
      const words = ['--size', '64', '--steps', '300', '--workers', String(workers), '--out', out, '--json']
      const { code, stdout, stderr } = await runExample('mandelbrot/pipelines.ts', words)
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^(embedded|2 worker processes)/) })
      const { rows, ...report } = JSON.parse(stdout) as { readonly rows: readonly (readonly string[])[] }
      expect(report).toEqual({ size: 64, maxSteps: 300, tiles: 16, file: out, inside: expect.any(Number) })
      expect(createHash('sha256').update(readFileSync(out)).digest('hex')).toBe(SMALL_SHA256)
      if (workers === 0) expect(new Set(rows.flat()).size).toBe(1)
      else expect(rows).toEqual([['worker-1'], ['worker-2'], ['worker-1'], ['worker-2']])
    },
    60_000,
  )
})
