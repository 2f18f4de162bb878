/** Commands that are repeated, at the server that did them or at another one: with an Idempotency-Key they are done once, and answer the same. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { again, done, loop, task, waitFor, workflow } from 'graflow'
import { Worker } from 'graflow/worker'
import { type Answered, openPlane, type TestPlane } from '../support/control-plane.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const flaky = workflow(
  'flaky',
  task('starts', () => 1).to(
    task('fails', (_: number): number => {
      throw new Error('as always')
    }),
  ),
)
/** Waits again and again, until one says stop; gives how often it was told something. */
const told = task('told', async (said: unknown, ctx) => {
  const times = await ctx.channel.add('times', 1)
  return said === 'stop' ? done(times) : again(said)
})
const rounds = workflow('rounds', loop(waitFor('next').to(told), { maxCycles: 9 }))
/** Fails once it was told something. */
const asking = workflow(
  'asking',
  waitFor('go').to(
    task('fails-told', (_: unknown): number => {
      throw new Error('as always')
    }),
  ),
)
const TASKS = [flaky, rounds, asking]

describe.each(['embedded', 'redis'] as const)('commands with an Idempotency-Key (%s)', (store) => {
  const ends: (() => Promise<unknown>)[] = []
  let one: TestPlane
  /** Another server of the same store; embedded there is only one. */
  let other: TestPlane

  beforeAll(async () => {
    const own = { logLevel: 'silent', tasks: TASKS } as const
    if (store === 'embedded') one = other = await openPlane(own)
    else {
      const shared = { logLevel: 'silent', keyPrefix: freshPrefix() } as const
      const { url } = await sharedRedis()
      const worker = new Worker({ ...shared, redisUrl: url, tasks: [...TASKS], workerId: 'worker-1' })
      await worker.start()
      ends.push(() => worker.stop())
      one = await openPlane(shared, url)
      other = await openPlane(shared, url)
      ends.push(() => other.close())
    }
    ends.push(() => one.close())
  })
  afterAll(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  const send = (plane: TestPlane, path: string, key: string | undefined, body?: unknown, method = 'POST') =>
    plane.ask(method, `/api/v1${path}`, body, key === undefined ? {} : { 'idempotency-key': key })
  const answerOf = ({ status, json }: Answered): unknown => [status, json]

  async function failed(): Promise<string> {
    const run = await one.graflow.submit('flaky')
    await isOver(run.id)
    return run.id
  }
  const isOver = (id: string, retries = 0): Promise<void> =>
    until(async () => {
      const status = await one.graflow.runs.get(id)
      return status?.state === 'failed' && status.retries === retries
    }, `the end of ${id}`)
  const retriesOf = async (id: string) => (await one.graflow.runs.get(id))?.retries

  /** From now on the first answer of the server is not kept: it dies before it can. */
  function losesItsAnswer({ services: { session } }: TestPlane): () => void {
    const write = session.store.writeDocuments.bind(session.store)
    const spy = jest.spyOn(session.store, 'writeDocuments').mockImplementation((request) => {
      if (request.collection.startsWith('answers')) return Promise.reject(new Error('the server is gone'))
      return write(request)
    })
    return () => {
      spy.mockRestore()
    }
  }

  it('FT-H18: a retry is done once, whichever server the repeat reaches', async () => {
    const id = await failed()
    const first = await send(one, `/runs/${id}/retry`, 'first')
    expect(answerOf(first)).toEqual([200, { id, changed: true }])
    await isOver(id, 1)
    for (const plane of [one, other]) {
      const repeat = await send(plane, `/runs/${id}/retry`, 'first')
      expect([answerOf(repeat), repeat.headers.get('idempotent-replayed')]).toEqual([answerOf(first), 'true'])
    }
    expect(await retriesOf(id)).toBe(1)
    expect(answerOf(await send(other, `/runs/${id}/retry`, 'second'))).toEqual(answerOf(first))
    await isOver(id, 2)
  })

  it('FT-H18: a retry whose answer was lost is not done again, and the repeat says that it was done', async () => {
    const id = await failed()
    const restore = losesItsAnswer(one)
    expect((await send(one, `/runs/${id}/retry`, 'lost')).status).toBe(200)
    restore()
    await isOver(id, 1)
    expect(answerOf(await send(other, `/runs/${id}/retry`, 'lost'))).toEqual([200, { id, changed: true }])
    expect(await retriesOf(id)).toBe(1)
  })

  it('FT-H18: a decision by hand whose answer was lost is not made again', async () => {
    const id = await failed()
    const restore = losesItsAnswer(one)
    const settle = (plane: TestPlane) => send(plane, `/runs/${id}/settle`, 'hand', { path: '1', fail: 'no way' })
    const first = await settle(one)
    restore()
    await isOver(id, 1)
    expect(answerOf(first)).toEqual([200, { id, changed: true }])
    expect(answerOf(await settle(other))).toEqual(answerOf(first))
    expect(await one.graflow.runs.get(id)).toMatchObject({ retries: 1, byHand: [{ path: '1' }] })
  })

  it('FT-H18: a signal is brought once, also to a wait that comes again', async () => {
    const run = await one.graflow.submit('rounds')
    const say = (plane: TestPlane, key: string, body: string) =>
      send(plane, `/runs/${run.id}/signals/next`, key, JSON.stringify(body))
    await until(async () => (await one.graflow.waits.of(run.id))[0]?.why === 'signal', 'the first wait')
    const restore = losesItsAnswer(one)
    const first = await say(one, 'go', 'on')
    restore()
    expect(answerOf(first)).toEqual([200, { id: run.id, changed: true }])
    expect(answerOf(await say(other, 'go', 'on'))).toEqual(answerOf(first))
    expect(answerOf(await say(one, 'go', 'on'))).toEqual(answerOf(first))
    await say(one, 'end', 'stop')
    expect(await (await one.graflow.attach(run.id)).result()).toBe(2)
  })

  it('FT-H18: a signal whose answer was lost was the answer, also after the run was retried', async () => {
    const { id } = await one.graflow.submit('asking')
    const say = (plane: TestPlane, key: string) => send(plane, `/runs/${id}/signals/go`, key, '"on"')
    await until(async () => (await one.graflow.waits.of(id))[0]?.why === 'signal', 'the wait')
    const restore = losesItsAnswer(one)
    const first = await say(one, 'told')
    restore()
    await isOver(id)
    await one.graflow.runs.retry(id)
    await isOver(id, 1)
    await one.graflow.runs.retry(id)
    expect(answerOf(first)).toEqual([200, { id, changed: true }])
    expect(answerOf(await say(other, 'told'))).toEqual(answerOf(first))
    expect((await say(other, 'told later')).json).toEqual({ id, changed: false })
    await isOver(id, 2)
  })

  it('FT-H18: a retry that was cut off before the run went on does so with its repeat', async () => {
    let fails = true
    const own = task('own', () => {
      if (fails) throw new Error('the first time')
      return 'done'
    })
    const run = await one.graflow.start(own, undefined, { ifLost: 'abandon' })
    await expect(run.result()).rejects.toMatchObject({ code: 'TASK_FAILED' })
    fails = false
    const { backend } = one.services.session
    const reopen = backend.reopen.bind(backend)
    const spy = jest.spyOn(backend, 'reopen').mockImplementation(async (request) => {
      await reopen(request)
      throw new Error('the process is gone')
    })
    const retry = () => one.graflow.runs.retry(run.id, { idempotencyKey: 'cut' })
    await expect(retry()).rejects.toThrow('the process is gone')
    spy.mockRestore()
    expect(await retry()).toBe(true)
    expect(await (await one.graflow.attach(run.id)).result()).toBe('done')
  })

  it('FT-H18: a decision that was cut off before the run went on lets it go on with its repeat', async () => {
    const own = task('first-own', (): number => {
      throw new Error('as always')
    })
    const run = await one.graflow.start(own.to(task('then', (n: number) => n + 1)), undefined, { ifLost: 'abandon' })
    await expect(run.result()).rejects.toMatchObject({ code: 'TASK_FAILED' })
    const { backend } = one.services.session
    const reopen = backend.reopen.bind(backend)
    const spy = jest.spyOn(backend, 'reopen').mockImplementation(async (request) => {
      await reopen(request)
      throw new Error('the process is gone')
    })
    const settle = () => one.graflow.runs.settle(run.id, '0', { succeed: 41 }, { idempotencyKey: 'cut' })
    await expect(settle()).rejects.toThrow('the process is gone')
    spy.mockRestore()
    expect(await settle()).toBe(true)
    expect(await (await one.graflow.attach(run.id)).result()).toBe(42)
    expect(await one.graflow.runs.get(run.id)).toMatchObject({ retries: 1, byHand: [{ path: '0' }] })
  })

  it('FT-H18: repeats that come at once are one command', async () => {
    const id = await failed()
    const answers = await Promise.all(
      [one, other, one, other].map(async (plane) => answerOf(await send(plane, `/runs/${id}/retry`, 'at once'))),
    )
    expect(answers).toEqual(answers.map(() => [200, { id, changed: true }]))
    await isOver(id, 1)
  })

  it('FT-H18: a command on many runs is begun once', async () => {
    const command = { action: 'cancel', filter: { tag: 'nobody' } }
    const first = await send(one, '/runs/bulk', 'many', command)
    const second = await send(other, '/runs/bulk', 'many', command)
    expect([first.status, second.status, second.json.id]).toEqual([202, 202, first.json.id])
    expect([first, second].map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, 'true'])
    expect((await send(other, '/runs/bulk', 'more', command)).json.id).not.toBe(first.json.id)
    const wrong = await send(other, '/runs/bulk', 'many', { ...command, action: 'retry' })
    expect(wrong.json).toMatchObject({ status: 409, code: 'KEY_REUSED' })
  })

  it('FT-H18: a run is started once, and the repeat tells how far it has come', async () => {
    const body = { workflow: 'rounds', tags: ['one'] }
    const first = await send(one, '/runs', 'start', body)
    expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([201, null])
    const { id } = first.json
    // by its body, and whatever it waits for: the same command
    const others = [
      await send(other, '/runs?wait=1', 'start', { tags: ['one'], workflow: 'rounds' }),
      await send(other, '/runs', undefined, { ...body, idempotencyKey: 'start' }),
    ]
    for (const { status, json, headers } of others)
      expect([status, json.id, headers.get('idempotent-replayed')]).toEqual([201, id, 'true'])
    await one.graflow.runs.cancel(id)
    expect((await send(other, '/runs?wait=5000', 'start', body)).json).toMatchObject({ id, state: 'cancelled' })
    for (const wrong of [
      { ...body, input: 1 },
      { workflow: 'flaky', tags: ['one'] },
    ])
      expect((await send(other, '/runs', 'start', wrong)).json).toMatchObject({ status: 409, code: 'KEY_REUSED' })
    const two = await send(one, '/runs', 'start', { ...body, idempotencyKey: 'another' })
    expect(two.json).toMatchObject({ status: 400, code: 'INVALID_OPTION', details: { option: 'idempotencyKey' } })
    expect((await one.graflow.runs.list({ workflow: 'flaky', tag: 'one' })).items).toEqual([])
  })

  it('FT-H18: a start with the same flow and input gives the run, whatever else it asks for', async () => {
    const first = await send(one, '/runs', 'same', { flow: 'starts >> fails', tags: ['same'] })
    const again = [
      { flow: 'starts >> fails', tags: ['other'], priority: 3, timeoutMs: 60_000 },
      { flow: ' starts>>fails ', tags: ['same'] },
    ]
    for (const body of again) {
      const { json, headers } = await send(other, '/runs', 'same', body)
      expect([json.id, headers.get('idempotent-replayed')]).toEqual([first.json.id, 'true'])
    }
    expect((await one.graflow.runs.list({ tag: 'other' })).items).toEqual([])
    expect((await send(other, '/runs', 'same', { flow: 'starts' })).json).toMatchObject({ code: 'KEY_REUSED' })
    await one.graflow.runs.delete(first.json.id)
    expect((await send(other, '/runs', 'same', { flow: 'starts >> fails' })).json).toMatchObject({ status: 404 })
    expect((await send(other, '/runs', 'same', { flow: 'starts' })).json).toMatchObject({ code: 'KEY_REUSED' })
  })

  it('FT-H18: starts with keys do not push out what other commands answered', async () => {
    const { store } = one.services.session
    const names = async () => {
      const all = await Promise.all(Array.from({ length: 16 }, (_, i) => store.inspect.documentNames(`answers-${i}`)))
      return all.flat().length
    }
    const before = await names()
    for (let i = 0; i < 20; i += 1) await send(one, '/runs', `start ${i}`, { workflow: 'flaky' })
    expect(await names()).toBe(before)
  })

  it('FT-H18: a retry is known by its key also after others', async () => {
    const id = await failed()
    const retry = async (idempotencyKey: string, retries: number) => {
      const changed = await one.graflow.runs.retry(id, { idempotencyKey })
      await isOver(id, retries)
      return changed
    }
    expect([await retry('a', 1), await retry('b', 2), await retry('a', 2), await retry('b', 2)]).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect(await retriesOf(id)).toBe(2)
  })

  it('FT-H18: a signal that was taken is answered so also where its payload would be refused by now', async () => {
    let isTaken = true
    const schema: StandardSchemaV1 = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => (isTaken ? { value } : { issues: [{ message: 'not any more' }] }),
      },
    }
    const run = await one.graflow.start(waitFor('checked', { schema }).to(waitFor('later')))
    await until(async () => (await one.graflow.waits.of(run.id))[0]?.why === 'signal', 'the wait')
    const say = (idempotencyKey?: string) =>
      one.graflow.runs.signal(run.id, 'checked', 1, idempotencyKey === undefined ? {} : { idempotencyKey })
    expect(await say('key')).toBe(true)
    await until(async () => (await one.graflow.waits.of(run.id))[0]?.details.signal === 'later', 'the next wait')
    isTaken = false
    expect(await say('key')).toBe(true)
    await expect(say('another')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(say()).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await run.cancel()
  })

  it('FT-H18: a run whose first answer was lost is not started again, and its key is none for another', async () => {
    const restore = losesItsAnswer(one)
    const first = await send(one, '/runs', 'lost start', { workflow: 'rounds' })
    restore()
    const wrong = await send(other, '/runs', 'lost start', { workflow: 'rounds', input: 1 })
    expect(wrong.json).toMatchObject({ status: 409, code: 'KEY_REUSED', details: { idempotencyKey: 'lost start' } })
    const repeat = await send(other, '/runs', 'lost start', { workflow: 'rounds' })
    expect(repeat.json.id).toBe(first.json.id)
    // another run that has the id is no matter of the key
    const taken = { workflow: 'rounds', id: first.json.id, input: 2 }
    expect((await send(one, '/runs', 'new', taken)).json).toMatchObject({ status: 409, code: 'RUN_EXISTS' })
  })

  it('FT-H18: a run that was started and deleted is not started again', async () => {
    const { json } = await send(one, '/runs', 'deleted', { workflow: 'rounds' })
    await one.graflow.runs.delete(json.id)
    const repeat = await send(other, '/runs', 'deleted', { workflow: 'rounds' })
    expect(repeat.json).toMatchObject({ status: 404, code: 'RUN_NOT_FOUND', details: { runId: json.id } })
  })

  it('FT-H18: pipelines are deployed and fed once, and a key is for one group and one event', async () => {
    const spec = { name: 'keyed', pipelines: [{ name: 'p', source: 'starts' }] }
    const groups = '/cluster/pipeline-groups'
    const first = await send(one, groups, 'deploy', spec)
    expect([first.status, answerOf(await send(other, groups, 'deploy', spec))]).toEqual([201, answerOf(first)])
    expect((await send(other, groups, 'deploy', { ...spec, name: 'other' })).json.code).toBe('KEY_REUSED')
    const inject = (plane: TestPlane, fields: unknown) =>
      send(plane, `${groups}/${first.json.id}/inject`, 'event', { eventType: 'E', fields })
    const injected = await inject(one, 1)
    expect(injected.json).toMatchObject({ state: 'completed', result: 1 })
    const repeat = await inject(other, 1)
    expect([answerOf(repeat), repeat.headers.get('idempotent-replayed')]).toEqual([answerOf(injected), 'true'])
    expect((await inject(other, 2)).json).toMatchObject({ status: 409, code: 'KEY_REUSED' })
    await one.graflow.runs.delete(injected.json.runId)
    expect((await inject(other, 1)).json).toMatchObject({ status: 404, code: 'RUN_NOT_FOUND' })
    expect(await one.graflow.runs.get(injected.json.runId)).toBeUndefined()
  })

  it('FT-H18: a key that comes with something else is refused, and nothing is done', async () => {
    const id = await failed()
    await send(one, `/runs/${id}/cancel`, 'key', { reason: 'a' })
    const wrong = await send(other, `/runs/${id}/cancel`, 'key', { reason: 'b' })
    expect(wrong.json).toMatchObject({ status: 409, code: 'KEY_REUSED', details: { idempotencyKey: 'key' } })
    expect((await send(one, `/runs/${id}/retry`, '')).json.code).toBe('INVALID_OPTION')
    expect((await send(one, `/runs/${id}/retry`, 'x'.repeat(257))).json.code).toBe('INVALID_OPTION')
    const params = { id, idempotencyKey: 'by rpc' }
    const call = { jsonrpc: '2.0', id: 1, method: 'runs.retry', params }
    const calls = [await one.ask('POST', '/rpc', call), await other.ask('POST', '/rpc', call)]
    expect(calls.map(({ json }) => json.result)).toEqual([1, 2].map(() => ({ id, changed: true })))
    await isOver(id, 1)
  })

  it('FT-H18: a run that is deleted answers the repeat as it did', async () => {
    const id = await failed()
    for (const plane of [one, other])
      expect((await send(plane, `/runs/${id}`, 'away', undefined, 'DELETE')).status).toBe(204)
    expect((await send(one, `/runs/${id}`, undefined, undefined, 'DELETE')).status).toBe(404)
  })
})
