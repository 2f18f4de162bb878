/** What an exporter shows of a store, with and without workers. */
import { each, GraflowError, seq, task, waitFor, workflow } from 'graflow'
import { WAIT_REASONS } from '../../lib/producer/wait-reasons.js'
import type { Exporter } from '../../worker/index.js'
import { startExporter } from '../../worker/index.js'
import { failureOf } from '../support/captured-errors.js'
import { Gate } from '../support/gate.js'
import { SharedStore } from '../support/shared-store.js'
import { until } from '../support/waits.js'
import { wired } from '../support/wired-backend.js'

const moody = task('moody', (n: number) => {
  if (n < 0) throw new Error('no')
  return n
})

let store: SharedStore
beforeEach(() => {
  store = new SharedStore()
})
afterEach(() => store.end())

const get = async (
  { port }: Exporter,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}
const load = async (exporter: Exporter, query: string): Promise<unknown> =>
  JSON.parse((await get(exporter, `/api/v1/autoscale${query}`)).text)

describe('an exporter', () => {
  it('counts what waits while there is no worker, and what runs once there is one', async () => {
    const exporter = await store.exporter({ keyPrefix: 'p' })
    const client = await store.client()
    const gate: { open?: () => void } = {}
    const held = task('held', async (n: number) => {
      await new Promise<void>((resolve) => (gate.open = resolve))
      return n
    })
    expect(await load(exporter, '?queue=default')).toEqual({
      ...{ queue: 'default', depth: 0, backlog: 0, oldestSeconds: 0, workers: 0 },
    })
    const run = await client.start(each(held), [0, 1, 2])
    await until(async () => (await run.status()).total === 3, 'the group to be dispatched')
    expect(await load(exporter, '?queue=default')).toMatchObject({ depth: 3, backlog: 3, workers: 0 })
    // the client drives the run: no worker could take it, or is kept by it
    expect(await load(exporter, '?queue=runs')).toMatchObject({ depth: 0, backlog: 0 })
    await store.started({ tasks: [held], workerId: 'w', maxConcurrentTasks: 1 })
    await until(() => gate.open !== undefined, 'the worker to start a branch')
    expect(await load(exporter, '?queue=default')).toMatchObject({ depth: 2, backlog: 3, workers: 1 })
    const { text } = await get(exporter, '/metrics')
    expect(text).toContain('graflow_workers{key_prefix="p",queue="default"} 1')
    expect(text).toContain('graflow_backlog{key_prefix="p",queue="default"} 3')
    await run.cancel()
  })

  it('says whether anybody leads, and how many may', async () => {
    const exporter = await store.exporter({ keyPrefix: 'p' })
    const leaders = async (): Promise<readonly string[]> =>
      (await get(exporter, '/metrics')).text.split('\n').filter((line) => /^graflow_lead(s|er_candidates)\{/.test(line))
    const are = (leads: number, candidates: number): readonly string[] => [
      `graflow_leads{key_prefix="p"} ${leads}`,
      `graflow_leader_candidates{key_prefix="p"} ${candidates}`,
    ]
    await store.started({ tasks: [moody], workerId: 'never', role: 'worker' })
    expect(await leaders()).toEqual(are(0, 0))
    const worker = await store.started({ tasks: [moody], workerId: 'may' })
    await until(() => worker.isLeader, 'the worker to lead')
    expect(await leaders()).toEqual(are(1, 1))
    await worker.stop()
    expect(await leaders()).toEqual(are(0, 0))
  })

  it('says how many places wait, and for what', async () => {
    const client = await store.client()
    const runs = [1, 2].map(() => client.start(seq(waitFor('go')), undefined as never))
    const flows = await Promise.all([...runs, client.start(each(moody), [1, 2])])
    await until(async () => (await client.waits.list()).items.length === 3, 'three places to wait')
    const exporter = await store.exporter({ keyPrefix: 'p' })
    const waits = (text: string): readonly string[] =>
      text.split('\n').filter((line) => line.startsWith('graflow_waits{'))
    const lines = waits((await get(exporter, '/metrics')).text)
    expect(lines).toHaveLength(WAIT_REASONS.length)
    expect(lines).toContain('graflow_waits{why="signal",key_prefix="p"} 2')
    expect(lines).toContain('graflow_waits{why="worker",key_prefix="p"} 1')
    expect(lines).toContain('graflow_waits{why="busy",key_prefix="p"} 0')
    await Promise.all(flows.map((run) => run.cancel()))
  })

  it('does not count in the backlog what waits for its retry', async () => {
    const later = task('later', { retry: { attempts: 2, delayMs: 60_000 } }, (_: number): number => {
      throw new Error('no')
    })
    const exporter = await store.exporter()
    const client = await store.client()
    await store.started({ tasks: [later], workerId: 'w' })
    const run = await client.start(each(later), [0])
    const delayed = async (): Promise<number> =>
      (await store.backend.inspect.queues()).reduce((sum, queue) => sum + queue.delayed, 0)
    await until(async () => (await delayed()) === 1, 'the branch to wait for its retry')
    expect(await load(exporter, '')).toMatchObject({ depth: 0, backlog: 0, workers: 1 })
    await run.cancel()
  })

  it('gives each of two readings at the same time all of it once', async () => {
    await store.started({ tasks: [moody], workerId: 'w' })
    const client = await store.client()
    await client.run(workflow('one', seq(moody)), 1)
    await client.run(each(moody).settled(), [-1])
    const gate = new Gate()
    const { totals } = store.backend.inspect
    store.backend.inspect.totals = () => gate.pass().then(totals)
    const exporter = await store.exporter({ keyPrefix: 'p' })
    const texts = Promise.all([get(exporter, '/metrics'), get(exporter, '/metrics')])
    await gate.reached(1)
    await get(exporter, '/livez') // sent after both, so both have come
    gate.open()
    for (const { text } of await texts) {
      const lines = text.split('\n')
      expect(lines).toContain('graflow_runs_total{workflow="one",state="completed",key_prefix="p"} 1')
      expect(lines).toContain('graflow_dead_letters_total{key_prefix="p"} 1')
      expect(lines).toContain('graflow_queue_depth{key_prefix="p",queue="default"} 0')
    }
  })

  it('begins the series of a workflow at 0 for what none of its runs has ended as', async () => {
    const client = await store.client()
    await client.run(workflow('one', seq(moody)), 1)
    const { text } = await get(await store.exporter({ keyPrefix: 'p' }), '/metrics')
    expect(text).toContain('graflow_runs_total{workflow="one",state="failed",key_prefix="p"} 0')
    expect(text).toContain('graflow_runs_total{workflow="one",state="cancelled",key_prefix="p"} 0')
  })

  it('leaves out what cannot be read of a store that answers, and says so once', async () => {
    const lines: string[] = []
    const exporter = await store.exporter({ keyPrefix: 'p', logLevel: 'warn' }, (emitter) =>
      emitter.subscribe('log', ({ level, message }) => level === 'warn' && lines.push(message)),
    )
    const { serving } = store.backend.inspect
    store.backend.inspect.serving = () => Promise.reject(new GraflowError('INTEGRITY', 'no JSON'))
    const texts = [await get(exporter, '/metrics'), await get(exporter, '/metrics')]
    for (const { text } of texts) {
      expect(text).toContain('graflow_store_up{key_prefix="p"} 1')
      expect(text).toContain('graflow_queue_depth{key_prefix="p",queue="default"} 0')
      expect(text).not.toContain('graflow_workers{')
    }
    store.backend.inspect.serving = serving
    expect((await get(exporter, '/metrics')).text).toContain('graflow_workers{key_prefix="p",queue="default"} 0')
    expect(lines).toEqual(['metrics leave out workers: the store answers, but not that: no JSON'])
  })

  it('is not ready while the store has taken it for dead', async () => {
    let lose = (): void => undefined
    let isHeld = false
    const gate = new Gate()
    store.view = wired(
      store.backend,
      { call: (name, send) => (name === 'session' && isHeld ? gate.pass().then(send) : send()) },
      {
        keepAlive: (_, { onLost }) => {
          lose = () => onLost('session')
          return { ready: Promise.resolve(), stop: async () => undefined, lastRenewedAt: Infinity }
        },
      },
    )
    const exporter = await store.exporter()
    expect((await get(exporter, '/readyz')).status).toBe(200)
    isHeld = true
    lose()
    const { status, text } = await get(exporter, '/readyz')
    expect([status, JSON.parse(text)]).toEqual([
      503,
      expect.objectContaining({ reason: 'the store took the exporter for dead; it registers again' }),
    ])
    isHeld = false
    gate.open()
    await until(async () => (await get(exporter, '/readyz')).status === 200, 'the exporter to be registered again')
  })

  it('counts runs that have ended, and dead letters, though nobody runs any more who knew them', async () => {
    const worker = await store.started({ tasks: [moody], workerId: 'w' })
    const client = await store.client()
    const flow = workflow('triage', seq(each(moody)))
    await client.run(flow, [1, 2])
    await client.run(flow, [-1]).catch(() => undefined)
    await client.run(each(moody).settled(), [-1])
    await worker.stop()
    const lines = (await get(await store.exporter({ keyPrefix: 'p' }), '/metrics')).text.split('\n')
    for (const line of [
      'graflow_runs_total{workflow="triage",state="completed",key_prefix="p"} 1',
      'graflow_runs_total{workflow="triage",state="failed",key_prefix="p"} 1',
      'graflow_runs_total{workflow="",state="completed",key_prefix="p"} 1',
      'graflow_dead_letters_total{key_prefix="p"} 2',
      'graflow_queue_depth{key_prefix="p",queue="runs"} 0',
      'graflow_store_up{key_prefix="p"} 1',
    ])
      expect(lines).toContain(line)
    expect(lines.some((line) => line.startsWith('graflow_store_bytes{kind="used",key_prefix="p"} '))).toBe(true)
  })

  it('answers for several queues together, and without a name for those of a usual worker', async () => {
    const exporter = await store.exporter()
    const client = await store.client()
    await client.submit(moody, 1)
    expect(await load(exporter, '')).toMatchObject({ queue: 'default,runs', depth: 1, backlog: 1 })
    expect(await load(exporter, '?queue=runs&queue=gpu')).toMatchObject({ queue: 'runs,gpu', depth: 1 })
    expect(await load(exporter, '?queue=gpu')).toMatchObject({ queue: 'gpu', depth: 0 })
  })

  it('refuses a caller without the key, on the path of autoscaling only', async () => {
    const exporter = await store.exporter({ apiKey: 'a-good-key' })
    const path = '/api/v1/autoscale?queue=default'
    for (const headers of [{}, { 'x-api-key': 'a-bad-key' }, { authorization: 'Bearer a-good-ke' }]) {
      const { status, type, text } = await get(exporter, path, headers)
      expect([status, type]).toEqual([401, 'application/problem+json; charset=utf-8'])
      expect(text).not.toContain('good-key')
    }
    for (const headers of [{ 'x-api-key': 'a-good-key' }, { authorization: 'Bearer a-good-key' }])
      expect((await get(exporter, path, headers)).status).toBe(200)
    for (const open of ['/metrics', '/livez', '/readyz', '/healthz'])
      expect((await get(exporter, open)).status).toBe(200)
  })

  it('refuses what is no name of a queue, and takes no commands', async () => {
    const exporter = await store.exporter()
    const { status, text } = await get(exporter, '/api/v1/autoscale?queue=a%20b')
    expect([status, JSON.parse(text)]).toEqual([400, expect.objectContaining({ code: 'INVALID_NAME', status: 400 })])
    expect((await get(exporter, '/api/v1/autoscale', {}, 'POST')).status).toBe(405)
    expect((await get(exporter, '/')).status).toBe(404)
  })

  it('says so while the store is away, and is live all the same', async () => {
    store.view = store.backend
    const exporter = await store.exporter()
    const away = (): Promise<never> => Promise.reject(new GraflowError('REDIS_UNAVAILABLE', 'away'))
    store.backend.ping = away
    store.backend.inspect.queues = away
    expect((await get(exporter, '/livez')).status).toBe(200)
    expect((await get(exporter, '/healthz')).status).toBe(503)
    expect((await get(exporter, '/api/v1/autoscale')).status).toBe(503)
    const { status, text } = await get(exporter, '/metrics')
    expect(status).toBe(200)
    expect(text).toContain('graflow_store_up{key_prefix="graflow"} 0')
    expect(text).not.toContain('graflow_queue_depth{')
  })

  it('refuses options that are none, and a port in use', async () => {
    expect((await failureOf(startExporter({ apiKey: 'short' }))).message).toContain(
      'exporter: apiKey: expected 8 to 512 visible',
    )
    const { port } = await store.exporter()
    const error = await failureOf(store.exporter({ metricsPort: port }))
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toContain(`another exporter of this machine?`)
  })
})
