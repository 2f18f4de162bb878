/**
 * Tasks that no worker, or no single worker, knows. These tests wait seconds of real time for the verdict, so they wait at the same time,
 * each under a prefix of its own; their processes end with the file.
 */
import { join } from 'node:path'
import { declareTask, each, par, seq, type AnyNode } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { monotonicMs } from '../support/ledger.js'
import { Stage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'
import { gated } from './fault.tasks.js'
import { elsewhere } from './other.tasks.js'

const stages: Stage[] = []
const staged = async (): Promise<Stage> => {
  const stage = new Stage(await sharedRedis(), join(__dirname, 'fault.tasks.ts'))
  stages.push(stage)
  return stage
}

describe('a worker', () => {
  // before the end of the server that they share
  afterAll(async () => {
    for (const stage of stages) await stage.end()
  })

  it.concurrent('FT-W23, X15: that does not know a task is never granted it; when all alive do not for 10 s, it fails and names them', async () => {
    const stage = await staged()
    const ignorant = await stage.worker('ignorant', { tasks: join(__dirname, 'other.tasks.ts') })
    const client = await stage.client()
    const startedAt = monotonicMs()
    const failure = failureOf(client.run(each(gated), [{ n: 0 }]))
    const error = await failure
    const tookMs = monotonicMs() - startedAt
    expect(error.code).toBe('GROUP_FAILED')
    expect(JSON.stringify(error.message) + JSON.stringify(error.details)).toMatch(/NO_HANDLER|gated/)
    expect(error.message).toContain('ignorant')
    expect(tookMs).toBeGreaterThan(9_500)
    expect(tookMs).toBeLessThan(14_000)
    const late = await client.start(each(gated), [{ n: 1 }])
    const capable = await stage.worker('capable')
    expect(await late.result()).toEqual([1])
    expect(stage.ledger.notes('start')).toMatchObject([{ pid: capable.pid, details: { n: 1, attempt: 1 } }])
    expect(ignorant.isRunning).toBe(true)
  }, 40_000)

  it.concurrent.each([
    ['of a par', par(gated as AnyNode, elsewhere as AnyNode), { n: 0 }],
    ['of an each of a chain', each(seq(gated, elsewhere)), [{ n: 0 }]],
  ])(
    'FT-W23, X15: that does not know all tasks of a group takes none of it (%s); when none does, it fails and says so',
    async (_, flow, input) => {
      const stage = await staged()
      await stage.worker('one')
      await stage.worker('two', { tasks: join(__dirname, 'other.tasks.ts') })
      const client = await stage.client()
      const startedAt = monotonicMs()
      const error = await failureOf(client.run(flow as AnyNode, input as never))
      const tookMs = monotonicMs() - startedAt
      expect(error.code).toBe('GROUP_FAILED')
      expect(error.cause).toMatchObject({
        code: 'NO_HANDLER',
        details: { lacking: { one: ['elsewhere'], two: ['gated'] } },
      })
      expect(error.message).toContain('one (has gated; lacks elsewhere), two (has elsewhere; lacks gated)')
      expect(error.errors).toHaveLength(1)
      expect(error.message.split('one (has gated')).toHaveLength(2)
      expect(tookMs).toBeGreaterThan(9_500)
      expect(tookMs).toBeLessThan(14_000)
      expect(stage.ledger.notes('start')).toEqual([])
    },
    40_000,
  )

  it.concurrent('X15: that knows the other tasks of a group is not blamed for the one that nobody knows', async () => {
    const stage = await staged()
    await stage.worker('one')
    const client = await stage.client()
    const [known, unknown] = await client.run(par(gated as AnyNode, elsewhere as AnyNode).settled(), { n: 0 } as never)
    expect(known).toMatchObject({ status: 'skipped', error: { code: 'SKIPPED' } })
    expect(unknown).toMatchObject({ status: 'failed', error: { code: 'NO_HANDLER', details: { task: 'elsewhere' } } })
  }, 40_000)

  it.concurrent('X15: fails nothing when there is no worker at all, which is told after 5 s; one that comes later does it', async () => {
    const stage = await staged()
    const client = await stage.client()
    const startedAt = monotonicMs()
    const unserved = new Promise<number>((resolve) => {
      client.events.subscribe('queue:unserved', ({ queue, workers }) => {
        expect([queue, workers]).toEqual(['default', 0])
        resolve(monotonicMs() - startedAt)
      })
    })
    const run = await client.start(each(gated), [{ n: 1 }])
    const afterMs = await unserved
    expect(afterMs).toBeGreaterThan(4_500)
    expect(afterMs).toBeLessThan(9_000)
    expect((await run.status()).state).toBe('running')
    await stage.worker('late')
    expect(await run.result()).toEqual([1])
  }, 40_000)

  it.concurrent('X15: that lives fails a submitted run with a step that nobody knows, also where nobody waits for its result', async () => {
    const stage = await staged()
    const ignorant = await stage.worker('ignorant', { tasks: join(__dirname, 'other.tasks.ts') })
    const client = await stage.client()
    const startedAt = monotonicMs()
    const run = await client.submit(seq(elsewhere, declareTask<number, number>('elsewher')), 1)
    await until(async () => (await run.status()).state === 'failed', 'the run to fail', 16_000)
    const tookMs = monotonicMs() - startedAt
    expect(tookMs).toBeGreaterThan(9_500)
    expect(tookMs).toBeLessThan(15_000)
    const error = await failureOf(run.result())
    expect(error).toMatchObject({ code: 'NO_HANDLER', details: { task: 'elsewher', asked: ['ignorant'] } })
    expect(error.message).toContain('(did you mean "elsewhere"?): graflow-worker --tasks <its module>')
    expect(error.message).not.toContain('--queue')
    await ignorant.said(
      /run \S+ waits for a driver for elsewher, elsewhere: no live worker .* that takes submitted runs can do it/,
    )
  }, 40_000)

  it.concurrent('X15: that takes no submitted runs is none that could drive one, which is told after 5 s to who waits for the result', async () => {
    const stage = await staged()
    await stage.worker('other-queue', { queues: ['gpu'] })
    const client = await stage.client()
    const told = new Promise<object>((resolve) => client.events.subscribe('queue:unserved', resolve))
    const startedAt = monotonicMs()
    const run = await client.submit(gated, { n: 1 })
    const result = run.result()
    expect(await told).toMatchObject({ queue: 'runs', runId: run.id, tasks: ['gated'], workers: 0 })
    expect(monotonicMs() - startedAt).toBeGreaterThan(4_500)
    expect(monotonicMs() - startedAt).toBeLessThan(9_000)
    expect((await run.status()).state).toBe('pending')
    await stage.worker('late', { queues: ['gpu'], flags: ['--drive-runs', 'true'] })
    expect(await result).toBe(1)
  }, 40_000)

  it.concurrent('X15: that replaces one and lacks a step of its run leaves the run pending, never running, and fails it', async () => {
    const stage = await staged()
    const before = await stage.worker('before')
    const client = await stage.client()
    const run = await client.submit(gated, { n: 1, gate: 'never' })
    await stage.ledger.until('start', 1)
    expect((await run.status()).state).toBe('running')
    before.signal('SIGKILL')
    await stage.worker('after', { tasks: join(__dirname, 'other.tasks.ts') })
    await until(async () => (await run.status()).state === 'pending', 'the run to be pending')
    const error = await failureOf(run.result())
    expect(error).toMatchObject({ code: 'NO_HANDLER', details: { asked: ['after'] } })
    expect((await run.status()).state).toBe('failed')
  }, 40_000)
})
