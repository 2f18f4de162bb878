/** What a client exports for Prometheus. */
import { connect, each, seq, task, type Graflow } from 'graflow'
import { manualClock } from '../../lib/time.js'
import { failureOf } from '../support/captured-errors.js'
import { SharedStore } from '../support/shared-store.js'

const double = task('double', (n: number) => n * 2)
const flaky = task('flaky', { retry: { attempts: 2 } }, (ns: readonly number[], ctx) => {
  if (ctx.attempt === 1) throw new Error('no')
  return ns
})
const bad = task('bad', (_: number): number => {
  throw new Error('no')
})

/** The lines of a metric, without those of its buckets. */
const linesOf = (text: string, name: string): readonly string[] =>
  text.split('\n').filter((line) => line.startsWith(name) && !line.includes('le="'))

let clients: Graflow[]
beforeEach(() => {
  clients = []
})
afterEach(async () => {
  for (const client of clients) await client.close()
})
const embedded = async (options: Parameters<typeof connect>[0] & object = {}): Promise<Graflow> => {
  const client = await connect({ logLevel: 'silent', ...options })
  clients.push(client)
  return client
}

describe('metrics of a client', () => {
  it('count steps as branches, with their retries', async () => {
    const client = await embedded()
    await client.metrics()
    await client.run(seq(flaky, each(double)), [1, 2])
    await client.run(bad, 1).catch(() => undefined)
    const text = await client.metrics()
    expect(linesOf(text, 'graflow_tasks_total')).toEqual([
      'graflow_tasks_total{task="flaky",outcome="succeeded"} 1',
      'graflow_tasks_total{task="double",outcome="succeeded"} 2',
      'graflow_tasks_total{task="bad",outcome="failed"} 1',
    ])
    expect(linesOf(text, 'graflow_retries_total')).toEqual(['graflow_retries_total 1'])
    expect(linesOf(text, 'graflow_task_duration_seconds_count')).toEqual([
      'graflow_task_duration_seconds_count{task="flaky"} 2',
      'graflow_task_duration_seconds_count{task="double"} 2',
      'graflow_task_duration_seconds_count{task="bad"} 1',
    ])
  })

  it('count runs that it starts, completes, pauses and resumes', async () => {
    const client = await embedded()
    await client.metrics()
    const run = await client.start(each(double), [1])
    await run.pause()
    await run.resume()
    await run.result()
    await client.run(bad, 1).catch(() => undefined)
    const executions = linesOf(await client.metrics(), 'graflow_workflow_execution')
    expect(executions).toEqual([
      'graflow_workflow_execution_started_total 2',
      'graflow_workflow_execution_completed_total 1',
      'graflow_workflow_execution_resume_total 1',
      'graflow_workflow_execution_pause_total 1',
    ])
  })

  it('time how long branches wait for a worker, and barriers for who goes on', async () => {
    const store = new SharedStore()
    const client = await store.client()
    await client.metrics()
    const run = await client.start(each(double), [1, 2, 3])
    while ((await run.status()).total === 0) await new Promise((resolve) => setImmediate(resolve))
    const worker = await store.started({ tasks: [double], workerId: 'w', metricsPort: 0, metricsHost: '127.0.0.1' })
    await run.result()
    store.backend.inspect.totals = () => Promise.reject(new Error('asked for no more than the time'))
    const workers = await (await fetch(`http://127.0.0.1:${worker.metricsPort}/metrics`)).text()
    expect(linesOf(workers, 'graflow_dispatch_latency_seconds_count')).toEqual([
      'graflow_dispatch_latency_seconds_count 3',
    ])
    expect(linesOf(await client.metrics(), 'graflow_barrier_release_seconds_count')).toEqual([
      'graflow_barrier_release_seconds_count 1',
    ])
    await store.end()
  })

  it('measure by the clock of the store how long a dispatch took', async () => {
    const clock = manualClock()
    const client = await embedded({ clock, maxConcurrentTasks: 1 })
    await client.metrics()
    let release = (): void => undefined
    const slow = task('slow', async (n: number) => {
      if (n === 0) await new Promise<void>((resolve) => (release = resolve))
      return n
    })
    const run = client.run(each(slow), [0, 1])
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(2_000)
    release()
    await run
    expect(linesOf(await client.metrics(), 'graflow_dispatch_latency_seconds_sum')).toEqual([
      'graflow_dispatch_latency_seconds_sum 2',
    ])
  })

  it('are CLOSED with it', async () => {
    const client = await embedded()
    await client.close()
    expect((await failureOf(client.metrics())).code).toBe('CLOSED')
  })
})
