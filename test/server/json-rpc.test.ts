/** JSON-RPC 2.0: its forms, its errors, batches, and tasks by their names. */
import { task, waitFor, workflow } from 'graflow'
import { openPlane, type TestPlane } from '../support/control-plane.js'

const square = task('square', (n: number) => n * n)
const fails = task('fails', () => {
  throw new Error('it does not work')
})
const asks = workflow('asks', waitFor('go').to(task('echo', (given: unknown) => given)))

let plane: TestPlane
beforeAll(async () => {
  plane = await openPlane({
    tasks: [square, fails, asks],
    serve: { apiKeys: ['read:the-read-key', 'operate:the-operate-key'] },
  })
})
afterAll(() => plane.close())

const key = { 'x-api-key': 'the-operate-key' }
const send = async (body: unknown, path = '/rpc', headers = key) => plane.ask('POST', path, body, headers)
const rpc = async (method: string, params?: unknown, headers = key): Promise<any> =>
  (await send({ jsonrpc: '2.0', id: 7, method, ...(params !== undefined && { params }) }, '/', headers)).json

describe('JSON-RPC', () => {
  it('answers a request, with its id', async () => {
    expect(await rpc('workflows.list')).toEqual({ jsonrpc: '2.0', id: 7, result: { items: [{ name: 'asks' }] } })
    const started = await rpc('runs.start', { flow: 'square >> square', input: 3, wait: 10_000 })
    expect(started.result).toMatchObject({ state: 'completed', result: 81 })
    expect((await rpc('runs.get', { id: started.result.id })).result).toMatchObject({ state: 'completed' })
    expect((await rpc('runs.list', { state: ['completed', 'failed'], limit: 1 })).result.items).toHaveLength(1)
    expect((await rpc('runs.values', { id: started.result.id, path: '0' })).result).toMatchObject({ value: 9 })
  })

  it('answers a batch, each request by itself, and notifications not at all', async () => {
    const { json } = await send([
      { jsonrpc: '2.0', id: 'a', method: 'queues.list' },
      { jsonrpc: '2.0', method: 'queues.pause', params: { name: 'quiet' } },
      { foo: 'bar' },
      { jsonrpc: '2.0', id: 2, method: 'no.such.method' },
    ])
    expect(json).toEqual([
      { jsonrpc: '2.0', id: 'a', result: expect.objectContaining({ items: expect.any(Array) }) },
      { jsonrpc: '2.0', id: null, error: expect.objectContaining({ code: -32_600 }) },
      { jsonrpc: '2.0', id: 2, error: { code: -32_601, message: 'there is no method "no.such.method"' } },
    ])
    expect((await rpc('queues.get', { name: 'quiet' })).result).toMatchObject({ isPaused: true })
    const only = await send([{ jsonrpc: '2.0', method: 'queues.resume', params: { name: 'quiet' } }])
    expect([only.status, only.text]).toEqual([204, ''])
  })

  it.each([
    ['{', -32_700, 400],
    ['', -32_700, 400],
    ['[]', -32_600, 200],
    ['7', -32_600, 200],
    ['{ "jsonrpc": "1.0", "id": 1, "method": "queues.list" }', -32_600, 200],
    ['{ "jsonrpc": "2.0", "id": {}, "method": "queues.list" }', -32_600, 200],
    ['{ "jsonrpc": "2.0", "id": 1, "method": "queues.list", "params": [1] }', -32_602, 200],
    ['{ "jsonrpc": "2.0", "id": 1, "method": "queues.list", "params": { "limit": "x" } }', -32_602, 200],
    ['{ "jsonrpc": "2.0", "id": 1, "method": "runs.get", "params": {} }', -32_602, 200],
    ['{ "jsonrpc": "2.0", "id": 1, "method": "runs.get", "params": { "id": "\\ud800" } }', -32_602, 200],
    ['{ "jsonrpc": "2.0", "id": 1, "method": "__proto__" }', -32_601, 200],
    ['{ "jsonrpc": "2.0", "id": 1, "method": "toString" }', -32_601, 200],
  ])('refuses %s with %i', async (body, code, status) => {
    const got = await send(body)
    expect([got.status, got.json.jsonrpc, got.json.error.code]).toEqual([status, '2.0', code])
  })

  it('answers the other requests of a batch where one meets an error of the server', async () => {
    const { fetch } = plane.app
    const own = jest.spyOn(plane.app, 'fetch').mockImplementationOnce(fetch) // the batch itself
    own.mockRejectedValueOnce(new Error('not for others'))
    const { json } = await send(['queues.list', 'workflows.list'].map((method, id) => ({ jsonrpc: '2.0', id, method })))
    own.mockRestore()
    expect(json).toEqual([
      { jsonrpc: '2.0', id: 0, error: expect.objectContaining({ code: -32_603 }) },
      { jsonrpc: '2.0', id: 1, result: { items: [{ name: 'asks' }] } },
    ])
    expect(JSON.stringify(json)).not.toContain('not for others')
  })

  it('says what the route said, and lets no key do more than it may', async () => {
    const { error } = await rpc('runs.get', { id: 'none' })
    expect(error).toMatchObject({ code: -32_000, data: { status: 404, code: 'RUN_NOT_FOUND' } })
    const read = { 'x-api-key': 'the-read-key' }
    expect((await rpc('queues.pause', { name: 'q' }, read)).error.data).toMatchObject({ code: 'FORBIDDEN' })
    expect((await rpc('cluster.tearDown', { id: 'g' })).error.data).toMatchObject({ code: 'FORBIDDEN' })
    expect(
      (await rpc('tasks.execute', { tasks: [{ id: 'a', name: 'square', inputs: 1 }] }, read)).error.data,
    ).toMatchObject({ code: 'FORBIDDEN' })
    expect((await send({ jsonrpc: '2.0', id: 1, method: 'queues.list' }, '/rpc', { 'x-api-key': 'no' })).status).toBe(
      401,
    )
  })
})

describe('tasks by JSON-RPC', () => {
  it('are executed, and answered once they are over', async () => {
    const { result } = await rpc('tasks.execute', {
      tasks: [
        { id: 'one', name: 'square', inputs: 4 },
        { id: 'two', name: 'fails', inputs: {} },
        { id: 'three', name: 'sqare', inputs: 1 },
      ],
    })
    expect(result.tasks).toEqual([
      { id: 'one', run: expect.any(String), state: 'completed', result: 16 },
      { id: 'two', run: expect.any(String), state: 'failed', error: expect.objectContaining({ code: 'TASK_FAILED' }) },
      { id: 'three', state: 'failed', error: expect.objectContaining({ code: 'WORKFLOW_NOT_FOUND' }) },
    ])
    expect((await rpc('tasks.get', { id: 'one' })).result).toEqual({ ...result.tasks[0] })
    expect((await rpc('tasks.get', { id: result.tasks[0].run })).result).toMatchObject({ result: 16 })
  })

  it('are each a run of its own under one Idempotency-Key, and the same runs when that is repeated', async () => {
    const tasks = [1, 1, 2].map((inputs, i) => ({ id: `k${i}`, name: 'square', inputs }))
    const params = { wait: false, tasks }
    const runs = async (): Promise<readonly string[]> =>
      (await rpc('tasks.execute', params, { ...key, 'idempotency-key': 'all' } as typeof key)).result.tasks.map(
        ({ run }: { run?: string }) => run ?? 'none',
      )
    const first = await runs()
    expect(new Set(first).size).toBe(3)
    expect(first).not.toContain('none')
    expect(await runs()).toEqual(first)
  })

  it('are answered at once where nobody waits, and can be cancelled', async () => {
    const { result } = await rpc('tasks.execute', { tasks: [{ id: 'long', name: 'asks', inputs: null }], wait: false })
    expect(result.tasks).toEqual([
      { id: 'long', run: expect.any(String), state: expect.stringMatching(/pending|running|waiting/) },
    ])
    expect((await rpc('tasks.cancel', { id: 'long', reason: 'enough' })).result).toMatchObject({
      id: 'long',
      changed: true,
    })
    expect((await rpc('tasks.get', { id: 'long' })).result).toMatchObject({
      state: 'cancelled',
      error: { code: 'CANCELLED' },
    })
    expect((await rpc('tasks.get', { id: 'unknown' })).error.data).toMatchObject({ code: 'RUN_NOT_FOUND' })
  })

  it.each([
    [{}, 'tasks: expected a list'],
    [{ tasks: [] }, 'tasks: expected a list'],
    [{ tasks: [{ name: 'square' }] }, 'tasks[0]: id'],
    [{ tasks: [{ id: 'a' }] }, 'tasks[0]: name'],
    [{ tasks: [{ id: 'a', name: 'square' }], wait: 'x' }, 'wait: expected'],
    [{ tasks: [{ id: 'a', name: 'square' }], waits: 1 }, 'there is no "waits" (did you mean "wait"?)'],
  ])('refuse %j', async (params, message) => {
    expect((await rpc('tasks.execute', params)).error).toMatchObject({
      code: -32_602,
      message: expect.stringContaining(message),
    })
  })
})
