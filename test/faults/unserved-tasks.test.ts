/**
 * Tasks that no worker, or no single worker, knows. These tests wait seconds of real time for the verdict, so they wait at the same time,
 * each under a prefix of its own. Workers that are to run nothing are in this process.
 */
import { join } from 'node:path'
import { connect, declareTask, each, par, seq, task, type Graflow, type GraflowError } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { monotonicMs } from '../support/ledger.js'
import { workerHere } from '../support/local-worker.js'
import { useStages } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import * as faultTasks from './fault.tasks.js'
import { elsewhere } from './other.tasks.js'

const { gated } = faultTasks
/** As a worker process of these tests knows them. */
const faults = Object.values(faultTasks)

const open = useStages(join(__dirname, 'fault.tasks.ts'))

// those that wait longest come first: jest begins five at a time
describe('a worker', () => {
  it.concurrent('FT-W23, X15: that does not know a task is never granted it; when all alive do not for 10 s, it fails and names them', async () => {
    await using stage = await open()
    const ignorant = await workerHere(stage, 'ignorant', [elsewhere])
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
    expect(ignorant.state).toBe('ready')
  }, 40_000)

  it.concurrent('X15: that knows one branch of a par runs it; the one that nobody knows fails as it does embedded, which is told to who runs the par', async () => {
    await using stage = await open()
    await workerHere(stage, 'one', faults)
    const client = await stage.client()
    const told: (readonly string[])[] = []
    client.events.subscribe('queue:unserved', ({ tasks }) => told.push(tasks))
    const unknown = declareTask<faultTasks.Item, number>('unknown')
    const embedded = await connect({ logLevel: 'silent' })
    stage.onEnd(() => embedded.close())
    const flow = par(gated, unknown)
    const outcomesOn = async (graflow: Graflow): Promise<unknown> => {
      const [outcomes, failure] = await Promise.all([
        graflow.run(flow.settled(), { n: 0 }),
        failureOf(graflow.run(flow.configure({ onFailure: 'wait' }), { n: 0 })),
      ])
      const errorOf = (error: unknown): unknown => {
        const { code, details } = error as GraflowError
        return { code, task: details['task'], path: details['path'] }
      }
      const [known, failed] = outcomes
      const { code, details, cause, errors } = failure
      const members = (details['outcomes'] as readonly { readonly status: string; readonly code?: string }[]).map(
        ({ status, code: why }) => [status, why],
      )
      return {
        settled: [
          known,
          { status: failed.status, error: failed.status === 'failed' ? errorOf(failed.error) : undefined },
        ],
        strict: { code, cause: errorOf(cause), errors: errors.map(errorOf), members },
      }
    }
    const onRedis = await outcomesOn(client)
    expect(onRedis).toEqual(await outcomesOn(embedded))
    expect(onRedis).toMatchObject({
      settled: [
        { status: 'succeeded', value: 0 },
        { status: 'failed', error: { code: 'NO_HANDLER', task: 'unknown', path: '0/1' } },
      ],
    })
    expect(told).toEqual([['unknown'], ['unknown']])
  }, 40_000)

  it.concurrent('X15: that knows only the first step of a chain runs it; the chain fails at the step that nobody knows', async () => {
    await using stage = await open()
    let starts = 0
    await workerHere(stage, 'one', [task('gated', () => (starts += 1))])
    const client = await stage.client()
    const startedAt = monotonicMs()
    const error = await failureOf(client.run(each(seq(gated, elsewhere)), [{ n: 0 }]))
    const tookMs = monotonicMs() - startedAt
    expect(error.cause).toMatchObject({
      code: 'NO_HANDLER',
      details: { task: 'elsewhere', path: '0/0/1', asked: ['one'] },
    })
    expect(tookMs).toBeGreaterThan(9_500)
    expect(tookMs).toBeLessThan(16_000)
    expect(starts).toBe(1)
  }, 40_000)

  it.concurrent('X15: that lives fails a submitted run with a step that nobody knows, also where nobody waits for its result', async () => {
    await using stage = await open()
    const ignorant = await workerHere(stage, 'ignorant', [elsewhere])
    const told: string[] = []
    ignorant.events.subscribe('log', ({ message }) => told.push(message))
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
    const says =
      /run \S+ waits for a driver for elsewher, elsewhere: no live worker .* that takes submitted runs can do it/
    await until(() => told.some((message) => says.test(message)), 'the worker to say so')
  }, 40_000)

  it.concurrent('X15: that replaces one and lacks a step of its run leaves the run pending, never running, and fails it', async () => {
    await using stage = await open()
    const before = await stage.worker('before')
    const client = await stage.client()
    const run = await client.submit(gated, { n: 1, gate: 'never' })
    await stage.ledger.until('start', 1)
    expect((await run.status()).state).toBe('running')
    before.signal('SIGKILL')
    await workerHere(stage, 'after', [elsewhere])
    await until(async () => (await run.status()).state === 'pending', 'the run to be pending')
    const error = await failureOf(run.result())
    expect(error).toMatchObject({ code: 'NO_HANDLER', details: { asked: ['after'] } })
    expect((await run.status()).state).toBe('failed')
  }, 40_000)

  it.concurrent('X15: fails nothing when there is no worker at all, which is told after 5 s; one that comes later does it', async () => {
    await using stage = await open()
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

  it.concurrent('X15: that takes no submitted runs is none that could drive one, which is told after 5 s to who submitted the run', async () => {
    await using stage = await open()
    await workerHere(stage, 'other-queue', faults, { queues: ['gpu'] })
    const client = await stage.client()
    const told = new Promise<object>((resolve) => client.events.subscribe('queue:unserved', resolve))
    const startedAt = monotonicMs()
    const run = await client.submit(gated, { n: 1 })
    expect(await told).toMatchObject({ queue: 'runs', runId: run.id, tasks: ['gated'], workers: 0 })
    expect(monotonicMs() - startedAt).toBeGreaterThan(4_500)
    expect(monotonicMs() - startedAt).toBeLessThan(9_000)
    expect((await run.status()).state).toBe('pending')
    await stage.worker('late', { queues: ['gpu'], flags: ['--drive-runs', 'true'] })
    expect(await run.result()).toBe(1)
  }, 40_000)
})
