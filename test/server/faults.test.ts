/**
 * Faults H1 to H16 of the control plane, asked without a socket. The routes are those of the OpenAPI document: one that is added later is tried
 * without a word here.
 */
import crypto from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'graflow'
import { manualClock } from 'graflow/testing'
import { KeyRing, readKeys, sha256Of } from '../../lib/server/keys.js'
import { documentOf } from '../../lib/server/openapi.js'
import { SCOPES, covers, type Scope } from '../../lib/server/scopes.js'
import { failureOf, thrown } from '../support/captured-errors.js'
import { openPlane, type TestPlane } from '../support/control-plane.js'

const SECRET = 'sentinel-4f1d9c7b'
const keys = { read: `read-${SECRET}`, operate: `operate-${SECRET}`, admin: `admin-${SECRET}` }
const apiKeys = SCOPES.map((scope) => `${scope}:${keys[scope]}`)
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

let plane: TestPlane
beforeAll(async () => {
  plane = await openPlane({ serve: { apiKeys } })
})
afterAll(() => plane.close())

/** A route of the document. */
interface Route {
  readonly method: string
  readonly path: string
  /** Undefined where it is open. */
  readonly scope: Scope | undefined
  readonly query: readonly string[]
}

function routesOf({ app }: TestPlane): readonly Route[] {
  const { paths = {} } = documentOf(app)
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations as Record<string, any>).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: path.replaceAll(/\{[^}]+\}/g, 'nosuch'),
      scope: operation.security?.[0]?.apiKey?.[0] as Scope | undefined,
      query: (operation.parameters ?? []).filter((one: any) => one.in === 'query').map((one: any) => one.name),
    })),
  )
}

let addresses = 0
/** An answer without its body, from an address of its own unless told. */
async function answer(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  {
    body,
    from = `2001:db8::${((addresses += 1)).toString(16)}`,
  }: { readonly body?: string; readonly from?: string } = {},
): Promise<Response> {
  const env = { incoming: { socket: { remoteAddress: from } } }
  const response = await plane.app.request(path, { method, headers, ...(body !== undefined && { body }) }, env)
  if (response.headers.get('content-type')?.startsWith('text/event-stream') === true) await response.body?.cancel()
  return response
}

describe('the control plane', () => {
  it('FT-H1: refuses to listen beyond loopback without a key, unless it is told to', async () => {
    const serve = { port: 0, host: '0.0.0.0' }
    const refused = await failureOf(connect({ logLevel: 'silent', serve }))
    expect([refused.code, refused.message]).toEqual(['INVALID_OPTION', expect.stringContaining('there is no key')])
    for (const more of [{ insecure: true }, { apiKeys: ['read:12345678'] }]) {
      const graflow = await connect({ logLevel: 'silent', serve: { ...serve, ...more } })
      expect(graflow.server?.url).toMatch(/^http:\/\/0\.0\.0\.0:\d+\/$/)
      await graflow.close()
    }
    const own = await connect({ logLevel: 'silent', serve: { port: 0 } })
    expect(own.server?.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
    await own.close()
  })

  it('FT-H2: answers no route and no method without a key or with a wrong one, health and the page apart', async () => {
    const routes = routesOf(plane)
    const open = routes.filter(({ scope }) => scope === undefined).map(({ path }) => path)
    expect(open.sort()).toEqual(['/healthz', '/livez', '/readyz'])
    const paths = [...new Set(routes.map(({ path }) => path)), '/api/v1/nothing', '/rpc'].filter(
      (path) => !open.includes(path),
    )
    const details = new Set<string>()
    for (const path of paths) {
      for (const method of METHODS) {
        if (path === '/' && (method === 'GET' || method === 'HEAD')) continue
        for (const headers of [{}, { 'x-api-key': 'wrong-key' }, { authorization: 'Bearer wrong-key' }]) {
          const response = await answer(method, path, headers)
          expect([method, path, response.status]).toEqual([method, path, 401])
          expect(response.headers.get('www-authenticate')).toBe('Bearer')
          if (method !== 'HEAD') details.add(await response.text())
        }
      }
    }
    // it says nothing of what is there
    expect(details.size).toBe(1)
  })

  it('FT-H2: takes a key as x-api-key and as a bearer token', async () => {
    for (const headers of [
      { 'x-api-key': keys.read },
      { authorization: `Bearer ${keys.read}` },
      { authorization: `bearer ${keys.read}` },
    ])
      expect((await answer('GET', '/openapi.json', headers)).status).toBe(200)
  })

  it('FT-H3: compares hashes of equal length with all keys, in constant time, whatever was given', () => {
    const ring = new KeyRing(readKeys(apiKeys, 'test'), 'p', manualClock())
    const compare = jest.spyOn(crypto, 'timingSafeEqual')
    try {
      for (const given of ['x', 'y'.repeat(5_000), keys.read, keys.admin, `${keys.admin}x`]) {
        compare.mockClear()
        try {
          ring.check(given, given.slice(0, 9))
        } catch {
          // most are wrong
        }
        expect(compare.mock.calls.map(([a, b]) => [a.byteLength, b.byteLength])).toEqual(apiKeys.map(() => [32, 32]))
      }
    } finally {
      compare.mockRestore()
    }
  })

  it('FT-H4: lets a key do what its scope covers, and no more', async () => {
    for (const { method, path, scope } of routesOf(plane)) {
      if (scope === undefined) continue
      for (const has of SCOPES) {
        const response = await answer(method, path, { 'x-api-key': keys[has] })
        const isRefused = response.status === 403 || response.status === 401
        expect([method, path, has, isRefused]).toEqual([method, path, has, !covers(has, scope)])
        if (isRefused)
          expect(await response.json()).toMatchObject({ code: 'FORBIDDEN', details: { needed: scope, has } })
      }
    }
  })

  it('FT-H5: slows down who guesses keys, and nobody else at the same address', async () => {
    const clock = manualClock()
    const ring = new KeyRing(readKeys(apiKeys, 'test'), 'p', clock)
    const outcome = (key: string, address = 'there'): string => {
      try {
        return ring.check(key, address)
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(outcome(keys.read)).toBe('read')
    const guesses = Array.from({ length: 1_000 }, (_, i) => outcome(`guess-${i}`))
    expect(guesses.filter((code) => code === 'UNAUTHORIZED')).toHaveLength(20)
    expect(guesses.filter((code) => code === 'TOO_MANY_REQUESTS')).toHaveLength(980)
    // also a right guess: else guessing would not be slow
    expect(outcome(keys.admin)).toBe('TOO_MANY_REQUESTS')
    expect([outcome(keys.read), outcome(keys.admin, 'elsewhere')]).toEqual(['read', 'admin'])
    clock.advance(3_000)
    expect(outcome(keys.admin)).toBe('admin')
    const response = await (async () => {
      for (let i = 0; ; i += 1) {
        const one = await answer('GET', '/metrics', { 'x-api-key': `guess-${i}` }, { from: 'guesser' })
        if (one.status !== 401) return one
      }
    })()
    expect([response.status, Number(response.headers.get('retry-after'))]).toEqual([429, 3])
  })

  it.each<[string, Readonly<Record<string, string>>, string, number, string]>([
    ['more bytes than it takes', {}, JSON.stringify('x'.repeat(3 * 1024 * 1024)), 413, 'LIMIT_EXCEEDED'],
    ['another content-type', { 'content-type': 'text/xml' }, '<a/>', 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'a=1', 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['no JSON', {}, '{"a":', 400, 'INVALID_REQUEST'],
    ['JSON of 100 000 levels', {}, '['.repeat(100_000), 400, 'INVALID_REQUEST'],
    ['brackets in a text', {}, JSON.stringify({ a: '['.repeat(1_000) }), 404, 'NO_SUCH_ROUTE'],
  ])('FT-H7: answers a body of %s', async (_, headers, body, status, code) => {
    const all = { 'content-type': 'application/json', 'x-api-key': keys.admin, ...headers }
    const response = await answer('POST', '/api/v1/nothing', all, { body })
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ status, code })])
  })

  it('FT-H8: sends a policy with every answer, by which no script of others runs', async () => {
    const paths = [...routesOf(plane), { method: 'GET', path: '/' }, { method: 'GET', path: '/app.js' }]
    for (const { method, path } of paths) {
      for (const headers of [{}, { 'x-api-key': keys.admin }]) {
        const { headers: sent } = await answer(method, path, headers)
        const policy = sent.get('content-security-policy') ?? ''
        for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"])
          expect([path, policy.split('; ')]).toEqual([path, expect.arrayContaining([part])])
        expect([path, sent.get('x-content-type-options')]).toEqual([path, 'nosniff'])
        // what is no page is never taken for one
        if (path !== '/')
          expect([path, sent.get('content-type') ?? '']).toEqual([path, expect.not.stringContaining('html')])
      }
    }
  })

  it('FT-H9: refuses foreign hosts and origins on every route, and sets no cookie', async () => {
    const refuses = async (path: string, method: string, headers: Record<string, string>): Promise<boolean> => {
      const response = await answer(method, path, { 'x-api-key': keys.admin, ...headers })
      expect([path, response.headers.get('set-cookie')]).toEqual([path, null])
      expect([path, response.headers.get('access-control-allow-origin')]).toEqual([path, null])
      return response.status === 403
    }
    for (const { method, path, scope } of routesOf(plane)) {
      if (scope === undefined) continue
      for (const headers of [
        { host: 'evil.example' },
        { host: 'localhost.evil.example:9100' },
        { host: 'localhost:9100', origin: 'http://evil.example' },
        { host: 'localhost:9100', origin: 'http://localhost:3000' },
        { host: 'localhost:9100', origin: 'null' },
      ])
        expect([path, headers, await refuses(path, method, headers)]).toEqual([path, headers, true])
    }
    for (const headers of [
      { host: 'localhost:9100' },
      { host: 'LOCALHOST' },
      { host: '127.0.0.1:9100' },
      { host: '[::1]:9100' },
      { host: '10.1.2.3' },
      { host: 'localhost:9100', origin: 'http://localhost:9100' },
    ])
      expect([headers, await refuses('/openapi.json', 'GET', headers)]).toEqual([headers, false])
    expect((await answer('GET', '/', { host: 'evil.example' })).status).toBe(403)
  })

  it('FT-H10: has no code that could dial an address', () => {
    const folder = join(__dirname, '../../lib/server')
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
    const dials =
      /(?<!\bapp\.)\bfetch\(|\b(request|get)\(\s*['"`]http|from '(node:)?(https|http2|net|tls|dgram|dns|undici)[/'"]|createConnection|new WebSocket/
    const allowed = /import \{ isIP \} from 'node:net'|import type \{ AddressInfo \} from 'node:net'/g
    const found = files.filter((name) => dials.test(readFileSync(join(folder, name), 'utf8').replaceAll(allowed, '')))
    expect(files.length).toBeGreaterThan(10)
    expect(found).toEqual([])
  })

  it.each([
    '/../package.json',
    '/..%2fpackage.json',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/..%5c..%5cpackage.json',
    '/app.js/../../package.json',
    '/app.js%00.html',
    '/%00',
    '//etc/passwd',
    '/index.html/',
    '/app.tsx',
    '/.git/config',
    '/constructor',
    '/__proto__',
    '/%',
    '/%c0%ae%c0%ae/etc/passwd',
  ])('FT-H11: has no file at %s', async (path) => {
    for (const headers of [{}, { accept: 'text/html' }]) {
      const response = await answer('GET', path, headers)
      const text = await response.text()
      expect(text).not.toMatch(/root:|"dependencies"|\[core\]/)
      // a browser gets the dashboard, which says that there is no such page; others nothing
      if (response.status === 200) expect(text).toMatch(/^<!doctype html>/i)
      else expect(response.status).toBe(401)
    }
  })

  it('FT-H13: shows no key in logs, problems, metrics or the document', async () => {
    const said: string[] = []
    plane.graflow.events.subscribe('log', (event) => said.push(JSON.stringify(event)))
    for (const { method, path } of routesOf(plane)) {
      const response = await answer(method, `${path}?key=${SECRET}`, {
        'x-api-key': keys.admin,
        authorization: `Basic ${SECRET}`,
      })
      if (response.bodyUsed) continue
      if (response.headers.get('content-type')?.startsWith('text/event-stream') === true) continue
      said.push(await response.text())
    }
    const wrong = await failureOf(
      connect({ logLevel: 'silent', serve: { port: 0, apiKeys: [`nosuch scope:${SECRET} `] } }),
    )
    said.push(wrong.message, JSON.stringify(wrong.toJSON()))
    expect(said.length).toBeGreaterThan(5)
    expect(said.filter((text) => text.includes(SECRET))).toEqual([])
  })

  it('FT-H14: refuses a key of another key prefix', () => {
    const sha256 = sha256Of(keys.admin)
    const bound = (prefix: string): KeyRing =>
      new KeyRing(readKeys([{ name: 'one', scope: 'admin', sha256, prefix }], 'test'), 'shop', manualClock())
    expect(bound('shop').check(keys.admin, 'a')).toBe('admin')
    const refused = thrown(() => bound('elsewhere').check(keys.admin, 'a'))
    expect(refused.code).toBe('FORBIDDEN')
    expect(refused.message).not.toContain('elsewhere')
  })

  it('FT-H15: gives at most 200 items a page, on every list', async () => {
    const lists = routesOf(plane).filter(({ query }) => query.includes('cursor'))
    expect(lists.length).toBeGreaterThan(0)
    for (const { path } of lists) {
      const asked = async (limit: string): Promise<number> =>
        (await answer('GET', `${path}?limit=${limit}`, { 'x-api-key': keys.admin })).status
      for (const limit of ['201', '0', '-1', '1.5', 'x', '1e9'])
        expect([path, limit, await asked(limit)]).toEqual([path, limit, 400])
      expect([path, [200, 404].includes(await asked('200'))]).toEqual([path, true])
    }
  })
})
