/** What those who run a worker see of it over HTTP. */
import { each, GraflowError, par, seq, task, workflow } from 'graflow'
import type { EventOf } from '../../lib/events.js'
import { manualClock } from '../../lib/time.js'
import type { Worker } from '../../worker/index.js'
import { failureOf } from '../support/captured-errors.js'
import { SharedStore } from '../support/shared-store.js'

const moody = task('moody', { retry: { attempts: 2 } }, (n: number, ctx) => {
  if (n === 3 || (n === 2 && ctx.attempt === 1)) throw new Error('no')
  return n
})

let store: SharedStore
beforeEach(() => {
  store = new SharedStore()
})
afterEach(() => store.end())

const get = async (worker: Worker, path: string, method = 'GET') => {
  const response = await fetch(`http://127.0.0.1:${worker.metricsPort}${path}`, { method })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}
const start = (): Promise<Worker> =>
  store.started({
    tasks: [moody],
    workerId: 'w',
    metricsPort: 0,
    metricsHost: '127.0.0.1',
    keyPrefix: 'p',
    queues: ['default', 'own'],
  })

describe('health of a worker', () => {
  it('is good while it takes work', async () => {
    const worker = await start()
    expect(JSON.parse((await get(worker, '/livez')).text)).toEqual({ status: 'ok', workerId: 'w', state: 'ready' })
    expect(await get(worker, '/readyz?x=1')).toMatchObject({ status: 200, type: 'application/json; charset=utf-8' })
    expect(await get(worker, '/readyz', 'HEAD')).toMatchObject({ status: 200, text: '' })
  })

  it('is not ready while the store does not answer, and still live', async () => {
    store.view = store.backend
    store.backend.ping = () => Promise.reject(new GraflowError('REDIS_UNAVAILABLE', 'away'))
    const worker = await start()
    const { status, text } = await get(worker, '/readyz')
    expect(status).toBe(503)
    expect(JSON.parse(text)).toMatchObject({ status: 'unready', reason: 'the store does not answer: away' })
    expect((await get(worker, '/livez')).status).toBe(200)
  })

  it('has nothing else, and takes no commands', async () => {
    const worker = await start()
    expect((await get(worker, '/')).status).toBe(404)
    expect((await get(worker, '/livez', 'POST')).status).toBe(405)
  })

  it('says which port cannot be listened on', async () => {
    const { metricsPort = 0 } = await start()
    const other = store.worker({ tasks: [moody], metricsPort, metricsHost: '127.0.0.1' })
    const error = await failureOf(other.start())
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toContain(
      `metricsPort: expected a free port, but another process listens on 127.0.0.1:${metricsPort}`,
    )
  })
})

describe('metrics of a worker', () => {
  it('have no label for each ctx.run: names of tasks and workflows, or kinds of nodes', async () => {
    const one = task('one', (n: number) => n)
    const named = workflow('named', seq(one, one))
    const forks = task('forks', async (n: number, ctx) => {
      await Promise.all([ctx.run(one, n), ctx.run(seq(one, one), n), ctx.run(named, n), ctx.run(each(one), [n])])
      return n
    })
    const worker = await store.started({ tasks: [forks, named], metricsPort: 0, metricsHost: '127.0.0.1' })
    const client = await store.client()
    await client.run(each(forks), [0, 1, 2])
    const { text } = await get(worker, '/metrics')
    const labels = [...text.matchAll(/graflow_tasks_total\{task="([^"]*)"/g)].map(([, label]) => label)
    expect([...new Set(labels)].sort()).toEqual(['(sequence)', 'forks', 'one'])
  })

  it('begin at 0 for every task that the worker has, so that no first outcome is missed', async () => {
    const other = task('other-task', (n: number) => n)
    const named = workflow('named', seq(other, moody))
    const worker = await store.started({ tasks: [moody, named], metricsPort: 0, metricsHost: '127.0.0.1' })
    const lines = (await get(worker, '/metrics')).text
      .split('\n')
      .filter((line) => line.startsWith('graflow_tasks_total{'))
    expect(lines).toEqual([
      'graflow_tasks_total{task="moody",outcome="succeeded"} 0',
      'graflow_tasks_total{task="moody",outcome="failed"} 0',
      'graflow_tasks_total{task="other-task",outcome="succeeded"} 0',
      'graflow_tasks_total{task="other-task",outcome="failed"} 0',
    ])
  })

  it('have at most 200 tasks of their own, and count the others together', async () => {
    const tasks = Array.from({ length: 203 }, (_, i) => task(`t${i}`, (n: number) => n))
    const worker = await store.started({ tasks, metricsPort: 0, metricsHost: '127.0.0.1' })
    const client = await store.client()
    for (const one of tasks) await client.run(each(one), [1, 2])
    const { text } = await get(worker, '/metrics')
    for (const name of ['graflow_tasks_total', 'graflow_task_duration_seconds_count']) {
      const found = [
        ...text.matchAll(new RegExp(`^${name}\\{task="([^"]*)"(?:,outcome="succeeded")?\\} (\\d+)$`, 'gm')),
      ]
      expect(found).toHaveLength(201)
      expect(found.find(([, label]) => label === 'other')?.[2]).toBe('6')
    }
  })

  it('X18: count what it did, and show what waits', async () => {
    const worker = await start()
    const client = await store.client()
    await client.run(each(moody).settled(), [0, 1, 2, 3])
    const { type, text } = await get(worker, '/metrics')
    expect(type).toContain('text/plain')
    const lines = text.split('\n')
    for (const line of [
      'graflow_tasks_total{task="moody",outcome="succeeded"} 3',
      'graflow_tasks_total{task="moody",outcome="failed"} 1',
      'graflow_retries_total 2',
      'graflow_fenced_total 0',
      'graflow_sessions_lost_total 0',
      'graflow_wakeup_missed_total 0',
      'graflow_task_duration_seconds_count{task="moody"} 6',
      'graflow_task_duration_seconds_bucket{task="moody",le="+Inf"} 6',
      'graflow_queue_depth{key_prefix="p",queue="default"} 0',
      'graflow_queue_depth{key_prefix="p",queue="own"} 0',
      'graflow_backlog{key_prefix="p",queue="default"} 0',
      'graflow_branches_in_flight 0',
      'graflow_store_up{key_prefix="p"} 1',
    ])
      expect(lines).toContain(line)
    for (const name of [
      'graflow_event_loop_lag_seconds',
      'graflow_graph_cache_hits_total',
      'graflow_queue_oldest_seconds',
    ])
      expect(text).toContain(`# HELP ${name} `)
  })

  it('count the steps of a submitted run, and log the one that fails, with where it was', async () => {
    const first = task('first', (n: number) => [n, n])
    const last = task('last', (_: readonly number[]): number => {
      throw new TypeError('no such thing')
    })
    const lines: EventOf<'log'>[] = []
    const worker = store.worker(
      {
        ...{ tasks: [seq(first, each(moody), last)], workerId: 'w', metricsPort: 0, metricsHost: '127.0.0.1' },
        logLevel: 'warn',
        logFormat: 'json',
      },
      (emitter) => emitter.subscribe('log', (event) => lines.push(event)),
    )
    await worker.start()
    const client = await store.client()
    const run = await client.submit(seq(first, each(moody), last), 1)
    await run.result().catch(() => undefined)
    const { text } = await get(worker, '/metrics')
    for (const line of [
      'graflow_tasks_total{task="first",outcome="succeeded"} 1',
      'graflow_tasks_total{task="moody",outcome="succeeded"} 2',
      'graflow_tasks_total{task="last",outcome="failed"} 1',
    ])
      expect(text.split('\n')).toContain(line)
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([
      expect.objectContaining({
        ...{ runId: run.id, task: 'last', path: '2', attempt: 1, workerId: 'w' },
        message: expect.stringMatching(/^step failed: .*no such thing/) as string,
      }),
    ])
  })

  it('have no more than a hundred lines a second of failures, and count the others', async () => {
    const bad = task('bad', (_: number): number => {
      throw new Error('no')
    })
    const lines: EventOf<'log'>[] = []
    const clock = manualClock()
    const worker = store.worker(
      { tasks: [bad], workerId: 'w', logLevel: 'warn', clock, maxConcurrentTasks: 200 },
      (emitter) => emitter.subscribe('log', (event) => lines.push(event)),
    )
    await worker.start()
    const client = await store.client()
    const numbers = Array.from({ length: 150 }, (_, i) => i)
    await client.run(each(bad).settled(), numbers)
    clock.advance(1_000)
    await client.run(each(bad).settled(), [0])
    const messages = lines.filter(({ level }) => level === 'warn').map(({ message }) => message)
    expect(messages).toHaveLength(102)
    expect(messages[100]).toBe('50 more starts failed in the same second and have no line of their own')
    expect(messages[0]).toMatch(/^branch failed: /)
  })

  it('O8: count the steps of a run that it drives, as its counters do, and its log has the one that failed', async () => {
    const list = task('list', (n: number) => Array.from({ length: n }, (_, i) => i))
    const double = task('double', (n: number) => n * 2)
    const sum = task('sum', (_: readonly number[]): number => {
      throw new RangeError('no sum')
    })
    const flow = seq(list, each(double), sum)
    const worker = store.worker(
      { tasks: [flow], workerId: 'w', metricsPort: 0, metricsHost: '127.0.0.1', logLevel: 'info' },
      () => () => undefined,
    )
    await worker.start()
    const said: string[] = []
    worker.events.subscribe('log', ({ level, message, path }) => said.push(`${level} ${path ?? ''} ${message}`))
    const client = await store.client()
    await (await client.submit(flow, 3)).result().catch(() => undefined)
    const lines = (await get(worker, '/metrics')).text.split('\n')
    expect(lines).toContain('graflow_tasks_total{task="list",outcome="succeeded"} 1')
    expect(lines).toContain('graflow_tasks_total{task="sum",outcome="failed"} 1')
    expect([worker.tasksProcessed, worker.tasksSucceeded, worker.tasksFailed]).toEqual([5, 4, 1])
    expect(said.filter((line) => line.startsWith('warn 2 step failed: '))).toHaveLength(1)
  })

  it('X18: count a branch once that asks for another queue than its group', async () => {
    const stock = task('stock', { queue: 'own' }, (n: number) => {
      if (n === 3) throw new Error('no')
      return n
    })
    const flow = par(moody, stock).settled()
    const worker = await store.started({
      ...{ tasks: [flow], workerId: 'w', metricsPort: 0, metricsHost: '127.0.0.1' },
      queues: ['default', 'own'],
    })
    const client = await store.client()
    for (const n of [0, 1, 3]) await client.run(flow, n)
    const lines = (await get(worker, '/metrics')).text.split('\n')
    for (const line of [
      'graflow_tasks_total{task="stock",outcome="succeeded"} 2',
      'graflow_tasks_total{task="stock",outcome="failed"} 1',
      'graflow_task_duration_seconds_count{task="stock"} 3',
      'graflow_tasks_total{task="moody",outcome="succeeded"} 2',
      'graflow_tasks_total{task="moody",outcome="failed"} 1',
    ])
      expect(lines).toContain(line)
    expect([worker.tasksProcessed, worker.tasksSucceeded, worker.tasksFailed]).toEqual([6, 4, 2])
  })

  it('show what waits for a worker', async () => {
    const worker = await store.started({ role: 'observer', metricsPort: 0, metricsHost: '127.0.0.1', keyPrefix: 'p' })
    const client = await store.client()
    const run = await client.start(each(moody), [0, 1, 2])
    while ((await run.status()).total === 0) await new Promise((resolve) => setImmediate(resolve))
    expect((await get(worker, '/metrics')).text).toContain('graflow_queue_depth{key_prefix="p",queue="default"} 3')
  })

  it('leave out what the store does not say', async () => {
    const worker = await start()
    store.view.ping = () => Promise.reject(new GraflowError('REDIS_UNAVAILABLE', 'away'))
    const { status, text } = await get(worker, '/metrics')
    expect(status).toBe(200)
    expect(text).toContain('graflow_store_up{key_prefix="p"} 0')
    expect(text).not.toContain('graflow_queue_depth{')
  })

  it('have cumulative buckets', async () => {
    const worker = await start()
    const client = await store.client()
    await client.run(each(moody).settled(), [0, 1])
    const { text } = await get(worker, '/metrics')
    const buckets = [...text.matchAll(/graflow_task_duration_seconds_bucket\{.*\} (\d+)/g)].map(([, count]) =>
      Number(count),
    )
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b))
    expect(buckets.at(-1)).toBe(2)
  })
})
