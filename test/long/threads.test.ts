/** Worker processes whose threads are busy: they end as any other. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { par } from 'graflow'
import { untilLost } from './task-threads.tasks.js'
import { compiled } from '../support/compiled.js'
import { build, root, runExample, runProgram } from '../support/programs.js'
import { useStage } from '../support/redis-stage.js'
import { logOf, nextMark } from '../support/runs.js'
import { within } from '../support/waits.js'

beforeAll(build, 120_000)

describe('a worker process with a busy thread', () => {
  const stage = useStage(join(__dirname, 'task-threads.tasks.ts'))

  it.each(['SIGTERM', 'SIGKILL'] as const)('ends by %s, and its branch is started elsewhere', async (signal) => {
    const made = await stage()
    const worker = (id: string) => made.worker(id, { gracefulShutdownTimeoutMs: 50, env: { TEST_WORKER: id } })
    const one = await worker('one')
    const graflow = await made.client()
    const starts = logOf(graflow)
    const started = nextMark(graflow, 'start on one')
    const result = graflow.run(par(untilLost), 0)
    await started
    await worker('two')
    one.signal(signal)
    const { code } = await within(3_000, one.exited, 'the end of the worker')
    expect(code).toBe(signal === 'SIGTERM' ? 0 : null)
    expect(await within(5_000, result, 'the result')).toEqual(['two'])
    expect(starts).toEqual(['start on one', 'start on two'])
  })
})

describe('bench/threads.ts', () => {
  it('draws the same on threads and on processes, and says the ratio', async () => {
    const { code, stdout } = await runProgram('bench/threads.ts', ['1', '100'])
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^ratio \d+\.\d\d \(median/m)])
  }, 60_000)
})

describe('examples/mandelbrot with threads', () => {
  it.each([
    ['0', 'embedded engine in this process with 2 threads'],
    ['1', '1 worker process with 2 threads and a private'],
  ])('draws the same file on %s worker processes', async (workers, told) => {
    const folder = mkdtempSync(join(tmpdir(), 'graflow-mandelbrot-'))
    const words = ['--size', '64', '--steps', '300', '--tile', '16', '--threads', '2', '--json']
    try {
      const { code, stdout, stderr } = await runExample('mandelbrot/main.ts', [
        ...['--workers', workers, '--out', join(folder, 'picture.png'), ...words],
      ])
      expect(stderr).toContain(told)
      // It has compared the file with what one process draws.
      expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ tiles: 16, threads: 2 })])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe('threads of a program that stands on the command line', () => {
  it('are started whatever its flags are, such as --input-type', () => {
    const module = compiled(join(root, 'examples/cpu-threads/tasks.ts'))
    const program = `
      import { connect } from 'graflow'
      import { primes } from ${JSON.stringify(module)}
      const graflow = await connect({ tasks: [${JSON.stringify(module)}] })
      console.log(JSON.stringify(await graflow.run(primes, { from: 0, to: 100 })))`
    const flags = ['--input-type=module', '--max-old-space-size=500', '--import', 'tsx', '-e', program]
    const { stdout, stderr } = spawnSync(process.execPath, flags, { cwd: root, encoding: 'utf8' })
    expect([stdout, stderr]).toEqual(['{"primes":25,"isInThread":true}\n', ''])
  })
})
