/** The input of a run that is started over HTTP is looked at first, by whatever the server knows of who takes it. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { each, par, task, workflow } from 'graflow'
import { Worker } from 'graflow/worker'
import { z } from 'zod'
import { expressionOf } from '../../lib/flow/node.js'
import { schemaOfText } from '../../lib/producer/answer-forms.js'
import { checkStart } from '../../lib/server/start-input.js'
import { manualClock } from '../../lib/time.js'
import { openPlane, type TestPlane } from '../support/control-plane.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const Order = z.object({
  id: z.string(),
  items: z.array(z.object({ count: z.int().positive() })),
  note: z.string().optional(),
})
const price = task('price', { input: Order }, ({ items }) => items.length)
const double = task('double', { input: z.number() }, (n) => n * 2)
const greet = task('greet', { input: z.string().optional() }, (name) => `Hello ${name ?? 'you'}`)
/** JSON Schema has no word for what these take. */
const coerced = task('coerced', { input: z.coerce.number() }, (n) => n + 1)
const dated = task('dated', { input: z.date() }, (at) => at.getTime())
const plain = task('plain', (given: unknown) => given)

const TASKS = [
  workflow('order', price.to(plain)),
  workflow('doubles', each(double)),
  workflow('both', par(plain, double)),
  workflow('greet', greet),
  workflow('coerced', coerced),
  workflow('dated', dated),
  workflow('plain', plain),
]

describe.each(['embedded', 'redis'] as const)('the input of a run (%s)', (store) => {
  const ends: (() => Promise<unknown>)[] = []
  let plane: TestPlane

  beforeAll(async () => {
    const own = { logLevel: 'silent', ...(store === 'redis' && { keyPrefix: freshPrefix() }) } as const
    const url = store === 'redis' ? (await sharedRedis()).url : undefined
    if (url !== undefined) {
      const worker = new Worker({ ...own, redisUrl: url, tasks: [...TASKS] })
      await worker.start()
      ends.push(() => worker.stop())
    }
    plane = await openPlane({ ...own, ...(url === undefined && { tasks: TASKS }) }, url)
    ends.push(() => plane.close())
  })
  afterAll(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  const start = async (body: object) => (await plane.ask('POST', '/api/v1/runs?wait=20000', body)).json
  const isStarted = async (workflow: string) => (await plane.graflow.runs.list({ workflow })).items.length > 0

  it.each([
    [
      'order',
      { id: 'a', items: [{ count: 1 }, { count: 'two' }] },
      'items.1.count',
      /expected number, received string/,
    ],
    ['order', { id: 7, items: [] }, 'id', /expected string, received number/],
    ['order', undefined, '', /expected object, received undefined/],
    ['doubles', [1, '2'], '1', /expected number, received string/],
    ['doubles', 3, '', /expected (a list|array), (got|received)/],
    ['both', 'x', '', /expected number, received string/],
    ['greet', 4, '', /expected string, received number/],
  ])('that %s does not take starts nothing: %j', async (name, input, path, message) => {
    const answer = await start({ workflow: name, input })
    expect(answer).toMatchObject({ status: 422, code: 'INVALID_INPUT', retryable: false })
    expect(answer.details).toMatchObject({
      workflow: name,
      issues: [{ path, message: expect.stringMatching(message) }],
    })
    expect(answer.detail).toContain(`the input of workflow "${name}" does not fit its schema: `)
    const rpc = { jsonrpc: '2.0', id: 1, method: 'runs.start', params: { workflow: name, input } }
    expect((await plane.ask('POST', '/rpc', rpc)).json.error.data).toMatchObject({ code: 'INVALID_INPUT' })
    expect(await isStarted(name)).toBe(false)
  })

  it('that fits is given to the run as it is', async () => {
    const order = { id: 'a', items: [{ count: 1 }] }
    expect(await start({ workflow: 'order', input: order })).toMatchObject({ state: 'completed', result: 1 })
    expect(await start({ workflow: 'doubles', input: [1, 2] })).toMatchObject({ result: [2, 4] })
    expect(await start({ workflow: 'both', input: 1 })).toMatchObject({ result: [1, 2] })
    expect(await start({ workflow: 'greet' })).toMatchObject({ result: 'Hello you' })
    expect(await start({ workflow: 'greet', input: 'Ada' })).toMatchObject({ result: 'Hello Ada' })
  })

  it('is left to the run where JSON Schema does not say what is taken', async () => {
    expect(await start({ workflow: 'coerced', input: '4' })).toMatchObject({ state: 'completed', result: 5 })
    const at = { input: '2026-11-30T00:00:00.000Z', types: { '': 'Date' } }
    expect(await start({ workflow: 'dated', ...at })).toMatchObject({ result: Date.parse(at.input) })
    expect(await start({ workflow: 'plain', input: { any: 'thing' } })).toMatchObject({ result: { any: 'thing' } })
    // the code of the embedded engine says so itself
    const wrong = await start({ workflow: 'dated', input: 'no date' })
    const refused = { status: 422, code: 'INVALID_INPUT' }
    expect(wrong).toMatchObject(store === 'embedded' ? refused : { state: 'failed', error: { code: 'INVALID_INPUT' } })
  })

  it('is not looked at again where a run has the key, also once the server has forgotten it', async () => {
    const first = await start({ workflow: 'plain', input: 1, idempotencyKey: 'a-key' })
    expect(first.state).toBe('completed')
    await plane.graflow.submit('plain', 1, { idempotencyKey: 'forgotten' })
    for (const idempotencyKey of ['a-key', 'forgotten'])
      expect([idempotencyKey, await start({ workflow: 'order', input: 1, idempotencyKey })]).toMatchObject([
        idempotencyKey,
        { status: 409, code: 'KEY_REUSED' },
      ])
    const fresh = await start({ workflow: 'order', input: 1, idempotencyKey: 'fresh' })
    expect(fresh).toMatchObject({ status: 422, code: 'INVALID_INPUT' })
  })

  it('is not looked at again where the run is there', async () => {
    const first = await start({ workflow: 'plain', input: 1, id: 'known' })
    expect(first.state).toBe('completed')
    const other = await start({ workflow: 'order', input: 1, id: 'known' })
    expect(other).toMatchObject({ status: 409, code: 'RUN_EXISTS' })
  })
})

it('the input of a run is left to the run where a schema takes too long to say whether it fits', async () => {
  const clock = manualClock(0)
  const asks = jest.fn(() => new Promise<never>(() => undefined))
  const input: StandardSchemaV1 = { '~standard': { version: 1, vendor: 'test', validate: asks } }
  const slow = task('slow', { input }, () => 1)
  const services = {
    backend: { inspect: {} },
    engine: { registry: { workflows: new Map([['slow', expressionOf(slow)]]) }, parts: { clock } },
  } as unknown as Parameters<typeof checkStart>[0] // of which it needs these
  const checked = checkStart(services, 'slow', 1, {})
  await until(() => asks.mock.calls.length > 0, 'the schema to be asked')
  clock.advance(5_000)
  await checked
})

it('a JSON Schema is read once, and only the last are kept', async () => {
  const form = (i: number): string => JSON.stringify({ type: 'string', minLength: i })
  const first = await schemaOfText(form(0))
  expect(first).toBeDefined()
  expect(await schemaOfText(form(0))).toBe(first)
  expect(await schemaOfText('{"type":')).toBeUndefined()
  for (let i = 1; i <= 200; i += 1) await schemaOfText(form(i))
  expect(await schemaOfText(form(0))).not.toBe(first)
})
