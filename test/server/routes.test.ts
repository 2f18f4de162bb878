/**
 * Walks over every route of the OpenAPI document: a success, who is refused, and bad input, on both stores, with a socket and without one. What is
 * refused and what is bad follows from the document itself; only successes need to be told (test/support/route-world.ts).
 */
import { connect, type ConnectOptions, type Graflow } from 'graflow'
import { Worker } from 'graflow/worker'
import { Validator } from '@seriousme/openapi-schema-validator'
import { answered, openPlane } from '../support/control-plane.js'
import { type Ask, type Asked, ROUTE_CASES, ROUTE_TASKS, type RouteWorld, routeWorld } from '../support/route-world.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'

const KEYS = { read: 'the-read-key', operate: 'the-operate-key', admin: 'the-admin-key' }
const serve = { apiKeys: Object.entries(KEYS).map(([scope, key]) => `${scope}:${key}`) }

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly schema: { readonly type?: string | readonly string[] }
}
interface Operation {
  readonly method: string
  readonly path: string
  readonly scope: keyof typeof KEYS | undefined
  readonly parameters: readonly Parameter[]
  readonly body: { readonly required?: boolean } | undefined
  readonly statuses: readonly string[]
}

/** The operations of a document. */
function operationsOf(document: any): readonly Operation[] {
  return Object.entries<any>(document.paths).flatMap(([path, methods]) =>
    Object.entries<any>(methods).map(([method, { security = [], parameters = [], requestBody, responses }]) => ({
      ...{ method: method.toUpperCase(), path, parameters, body: requestBody, statuses: Object.keys(responses) },
      scope: security[0]?.apiKey?.[0],
    })),
  )
}

interface Opened {
  readonly graflow: Graflow
  readonly ask: Ask
}

async function listening(own: ConnectOptions, url: string | undefined): Promise<Opened> {
  const options = { ...own, serve: { ...serve, port: 0 } }
  const graflow = await (url === undefined ? connect(options) : connect(url, options))
  const base = (graflow.server?.url ?? '').replace(/\/$/, '')
  const ask: Ask = async (method, { path, body, headers = {} }, key) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const init = { method, headers: { ...type, ...headers, ...(key !== undefined && { 'x-api-key': key }) } }
    return answered(await fetch(`${base}${path}`, body === undefined ? init : { ...init, body: text }))
  }
  return { graflow, ask }
}

async function inProcess(own: ConnectOptions, url: string | undefined): Promise<Opened> {
  const plane = await openPlane({ ...own, serve }, url)
  const ask: Ask = (method, { path, body, headers = {} }, key) =>
    plane.ask(method, path, body, { ...headers, ...(key !== undefined && { 'x-api-key': key }) })
  return { graflow: plane.graflow, ask }
}

/** The path of an operation with something in each of its places. */
const somePath = (path: string): string => path.replace(/\{\w+\}/g, 'no-such-thing')

describe.each([
  ['embedded', 'without a socket'],
  ['embedded', 'with a socket'],
  ['redis', 'without a socket'],
  ['redis', 'with a socket'],
] as const)('the routes of the control plane (%s, %s)', (store, socket) => {
  const ends: (() => Promise<unknown>)[] = []
  let world: RouteWorld
  let operations: readonly Operation[] = []
  let ask: Ask

  beforeAll(async () => {
    const own = {
      logLevel: 'silent',
      ...(store === 'embedded' ? { tasks: ROUTE_TASKS } : { keyPrefix: freshPrefix() }),
    } as const
    const url = store === 'embedded' ? undefined : (await sharedRedis()).url
    const served =
      url === undefined ? [] : ['worker-1', 'spare', 'third'].map((workerId) => ({ workerId, redisUrl: url }))
    for (const options of served) {
      const worker = new Worker({ ...options, ...own, tasks: [...ROUTE_TASKS] })
      await worker.start()
      ends.push(() => worker.stop())
    }
    const { graflow } = ({ ask } = await (socket === 'with a socket' ? listening : inProcess)(own, url))
    ends.push(() => graflow.close())
    world = await routeWorld(graflow, ask)
    const { json } = await ask('GET', { path: '/openapi.json' }, KEYS.read)
    expect(await new Validator().validate(structuredClone(json))).toMatchObject({ valid: true })
    operations = operationsOf(json)
  })
  afterAll(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  it('are all in the table of successes', () => {
    expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(Object.keys(ROUTE_CASES).sort())
  })

  it('do what they are for', async () => {
    for (const [name, { ask: request, status, answer, needsWorkers }] of Object.entries(ROUTE_CASES)) {
      if (needsWorkers === true && store === 'embedded') continue
      const operation = operations.find(({ method, path }) => `${method} ${path}` === name)
      const asked = await request(world)
      const got = await ask(name.split(' ')[0] ?? '', asked, operation?.scope && KEYS[operation.scope])
      expect({ name, status: got.status, detail: got.json?.detail }).toEqual({ name, status, detail: undefined })
      expect(operation?.statuses).toContain(String(status))
      if (answer !== undefined) expect(got.json).toMatchObject(typeof answer === 'function' ? answer(world) : answer)
    }
  })

  it('FT-H18: answer a command that is repeated with its Idempotency-Key the same', async () => {
    const keyed = operations.filter(({ parameters }) => parameters.some(({ name }) => name === 'idempotency-key'))
    expect(keyed.length).toBeGreaterThan(15)
    for (const { method, path, scope } of keyed) {
      const found = ROUTE_CASES[`${method} ${path}`]
      if (found === undefined || (found.needsWorkers === true && store === 'embedded')) continue
      const asked = { ...(await found.ask(world)), headers: { 'idempotency-key': `the key of ${method} ${path}` } }
      const answer = async () => {
        const { status, text } = await ask(method, asked, scope && KEYS[scope])
        return { route: `${method} ${path}`, status, text }
      }
      expect(await answer()).toEqual(await answer())
    }
  })

  it('FT-H2, FT-H4: refuse who has no key, a wrong one, or one that may not', async () => {
    for (const { method, path, scope } of operations) {
      if (scope === undefined) continue // health is open
      const asked = { path: somePath(path) }
      const lower = scope === 'admin' ? KEYS.operate : scope === 'operate' ? KEYS.read : undefined
      const got = [(await ask(method, asked)).json, lower && (await ask(method, asked, lower)).json]
      expect([method, path, got[0]]).toEqual([
        method,
        path,
        expect.objectContaining({ status: 401, code: 'UNAUTHORIZED' }),
      ])
      if (lower !== undefined) expect(got[1]).toMatchObject({ status: 403, code: 'FORBIDDEN' })
    }
    expect((await ask('GET', { path: '/api/v1/runs' }, 'a-wrong-key')).status).toBe(401)
  })

  it('FT-H7: refuse bad input with a problem that says where it is', async () => {
    for (const operation of operations) {
      for (const { what, method, asked, status } of badRequestsOf(operation)) {
        const { json, status: got } = await ask(method, asked, KEYS.admin)
        const name = `${operation.method} ${operation.path}: ${what}`
        expect({ name, status: got, detail: json?.detail }).toEqual({ name, status, detail: expect.any(String) })
        if (status !== 405) expect([name, operation.statuses]).toEqual([name, expect.arrayContaining([String(status)])])
        expect(json).toMatchObject({ type: 'about:blank', status, code: expect.any(String), title: expect.any(String) })
      }
    }
  })

  it('refuse parameters and members that they do not have, and say which there are', async () => {
    for (const { method, path, scope, parameters, body } of operations) {
      if (scope === undefined) continue // health takes whatever a probe adds
      const name = `${method} ${path}`
      const known = parameters.filter((one) => one.in === 'query').map((one) => one.name)
      const misspelt = `${known[0] ?? 'nosuch'}s`
      const queried = await ask(method, { path: `${somePath(path)}?${misspelt}=1` }, KEYS.admin)
      expect([name, queried.status, queried.json]).toEqual([
        ...[name, 400],
        expect.objectContaining({
          code: 'INVALID_OPTION',
          details: expect.objectContaining({ option: misspelt, known }),
        }),
      ])
      if (known[0] !== undefined) expect(queried.json.detail).toContain(`did you mean "${known[0]}"`)
      // a worker may be of a newer release than the server
      const isOfWorkers = /\/(register|heartbeat|acquire|extend|complete|deregister)$/.test(path)
      const isAny = path === '/' || path === '/rpc' || path.includes('/signals/') || isOfWorkers
      if (method === 'GET' || isAny) continue
      const { json, status } = await ask(method, { path: somePath(path), body: { nosuch: 1 } }, KEYS.admin)
      expect([name, status, json.code, json.detail]).toEqual([
        ...[name, 400, 'INVALID_OPTION'],
        expect.stringMatching(
          body === undefined
            ? /^body: there is no "nosuch"; nothing/
            : /there is no (field )?"nosuch".*there are|the fields are/,
        ),
      ])
    }
  })

  it('say of a value that they do not take what they expected, and what they got', async () => {
    const said = async (method: string, path: string, body?: unknown): Promise<string> =>
      (await ask(method, { path: `/api/v1${path}`, body }, KEYS.admin)).json.detail
    expect([
      await said('GET', '/runs?state=done'),
      await said('GET', '/runs?limit=x'),
      await said('GET', '/runs?limit=0'),
      await said('GET', '/runs?since=soon'),
      await said('GET', `/runs?tag=${'x'.repeat(513)}`),
      await said('POST', '/runs/bulk', { action: 'end', filter: {} }),
      await said('POST', '/runs', { workflow: 7 }),
      await said('POST', '/runs', { workflow: 'w', tags: 'a' }),
      await said('POST', '/runs/x/settle', { succeed: 1 }),
    ]).toEqual([
      'query: state.0: expected one of pending, running, paused, waiting, completed, failed, cancelled, abandoned, got "done"',
      'query: limit: expected a number, got "x"',
      'query: limit: expected at least 1, got "0"',
      'query: since: expected an ISO date such as 2026-11-30T12:00:00Z, or milliseconds since the epoch, got "soon"',
      'query: tag: expected at most 512 characters, got 513',
      'body: action: expected one of retry, cancel, delete, got "end"',
      'body: workflow: expected a text, got 7',
      'body: tags: expected a list, got "a"',
      'body: path: expected a text, got nothing',
    ])
  })

  it('refuse a cursor that no page has said, and a window that ends before it begins', async () => {
    const paths = [
      ...['runs', 'waits', 'dead-letters'].map((list) => `/${list}?cursor=zzz`),
      ...['0%20zzz', '-1', '%20'].map((cursor) => `/waits?cursor=${cursor}`),
      ...['99999999999999999999-0', '1e3', '0x1', '-'].map((cursor) => `/dead-letters?cursor=${cursor}`),
      `/runs/${world.done}/timeline?from=5&to=2`,
    ]
    for (const path of paths) {
      const { status, json } = await ask('GET', { path: `/api/v1${path}` }, KEYS.read)
      expect([path, status, json]).toMatchObject([path, 400, { code: 'INVALID_OPTION' }])
    }
  })

  it('say that a run has no such branch, for whatever it is asked', async () => {
    const run = await world.graflow.submit('broken', 4)
    await run.result().catch(() => undefined)
    const of = `/api/v1/runs/${run.id}`
    const asked: readonly (readonly [method: string, path: string, body?: unknown])[] = [
      ['POST', `${of}/settle`, { path: '1/99', skip: true }],
      ['POST', `${of}/retry`, { from: '1/99' }],
      ['GET', `${of}/values?path=1/99&which=input`],
      ['GET', `${of}/values?path=1/99`],
      ['GET', `${of}/values?path=7&which=input`],
      ['GET', `${of}/values?path=7`],
    ]
    for (const [method, path, body] of asked) {
      const { status, json } = await ask(method, { path, body }, KEYS.admin)
      expect([path, status, json]).toMatchObject([path, 404, { code: 'RESULT_NOT_FOUND' }])
    }
    const { json } = await ask('GET', { path: of }, KEYS.read)
    expect(json).toMatchObject({ state: 'failed', retries: 0 })
  })

  it('say with 405 which methods a path takes: just those that it answers in another way', async () => {
    const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
    for (const path of new Set(operations.map(({ path: one }) => one).filter((one) => !one.endsWith('/events')))) {
      const refused = new Map<string, string>()
      for (const method of methods) {
        const body = method === 'GET' || method === 'HEAD' ? {} : { body: { 'no-such-member': 1 } }
        const { status, headers } = await ask(method, { path: somePath(path), ...body }, KEYS.admin)
        if (status === 405) refused.set(method, headers.get('allow') ?? '')
      }
      const taken = methods.filter((method) => !refused.has(method)).sort()
      expect([path, [...refused.keys()].length]).not.toEqual([path, 0])
      for (const allow of refused.values()) expect([path, allow.split(', ').sort()]).toEqual([path, taken])
    }
  })

  it('take a body that is empty as none, also where it is said to be JSON', async () => {
    for (const { method, path, scope, body } of operations) {
      if (scope === undefined || method === 'GET') continue
      const json = { 'content-type': 'application/json' }
      const none = await ask(method, { path: somePath(path) }, KEYS.admin)
      const empty = await ask(method, { path: somePath(path), headers: json, body: '' }, KEYS.admin)
      const name = `${method} ${path}`
      expect([name, empty.status, empty.json?.code]).toEqual([name, none.status, none.json?.code])
      if (body?.required !== true) expect([name, empty.json?.code]).not.toEqual([name, 'INVALID_REQUEST'])
    }
  })

  it('say what is not there', async () => {
    const places = operations.filter(({ method, path }) => path.includes('{') && !isOfAnything(method, path, store))
    expect(places.length).toBeGreaterThan(10)
    for (const { method, path, body } of places) {
      const some = path.endsWith('/extend')
        ? { token: 'x' }
        : path.endsWith('/inject')
          ? { eventType: 'x' }
          : { path: '0', skip: true }
      const asked = { path: somePath(path), ...(body?.required === true && { body: some }) }
      const { json } = await ask(method, asked, KEYS.admin)
      expect([method, path, json]).toEqual([
        method,
        path,
        expect.objectContaining({ status: 404, code: expect.stringMatching(/_NOT_FOUND$/) }),
      ])
    }
  })
})

/** The embedded engine serves every queue; of what a worker reports its token decides, also once the worker is gone. */
const isOfAnything = (method: string, path: string, store: string): boolean =>
  method === 'POST' && ((path.startsWith('/api/v1/queues/') && store === 'embedded') || path.endsWith('/complete'))

interface BadRequest {
  readonly what: string
  readonly method: string
  readonly asked: Asked
  readonly status: number
}

/** Requests that an operation cannot take: of those that take nothing, another method. */
function badRequestsOf({ method, path, parameters, body }: Operation): readonly BadRequest[] {
  const at = somePath(path)
  const wrong = parameters
    .filter(
      (one) => one.in === 'query' && [one.schema.type].flat().some((type) => type === 'integer' || type === 'number'),
    )
    .flatMap(({ name }) => [
      { what: name, method, asked: { path: `${at}?${name}=x` }, status: 400 },
      { what: `empty ${name}`, method, asked: { path: `${at}?${name}=` }, status: 400 },
    ])
  const long = parameters
    .filter((one) => one.in === 'path')
    .map(({ name }) => ({
      what: `long ${name}`,
      method,
      asked: { path: path.replace(`{${name}}`, 'x'.repeat(600)).replace(/\{\w+\}/g, 'x') },
      status: 400,
    }))
  const isRpc = path === '/' || path === '/rpc' // which answers in its own form
  const bodies =
    body === undefined || isRpc
      ? []
      : [
          { what: 'no JSON', method, asked: { path: at, body: '{' }, status: 400 },
          {
            what: 'a text',
            method,
            asked: { path: at, body: 'x', headers: { 'content-type': 'text/plain' } },
            status: 415,
          },
        ]
  const asked = { path: at, body: 'x', headers: { 'content-type': 'text/plain' } }
  const typed = method === 'GET' || isRpc || bodies.length > 0 ? [] : [{ what: 'a text', method, asked, status: 415 }]
  const all = [...wrong, ...long, ...bodies, ...typed]
  return all.length > 0 ? all : [{ what: 'another method', method: 'PATCH', asked: { path: at }, status: 405 }]
}
