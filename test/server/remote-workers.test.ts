import { declareTask, each, par, seq, task } from 'graflow'
import type { Backend, SessionStatus } from '../../lib/backend/backend.js'
import { failureOf } from '../support/captured-errors.js'
import { LONG_LEASE_MS, RemoteStage, SHORT_LEASE_MS, type StoreName } from '../support/remote-stage.js'
import { until, within } from '../support/waits.js'

const setInspect = (store: Backend, inspect: Backend['inspect']): void =>
  void Object.defineProperty(store, 'inspect', { value: inspect, configurable: true })

const resize = declareTask<number, number>('resize')
const retried = declareTask<number, number>('resize', { retry: { attempts: 2 } })
const sizes = each(resize)

describe.each(['kernel', 'redis'] as const)('a worker over HTTP, on %s,', (name: StoreName) => {
  let stage: RemoteStage
  beforeEach(async () => {
    stage = await RemoteStage.open(name)
  })
  afterEach(() => stage.end())

  it('gets single tasks with their input and what is known of the start, and its results come to the barrier', async () => {
    const { id } = await stage.register()
    const run = await stage.graflow.start(sizes, [1, 2, 3])
    const tasks = await stage.acquire(id, { max: 2 })
    expect(tasks).toMatchObject([
      { task: 'resize', runId: run.id, path: '0/0', index: 0, attempt: 1, input: 1, idempotencyKey: `${run.id}/0/0` },
      { path: '0/1', index: 1, input: 2 },
    ])
    const last = await stage.take(id, { inHand: tasks.map(({ token }) => token) })
    const answers = await stage.remote.complete(
      id,
      [...tasks, last].map(({ token, input }) => ({ token, result: (input as number) * 10 })),
    )
    expect(answers.map(({ state }) => state)).toEqual(['succeeded', 'succeeded', 'succeeded'])
    expect(await run.result()).toEqual([10, 20, 30])
  })

  it('gets its input whole, and is told what JSON has no form for', async () => {
    const { id } = await stage.register({ tasks: ['any'] })
    const item = { at: new Date(0), n: 5n, of: new Map([['a', new Uint8Array([1, 2])]]), text: 'x'.repeat(200_000) }
    const run = await stage.graflow.start(each(declareTask<typeof item, null>('any')), [item])
    const { token, input, types } = await stage.take(id)
    expect(input).toEqual({ ...item, at: '1970-01-01T00:00:00.000Z', n: '5', of: { a: 'AQI=' } })
    expect(types).toEqual({ '/at': 'Date', '/n': 'bigint', '/of': 'Map', '/of/a': 'bytes' })
    await stage.remote.complete(id, [{ token, result: null }])
    expect(await run.result()).toEqual([null])
  })

  it('gets the label of an item, and its error names it', async () => {
    const { id } = await stage.register({ tasks: ['rename'] })
    const rename = declareTask<{ name: string }, string>('rename')
    const run = await stage.graflow.start(each(rename).configure({ label: 'name' }), [{ name: 'cat.png' }])
    const { token, ...seen } = await stage.take(id)
    expect(seen).toMatchObject({ index: 0, label: 'cat.png' })
    await stage.remote.complete(id, [{ token, error: { message: 'no' } }])
    expect(((await failureOf(run.result())).cause as Error).message).toContain('(at 0/0, cat.png) failed: no')
  })

  it('waits in a call for work until there is some, or its time is over', async () => {
    const { id } = await stage.register()
    expect(await stage.acquire(id, { waitMs: 1 })).toEqual([])
    const coming = stage.take(id, { waitMs: 10_000 })
    const run = await stage.graflow.start(par(resize, resize), 5)
    const tasks = [await coming, ...(await stage.acquire(id, { inHand: [(await coming).token] }))]
    await stage.remote.complete(
      id,
      tasks.map(({ token }, i) => ({ token, result: i })),
    )
    expect(await run.result()).toHaveLength(2)
  })

  it('is told apart by its errors as any handler: retried as the task says, then failed with what it reported', async () => {
    const { id } = await stage.register()
    const run = await stage.graflow.start(each(retried), [1])
    const error = {
      name: 'DiskError',
      message: 'disk full',
      code: 'ENOSPC',
      stack: 'DiskError: disk full\n  at worker.py:3',
    }
    const first = await stage.take(id)
    expect(await stage.remote.complete(id, [{ token: first.token, error }])).toMatchObject([{ state: 'retrying' }])
    const second = await stage.take(id)
    expect(second).toMatchObject({ attempt: 2, input: 1 })
    expect(await stage.remote.complete(id, [{ token: second.token, error }])).toMatchObject([{ state: 'failed' }])
    const failure = await failureOf(run.result())
    expect(failure.code).toBe('GROUP_FAILED')
    const cause = (failure.cause as Error).cause
    expect(cause).toMatchObject({ ...error, stack: expect.stringContaining('worker.py:3') as unknown })
    expect((failure.cause as Error).message).toContain('after 2 attempts: disk full')
  })

  it('may forbid another start, and may give a task back unspent', async () => {
    const { id } = await stage.register()
    const run = await stage.graflow.start(each(retried), [1])
    const first = await stage.take(id)
    expect(await stage.remote.complete(id, [{ token: first.token, release: true }])).toMatchObject([
      { state: 'released' },
    ])
    const second = await stage.take(id)
    expect(second.attempt).toBe(1)
    const error = { message: 'no such file', retryable: false }
    expect(await stage.remote.complete(id, [{ token: second.token, error }])).toMatchObject([{ state: 'failed' }])
    await expect(run.result()).rejects.toMatchObject({ code: 'GROUP_FAILED' })
  })

  it('FT-W6, FT-W12: that falls silent loses what it has: another starts it, a late result is fenced, and the barrier counts once', async () => {
    const { id } = await stage.register({ leaseMs: SHORT_LEASE_MS })
    const run = await stage.graflow.start(sizes, [1, 2])
    const lost = await stage.take(id)
    const other = await stage.register({ workerId: 'other' })
    const [rest] = await stage.acquire(other.id)
    const again = await stage.take(other.id, { waitMs: 10_000, inHand: [rest?.token ?? ''] })
    expect(again).toMatchObject({ path: lost.path, attempt: 2 })
    expect(await stage.remote.complete(id, [{ token: lost.token, result: 'late' }])).toMatchObject([
      { state: 'refused', error: { code: 'FENCED' } },
    ])
    await expect(stage.remote.heartbeat(id, [])).rejects.toMatchObject({ code: 'WORKER_NOT_FOUND' })
    await stage.remote.complete(other.id, [
      { token: again.token, result: 10 },
      { token: rest?.token ?? '', result: 20 },
    ])
    expect((await run.result()).toSorted()).toEqual([10, 20])
  })

  it('FT-W15: may repeat a report: the first one counts, and the repeated one is answered as it was', async () => {
    const { id } = await stage.register()
    const run = await stage.graflow.start(sizes, [1])
    const { token } = await stage.take(id)
    expect(await stage.remote.complete(id, [{ token, result: 'first' }])).toEqual([{ token, state: 'succeeded' }])
    expect(await run.result()).toEqual(['first'])
    expect(await stage.remote.complete(id, [{ token, result: 'second' }])).toMatchObject([{ state: 'repeated' }])
    expect(await run.result()).toEqual(['first'])
  })

  it('is told of a task that nobody wants any more, with the reason, and its result is refused', async () => {
    const { id } = await stage.register()
    const run = await stage.graflow.start(sizes, [1])
    const { token } = await stage.take(id)
    expect(await stage.remote.heartbeat(id, [token])).toEqual({ lost: [], drain: false })
    await run.cancel('a newer picture came')
    expect(await stage.remote.heartbeat(id, [token])).toMatchObject({
      lost: [{ token, why: 'withdrawn', reason: expect.stringContaining('a newer picture came') as unknown }],
    })
    const [answer] = await stage.remote.complete(id, [{ token, result: 1 }])
    expect(answer).toMatchObject({ state: 'refused' })
  })

  it('may call another server each time, also one that has never seen it', async () => {
    const { id, workerId } = await stage.register()
    const run = await stage.graflow.start(sizes, [1, 2])
    const [second, third] = [await stage.server(), await stage.server()]
    const first = await stage.take(id)
    expect(await second.heartbeat(id, [first.token])).toEqual({ lost: [], drain: false })
    const other = await stage.take(id, { at: second, inHand: [first.token] })
    await third.complete(id, [{ token: first.token, result: 1 }])
    await third.complete(workerId, [{ token: other.token, result: 2 }])
    expect(await run.result()).toEqual([1, 2])
  })

  it('FT-W4: gets a task again that it was granted and never heard of, and not one that it names', async () => {
    const { id } = await stage.register()
    const run = await stage.graflow.start(sizes, [1])
    const lost = await stage.take(id) // the answer to this call is lost, with the server that gave it
    const server = await stage.server()
    expect(await stage.acquire(id, { at: server, inHand: [lost.token], waitMs: 1 })).toEqual([])
    const again = await stage.take(id, { at: await stage.server() })
    expect(again).toMatchObject({ path: lost.path, attempt: 1, fence: lost.fence })
    await server.complete(id, [{ token: again.token, result: 7 }])
    expect(await run.result()).toEqual([7])
  })

  it('FT-W6: that is stopped in a call for work is lost once its lease is over, however long the call was to wait', async () => {
    const { id } = await stage.register({ leaseMs: SHORT_LEASE_MS })
    const run = await stage.graflow.start(sizes, [1])
    const lost = await stage.take(id)
    const call = stage.acquire(id, { waitMs: 60_000, inHand: [lost.token] }) // nobody reads its answer, and nothing says so
    const other = await stage.register({ workerId: 'other' })
    const again = await stage.take(other.id, { waitMs: 10_000 })
    expect(again).toMatchObject({ path: lost.path, attempt: 2 })
    expect(await call).toEqual([])
    await stage.remote.complete(other.id, [{ token: again.token, result: 10 }])
    expect(await run.result()).toEqual([10])
  })

  it('is found by another server that was just looking for others', async () => {
    const { store } = stage.session
    const { inspect } = store
    let deliver = (): void => undefined
    const looked = new Promise<void>((resolve) => {
      const sessions = async (): Promise<readonly SessionStatus[]> => {
        setInspect(store, inspect)
        const answer = await inspect.sessions()
        const delivered = new Promise<void>((done) => (deliver = done))
        resolve()
        await delivered
        return answer
      }
      setInspect(store, Object.create(inspect, { sessions: { value: sessions } }) as Backend['inspect']) // all else as it was
    })
    const others = [stage.remote.heartbeat('nobody', []), stage.remote.heartbeat('nobody', [])]
    const refused = Promise.allSettled(others)
    await looked
    const { id } = await stage.register({}, await stage.server())
    const held = stage.remote.heartbeat(id, [])
    deliver()
    expect(await held).toEqual({ lost: [], drain: false })
    expect(await refused).toMatchObject(
      others.map(() => ({ status: 'rejected', reason: { code: 'WORKER_NOT_FOUND' } })),
    )
  })

  it('FT-W4: that leaves a call while it is granted a task, and asks another server, gets it there and keeps it', async () => {
    const { store } = stage.session
    const { id } = await stage.register()
    const run = await stage.graflow.start(sizes, [1])
    const acquire = store.acquire.bind(store)
    let deliver = (): void => undefined
    const granted = new Promise<void>((resolve) => {
      store.acquire = async (request) => {
        const answer = await acquire(request)
        const delivered = new Promise<void>((done) => (deliver = done))
        resolve()
        await delivered
        return answer
      }
    })
    const gone = new AbortController()
    const left = stage.acquire(id, { gone: gone.signal })
    await granted
    gone.abort()
    const { token } = await stage.take(id, { at: await stage.server() })
    deliver()
    expect(await left).toEqual([])
    expect(await stage.remote.complete(id, [{ token, result: 7 }])).toEqual([{ token, state: 'succeeded' }])
    expect(await run.result()).toEqual([7])
  })

  it('is granted nothing once its caller is gone', async () => {
    const { id } = await stage.register()
    const gone = new AbortController()
    const call = stage.acquire(id, { waitMs: 60_000, gone: gone.signal })
    gone.abort()
    expect(await call).toEqual([])
    const other = await stage.register({ workerId: 'other' })
    const run = await stage.graflow.start(sizes, [1])
    const task = await stage.take(other.id)
    await stage.remote.complete(other.id, [{ token: task.token, result: 3 }])
    expect(await run.result()).toEqual([3])
  })

  it('ends an earlier call for work by the next one', async () => {
    const { id } = await stage.register()
    const first = stage.acquire(id, { waitMs: 60_000 })
    const second = stage.acquire(id, { waitMs: 60_000 })
    expect(await within(5_000, first, 'the first call to end')).toEqual([])
    const run = await stage.graflow.start(sizes, [1])
    const [task] = await second
    await stage.remote.complete(id, [{ token: task?.token ?? '', result: 1 }])
    expect(await run.result()).toEqual([1])
  })

  it('serves declared tasks on a queue of its own, as steps of flows that others drive', async () => {
    const { id } = await stage.register({ queues: ['py'] })
    const onQueue = declareTask<number, number>('resize', { queue: 'py' })
    const half = task('half', (n: number) => n / 2)
    const run = await stage.graflow.start(seq(half, onQueue, half), 12)
    const step = await stage.take(id)
    expect(step).toMatchObject({ task: 'resize', input: 6, path: '1' })
    await stage.remote.complete(id, [{ token: step.token, result: 10 }])
    expect(await run.result()).toBe(5)
  })

  it('is in the lists of workers and queues, with what it does, and may be asked to leave', async () => {
    const { id } = await stage.register({ metadata: { zone: 'eu' }, capabilities: ['gpu'] })
    const { graflow } = stage
    await graflow.start(sizes, [1])
    expect(await graflow.workers.get('remote')).toMatchObject({
      ...{ id: 'remote', session: id, state: 'ready', inFlight: 0, queues: ['default'], tasks: ['resize'] },
      ...{ capabilities: ['gpu'], metadata: { zone: 'eu', protocol: 'http', leaseMs: String(LONG_LEASE_MS) } },
    })
    const { token } = await stage.take(id)
    expect(await graflow.workers.get('remote')).toMatchObject({ state: 'busy', inFlight: 1 })
    const seenAt = (await graflow.workers.get('remote'))?.seenAt.getTime() ?? Infinity
    expect(seenAt).toBeLessThanOrEqual(Date.now() + 1_000)
    expect(await graflow.workers.drain('remote')).toBe(true)
    await until(async () => (await stage.remote.heartbeat(id, [token])).drain, 'the worker to be asked to leave')
    expect(await graflow.workers.get('remote')).toMatchObject({ state: 'draining' })
    expect(await stage.acquire(id, { waitMs: 1, inHand: [token] })).toEqual([])
    await stage.remote.complete(id, [{ token, result: 1 }])
    await stage.remote.deregister(id, 'it was asked to')
    expect(await graflow.workers.get('remote')).toBeUndefined()
    await expect(stage.remote.heartbeat(id, [])).rejects.toMatchObject({ code: 'WORKER_NOT_FOUND' })
  })

  it('is held to the terms of its task where those of the group are others', async () => {
    const { id } = await stage.register({ tasks: ['resize', 'slow'] })
    const short = declareTask<number, number>('resize', { timeoutMs: 1_000 })
    const slow = declareTask<number, number>('slow')
    const run = await stage.graflow.start(par(short, slow).settled(), 1)
    const tasks = await stage.acquire(id, { max: 2 })
    expect(tasks.find(({ task: name }) => name === 'resize')).toMatchObject({ timeoutMs: 1_000 })
    const other = tasks.find(({ task: name }) => name === 'slow')
    await stage.remote.complete(id, [{ token: other?.token ?? '', result: 1 }])
    const [late] = await run.result()
    expect(late).toMatchObject({ status: 'failed', error: { code: 'TIMEOUT' } })
  })

  it('says how far a task is, and what to log', async () => {
    const { id } = await stage.register()
    const run = await stage.graflow.start(sizes, [1])
    const { token } = await stage.take(id)
    const logged = new Promise((resolve) => stage.graflow.events.subscribe('log', resolve))
    const progress = { fraction: 0.5, message: 'half' }
    const log = [{ level: 'info', message: 'hello from the worker' }] as const
    expect(await stage.remote.extend(id, [{ token, progress, log }])).toEqual({ lost: [], drain: false })
    expect((await run.status()).progress).toMatchObject([{ path: '0/0', task: 'resize', ...progress }])
    expect(await logged).toMatchObject({
      message: 'hello from the worker',
      task: 'resize',
      details: { workerId: 'remote' },
    })
    await stage.remote.complete(id, [{ token, result: 1 }])
    await run.result()
  })

  it('FT-W27: fails a task whose result is too large, with the reason', async () => {
    const { id } = await stage.register()
    const run = await stage.graflow.start(sizes, [1])
    const { token } = await stage.take(id)
    const [answer] = await stage.remote.complete(id, [{ token, result: 'x'.repeat(2_000_000) }])
    expect(answer).toMatchObject({ state: 'failed', error: { code: 'LIMIT_EXCEEDED' } })
    expect((await failureOf(run.result())).cause).toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })

  it('is refused a token that no server has made', async () => {
    const { id } = await stage.register()
    for (const token of ['', 'x', Buffer.from('[1]').toString('base64url'), Buffer.from('{}').toString('base64url')])
      await expect(stage.remote.complete(id, [{ token, result: 1 }])).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })
})
