/** Worker processes whose threads are busy: they end as any other. */
import { join } from 'node:path'
import { par } from 'graflow'
import { untilLost } from '../behaviours/threads.tasks.js'
import { useStage } from '../support/redis-stage.js'
import { logOf, nextMark } from '../support/runs.js'
import { within } from '../support/waits.js'

describe('a worker process with a busy thread', () => {
  const stage = useStage(join(__dirname, '../behaviours/threads.tasks.ts'))

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
