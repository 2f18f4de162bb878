import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compiled } from '../support/compiled.js'
import { Child } from '../support/processes.js'
import { build, root } from '../support/programs.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

beforeAll(build, 120_000)

const MAIN = join(root, 'examples/http-service/main.ts')

/** The service, once it listens. */
async function service(keyPrefix: string) {
  const env = { REDIS_URL: (await sharedRedis()).url, KEY_PREFIX: keyPrefix, PORT: '0' }
  const child = new Child({ name: 'http-service', args: [compiled(MAIN)], env })
  const [, port] = await child.said(/listening on .*"port":(\d+)/)
  const ask = async (method: string, path: string, body?: object, key?: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      headers: key === undefined ? {} : { 'idempotency-key': key },
    })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }
  return { child, ask }
}

describe('examples/http-service', () => {
  it('has at most 60 lines, without the comment at its head', () => {
    const source = readFileSync(MAIN, 'utf8').replace(/^\/\*\*.*?\*\/\n/s, '')
    expect(source.trimEnd().split('\n').length).toBeLessThanOrEqual(60)
  })

  it('P1: keeps its orders when it is killed and started again', async () => {
    const keyPrefix = freshPrefix()
    const first = await service(keyPrefix)
    expect((await first.ask('POST', '/orders', { item: 'pen', makeMs: 1 })).status).toBe(400)
    expect((await first.ask('POST', '/orders', { item: 'pen' }, 'k1')).status).toBe(400)
    expect(await first.ask('GET', '/orders/nothing')).toEqual({ status: 404, body: { error: 'RUN_NOT_FOUND' } })
    const pen = { item: 'pen', makeMs: 300 }
    const made = await first.ask('POST', '/orders', pen, 'k1')
    expect(made.status).toBe(202)
    const path = `/orders/${String(made.body['id'])}`
    const held = await first.ask('POST', '/orders', { item: 'ink', makeMs: 60_000 }, 'k2')
    await first.child.kill9()

    const { ask } = await service(keyPrefix)
    expect((await ask('POST', '/orders', pen, 'k1')).body).toEqual(made.body)
    const other = { item: 'ink', makeMs: 1 }
    expect(await ask('POST', '/orders', other, 'k1')).toEqual({ status: 409, body: { error: 'RUN_EXISTS' } })
    const untilState = (state: string) =>
      until(async () => (await ask('GET', path)).body['state'] === state, `the order is ${state}`)
    await untilState('waiting')
    expect(await ask('POST', `${path}/approve`)).toEqual({ status: 200, body: { changed: true } })
    await untilState('completed')
    expect((await ask('GET', path)).body['result']).toEqual({ shipped: 'pen' })
    expect(await ask('POST', `${path}/approve`)).toEqual({ status: 200, body: { changed: false } })

    const heldPath = `/orders/${String(held.body['id'])}`
    expect(await ask('POST', `${heldPath}/cancel`)).toEqual({ status: 200, body: { changed: true } })
    expect((await ask('GET', heldPath)).body).toMatchObject({ state: 'cancelled', error: 'CANCELLED' })
  }, 60_000)
})
