/** What holds for every route of the control plane, asked without a socket. */
import { connect, each, par, task, workflow } from 'graflow'
import { Validator } from '@seriousme/openapi-schema-validator'
import { documentOf } from '../../lib/server/openapi.js'
import { openPlane, type TestPlane } from '../support/control-plane.js'

let plane: TestPlane
const key = { 'x-api-key': 'the-read-key' }
beforeEach(async () => {
  plane = await openPlane({ serve: { apiKeys: ['read:the-read-key', 'admin:the-admin-key'] } })
})
afterEach(() => plane.close())

describe('the control plane', () => {
  it('describes itself by a valid OpenAPI document', async () => {
    const { json } = await plane.ask('GET', '/openapi.json', undefined, key)
    expect(json).toEqual(JSON.parse(JSON.stringify(documentOf(plane.app))))
    expect(await new Validator().validate(json)).toMatchObject({ valid: true })
  })

  it('lists queues in pages', async () => {
    const { status, json } = await plane.ask('GET', '/api/v1/queues?limit=1', undefined, key)
    expect(status).toBe(200)
    expect(json.items).toEqual(expect.any(Array))
    const refused = await plane.ask('GET', '/api/v1/queues?limit=1000', undefined, key)
    expect(refused.json).toMatchObject({ status: 400, code: 'INVALID_OPTION' })
  })

  it('names addresses as callers behind a proxy find them', async () => {
    const behind = await openPlane({ tasks: [task('one', () => 1)], serve: { basePath: '/graflow' } })
    const started = await behind.ask('POST', '/graflow/api/v1/runs?wait=5000', { flow: 'one', id: 'r' })
    expect([started.status, started.headers.get('location')]).toEqual([201, '/graflow/api/v1/runs/r'])
    expect((await behind.ask('GET', '/openapi.json')).json.servers).toEqual([{ url: '/graflow' }])
    await behind.close()
  })

  it('says of a run how much was withdrawn, of more groups than it lists, too', async () => {
    const many = 1_700
    const never = task('never', (_: number, { signal }): Promise<number> => {
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    })
    const raced = each(
      par(
        task('now', (n: number) => n),
        never,
      ).first(),
    )
    const wide = await openPlane({ tasks: [workflow('raced', raced)] })
    const input = Array.from({ length: many }, (_, n) => n)
    await wide.ask('POST', '/api/v1/runs?wait=60000', { workflow: 'raced', id: 'r', input })
    const { json } = await wide.ask('GET', '/api/v1/runs/r')
    expect([json.state, json.groups.length, json.withdrawn]).toEqual(['completed', 1_600, many])
    expect(json.done).toBe(json.total)
    await wide.close()
  }, 60_000)

  it('answers health without a key, and nothing else', async () => {
    for (const path of ['/livez', '/readyz', '/healthz']) expect((await plane.ask('GET', path)).status).toBe(200)
    expect((await plane.ask('GET', '/metrics')).status).toBe(401)
    expect((await plane.ask('GET', '/metrics', undefined, key)).text).toContain('graflow_queue_depth')
    expect((await plane.ask('GET', '/api/v1/autoscale?queue=default', undefined, key)).json).toMatchObject({
      backlog: 0,
    })
  })

  it('says what is at a path, and what it takes', async () => {
    expect((await plane.ask('GET', '/api/v1/nothing', undefined, key)).json).toMatchObject({ code: 'NO_SUCH_ROUTE' })
    const wrong = await plane.ask('DELETE', '/metrics', undefined, key)
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    const page = await plane.ask('DELETE', '/', undefined, key)
    expect([page.status, page.headers.get('allow')]).toEqual([405, 'POST, GET, HEAD'])
  })

  it('sends the dashboard with a policy that lets no other script run', async () => {
    const page = await plane.ask('GET', '/')
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'")
    expect((await plane.ask('GET', '/', undefined, { 'if-none-match': page.headers.get('etag') ?? '' })).status).toBe(
      304,
    )
  })

  it('lets a browser keep the files of a build, and ask for the page', async () => {
    const { text, headers } = await plane.ask('GET', '/')
    expect(headers.get('cache-control')).toBe('no-cache')
    const files = [...text.matchAll(/(?:src|href)="(\/\w+\.(?:js|css)\?v=[\w-]+)"/g)].map(([, path = '']) => path)
    expect(files.map((path) => path.replace(/\?.*/, ''))).toEqual(['/first.js', '/first.css'])
    files.push(...['/app.js', '/app.css'].map((path) => `${path}${/\?.*/.exec(files[0] ?? '')?.[0]}`))
    const kept = async (path: string) => (await plane.ask('GET', path)).headers.get('cache-control')
    for (const path of files) expect(await kept(path)).toBe('public, max-age=31536000, immutable')
    // what is asked for without a version, or with that of another build, may be another one tomorrow
    for (const path of ['/app.js', '/app.js?v=other']) expect(await kept(path)).toBe('no-cache')
  })

  it('sends the dashboard packed to who takes that', async () => {
    const as = (encoding: string) => plane.ask('GET', '/', undefined, { 'accept-encoding': encoding })
    const [packed, plain, refused] = [await as('br, gzip;q=0.8'), await as('identity'), await as('gzip;q=0')]
    expect([packed, plain, refused].map(({ headers }) => headers.get('content-encoding'))).toEqual(['gzip', null, null])
    expect(packed.headers.get('vary')).toBe('accept-encoding')
    expect(packed.headers.get('etag')).not.toBe(plain.headers.get('etag'))
  })
})

describe('connect({ serve })', () => {
  it('listens until the client is closed', async () => {
    const graflow = await connect({ serve: { port: 0 }, logLevel: 'silent' })
    const { url = '' } = graflow.server ?? {}
    expect((await fetch(`${url}readyz`)).status).toBe(200)
    await graflow.close()
    await expect(fetch(`${url}readyz`)).rejects.toThrow()
  })
})
