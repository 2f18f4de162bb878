/** The worker protocol as requests and answers; what it does is in remote-workers.test.ts. */
import { connect, declareTask, each } from 'graflow'
import { createServer } from 'node:net'
import { GraflowError } from '../../lib/errors.js'
import { RemoteTokens, type RemoteToken } from '../../lib/server/remote-workers/remote-token.js'
import { openPlane, type TestPlane } from '../support/control-plane.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const BASE = '/api/v1/cluster/workers'
const upper = declareTask<string, string>('upper')

describe('the worker protocol', () => {
  let plane: TestPlane
  beforeEach(async () => {
    plane = await openPlane({ keyPrefix: freshPrefix() }, (await sharedRedis()).url)
  })
  afterEach(() => plane.close())

  const post = (path: string, body?: unknown): ReturnType<TestPlane['ask']> => plane.ask('POST', `${BASE}${path}`, body)
  const register = async (): Promise<string> =>
    String((await post('/register', { workerId: 'w', tasks: ['upper'], leaseMs: 60_000 })).json['id'])

  it('registers a worker, gives it tasks, and takes results, one or several', async () => {
    const registered = await post('/register', { workerId: 'w', tasks: ['upper'] })
    expect(registered.status).toBe(201)
    expect(registered.json).toMatchObject({ workerId: 'w', leaseMs: 15_000, heartbeatIntervalMs: 5_000 })
    const id = String(registered.json['id'])
    const run = await plane.graflow.start(each(upper), ['a', 'b', 'c'])
    const acquired = await post(`/${id}/acquire`, { max: 3 })
    expect(acquired.text).toMatch(/^\{"drain":false,"tasks":\[\{"token":"[\w-]+",.*"input":"a"\},/)
    const tasks = acquired.json['tasks'] as { token: string; input: string }[]
    const [a, b, c] = tasks.map(({ token, input }) => ({ token, result: input.toUpperCase() }))
    const [, , last] = tasks
    expect((await post(`/${id}/heartbeat`, { inHand: [a?.token] })).json).toEqual({ drain: false, lost: [] })
    expect((await post(`/${id}/extend`, { token: last?.token, progress: { fraction: 1 } })).json).toMatchObject({
      lost: [],
    })
    expect((await post(`/${id}/complete`, a)).json).toEqual({ token: a?.token, state: 'succeeded' })
    const several = await post(`/${id}/complete`, { tasks: [b, c, a] })
    expect(several.json).toMatchObject({
      tasks: [{ state: 'succeeded' }, { state: 'succeeded' }, { state: 'repeated' }],
    })
    expect(await run.result()).toEqual(['A', 'B', 'C'])
    const metrics = await plane.ask('GET', '/metrics')
    expect(metrics.text).toContain('graflow_tasks_total{task="upper",outcome="succeeded"} 3')
    expect((await post(`/${id}/deregister`)).json).toEqual({ id, changed: true })
  })

  it('takes no token that no server has made, whatever is changed in one, and those of any server of the store', async () => {
    const id = await register()
    const run = await plane.graflow.start(each(upper), ['a', 'b'])
    const [task] = (await post(`/${id}/acquire`)).json['tasks'] as { token: string; path: string }[]
    const bytes = Buffer.from(task?.token ?? '', 'base64url')
    const start = JSON.parse(bytes.subarray(16).toString()) as unknown[]
    const forged = start.map((was, i) => {
      const now = start.with(i, typeof was === 'number' ? was + 1 : `${String(was)}x`)
      return Buffer.concat([bytes.subarray(0, 16), Buffer.from(JSON.stringify(now))]).toString('base64url')
    })
    expect(forged.length).toBe(12)
    const other = await openPlane({ keyPrefix: plane.services.keyPrefix }, (await sharedRedis()).url)
    const unreadable = [forged[0], bytes.subarray(1).toString('base64url')]
    const own = task?.token
    for (const one of [plane, other]) {
      const ask = async (call: string, body: object): Promise<readonly [number, Readonly<Record<string, unknown>>]> => {
        const { status, json } = await one.ask('POST', `${BASE}/${id}/${call}`, body)
        return [status, json]
      }
      for (const token of unreadable)
        for (const [call, body] of [
          [
            'extend',
            {
              tasks: [
                { token: own, progress: { fraction: 0.4 } },
                { token, progress: { fraction: 0.5 } },
              ],
            },
          ],
          ['heartbeat', { inHand: [token] }],
          ['acquire', { inHand: [token], waitMs: 0 }],
          ['complete', { token, result: 'A' }],
        ] as const)
          expect(await ask(call, body)).toEqual([400, expect.objectContaining({ code: 'INVALID_OPTION' })])
      for (const token of forged.slice(1)) {
        const lost = [{ token, why: 'withdrawn', reason: expect.stringContaining('no server of this store') }]
        const said = { token, progress: { fraction: 0.5, message: 'forged' } }
        expect(await ask('extend', said)).toEqual([200, { drain: false, lost }])
        expect(await ask('extend', { tasks: [{ token: own }, said] })).toEqual([200, { drain: false, lost }])
        expect(await ask('heartbeat', { inHand: [token, own] })).toEqual([200, { drain: false, lost }])
        expect(await ask('acquire', { inHand: [own, token], max: 1, waitMs: 0 })).toEqual([200, expect.anything()])
        const fenced = expect.objectContaining({ code: 'FENCED' })
        expect(await ask('complete', { token, result: 'A' })).toEqual([409, fenced])
        expect(await ask('complete', { tasks: [{ token, result: 'A' }] })).toEqual([200, { tasks: [fenced] }])
      }
    }
    expect(await run.status()).toMatchObject({ state: 'running', done: 0 })
    expect((await run.status()).progress).toEqual([])
    const extended = await other.ask('POST', `${BASE}/${id}/extend`, {
      ...{ token: task?.token, progress: { fraction: 0.25 } },
    })
    expect(extended.json).toEqual({ drain: false, lost: [] })
    expect((await run.status()).progress).toMatchObject([{ path: task?.path, fraction: 0.25 }])
    await other.close()
    await run.cancel()
  })

  it('refuses a late result with 409 and a code, and a worker that it does not know with 404', async () => {
    const id = await register()
    const run = await plane.graflow.start(each(upper), ['a'])
    const { json } = await post(`/${id}/acquire`)
    const [task] = json['tasks'] as { token: string }[]
    await post(`/${id}/deregister`, {})
    const late = await post(`/${id}/complete`, { token: task?.token, result: 'A' })
    expect([late.status, late.json['code']]).toEqual([409, 'FENCED'])
    for (const call of ['heartbeat', 'acquire', 'deregister']) {
      const answer = await post(`/${id}/${call}`, {})
      expect([answer.status, answer.json['code']]).toEqual([404, 'WORKER_NOT_FOUND'])
    }
    await run.cancel()
  })

  it.each([
    ['/register', {}],
    ['/register', { tasks: [] }],
    ['/register', { tasks: ['a b'] }],
    ['/register', { tasks: ['a'], queues: ['runs'] }],
    ['/register', { tasks: ['a'], leaseMs: 1 }],
    ['/w/acquire', { max: 0 }],
    ['/w/acquire', { waitMs: 1e9 }],
    ['/w/acquire', { inHand: ['nonsense'] }],
    ['/w/heartbeat', { inHand: 'x' }],
    ['/w/complete', {}],
    ['/w/complete', { token: 'nonsense', result: 1 }],
    ['/w/extend', { token: 'x', progress: { fraction: 2 } }],
  ])('refuses a body that cannot be right: %s %j', async (path, body) => {
    const { status, json } = await post(path, body)
    expect([status, json['status']]).toEqual([400, 400])
    expect(['INVALID_OPTION', 'INVALID_NAME']).toContain(json['code'])
  })

  it.each([
    ['/w/complete', { token: 7, result: 1 }, 'body: token: expected a text, got 7'],
    ['/w/complete', { result: 1 }, 'body: token: expected a text, got nothing'],
    ['/w/complete', { token: 'x', error: {} }, 'body: error.message: expected a text, got nothing'],
    ['/w/complete', { tasks: 7 }, 'body: tasks: expected a list, got 7'],
    ['/w/complete', { tasks: [] }, 'body: tasks: expected at least 1 in the list, got 0'],
    ['/w/complete', { tasks: [{ result: 1 }] }, 'body: tasks.0.token: expected a text, got nothing'],
    [
      '/w/complete',
      { token: 'x', result: 1, error: { message: 'no' } },
      'body: error: expected one of result, error and release, got result and error',
    ],
    [
      '/w/complete',
      { tasks: [{ token: 'x', result: null, release: true }] },
      'body: tasks.0.release: expected one of result, error and release, got result and release',
    ],
    ['/w/extend', { token: 'x', progress: { fraction: 2 } }, 'body: progress.fraction: expected at most 1, got 2'],
    ['/w/extend', { tasks: [{ token: 7 }] }, 'body: tasks.0.token: expected a text, got 7'],
  ])('says which member of a body is wrong: %s %j', async (path, body, says) => {
    const { status, json } = await post(path, body)
    expect([status, json['detail']]).toEqual([400, says])
  })

  it('takes an error of a task whose graph is gone by its token alone, and no branch beyond all groups', async () => {
    const id = await register()
    const run = await plane.graflow.start(each(upper), ['a', 'b'])
    const { json } = await post(`/${id}/acquire`, { max: 2 })
    const [first, second] = json['tasks'] as { token: string }[]
    const { session, clock, newId } = plane.services
    const tokens = new RemoteTokens({ store: session.store, clock, newId })
    const changed = async (token = '', fields: object): Promise<string> => {
      const [start] = await tokens.decode([token])
      return tokens.encode({ ...(start as RemoteToken), ...fields })
    }
    const error = { message: 'no' }
    const held = await post(`/${id}/complete`, { token: await changed(first?.token, { graph: 'gone' }), error })
    expect([held.status, held.json['state']]).toEqual([200, 'released'])
    await run.cancel()
    const over = await post(`/${id}/complete`, { token: await changed(second?.token, { graph: 'gone' }), error })
    expect([over.status, over.json['code']]).toEqual([409, 'CANCELLED'])
    const beyond = await post(`/${id}/complete`, { token: await changed(second?.token, { index: 2 ** 40 }), result: 1 })
    expect([beyond.status, beyond.json['code']]).toEqual([400, 'INVALID_OPTION'])
  })

  it('ends calls that wait for work when it closes', async () => {
    const id = await register()
    const waiting = post(`/${id}/acquire`, { waitMs: 60_000 })
    await plane.close()
    expect((await waiting).json).toEqual({ drain: false, tasks: [] })
  })

  it('FT-H10: calls no address that a worker names', async () => {
    let connections = 0
    const listener = createServer(() => (connections += 1))
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    const { port } = listener.address() as { port: number }
    const url = `http://127.0.0.1:${port}`
    const { json } = await post('/register', {
      tasks: ['upper'],
      hostname: url,
      url,
      address: url,
      callback: url,
      metadata: { url },
    })
    expect((await post(`/${String(json['id'])}/heartbeat`, {})).status).toBe(200)
    expect(connections).toBe(0)
    await new Promise((resolve) => listener.close(resolve))
  })
})

it('a call for work that waits is answered with nothing when its server closes, also where the process goes on', async () => {
  const { url } = await sharedRedis()
  const keyPrefix = freshPrefix()
  const stays = await openPlane({ keyPrefix }, url)
  const graflow = await connect(url, { keyPrefix, logLevel: 'silent', serve: { port: 0 } })
  const ask = async (path: string, body: object): Promise<readonly [number, any]> => {
    const answer = await fetch(new URL(`.${BASE}${path}`, graflow.server?.url), {
      ...{ method: 'POST', body: JSON.stringify(body) },
      headers: { 'content-type': 'application/json' },
    })
    return [answer.status, await answer.json()]
  }
  const [, { id }] = await ask('/register', { workerId: 'w', tasks: ['upper'], leaseMs: 60_000 })
  const waiting = ask(`/${id}/acquire`, { waitMs: 20_000 })
  await until(async () => (await stays.graflow.workers.get('w'))?.state === 'ready', 'the worker to be ready')
  await graflow.close()
  expect(await waiting).toEqual([200, { drain: false, tasks: [] }])
  await stays.close()
})

it('a call for work that meets the store closed with its server is answered with nothing', async () => {
  const plane = await openPlane({ keyPrefix: freshPrefix() }, (await sharedRedis()).url)
  const { store } = plane.services.session
  const { id } = (await plane.ask('POST', `${BASE}/register`, { workerId: 'w', tasks: ['upper'] })).json
  let closed: Promise<void> | undefined
  jest.spyOn(store, 'acquire').mockImplementation(async () => {
    closed = plane.close()
    throw new GraflowError('CLOSED', 'the store is closed')
  })
  const { status, json } = await plane.ask('POST', `${BASE}/${id}/acquire`, { waitMs: 1_000 })
  expect([status, json]).toEqual([200, { drain: false, tasks: [] }])
  await closed
})

describe('the worker protocol of a control plane with keys', () => {
  it('FT-H2: wants a key with the scope operate for every call, heartbeats too', async () => {
    const plane = await openPlane({ serve: { apiKeys: ['read:the-read-key'] } }, (await sharedRedis()).url)
    for (const call of ['register', 'w/heartbeat', 'w/acquire', 'w/extend', 'w/complete', 'w/deregister']) {
      expect((await plane.ask('POST', `${BASE}/${call}`, {})).status).toBe(401)
      expect((await plane.ask('POST', `${BASE}/${call}`, {}, { 'x-api-key': 'the-read-key' })).status).toBe(403)
    }
    await plane.close()
  })

  it('is not there where the store is the process itself', async () => {
    const plane = await openPlane()
    const { status, json } = await plane.ask('POST', `${BASE}/register`, { tasks: ['upper'] })
    expect([status, json['code']]).toEqual([501, 'NOT_AVAILABLE'])
    await plane.close()
  })
})
