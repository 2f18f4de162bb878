/** The control plane over a Redis: what it asks of it, and what it says while it is away. */
import { Redis } from 'ioredis'
import { openPlane, type TestPlane } from '../support/control-plane.js'
import { monitor } from '../support/monitor.js'
import { freshPrefix, privateRedis } from '../support/shared-redis.js'
import { documentOf } from '../../lib/server/openapi.js'
import { until } from '../support/waits.js'

const planes: TestPlane[] = []
afterEach(async () => {
  for (const plane of planes.splice(0)) await plane.close()
})
const open = async (url: string): Promise<TestPlane> => {
  const plane = await openPlane({ keyPrefix: freshPrefix() }, url)
  planes.push(plane)
  return plane
}

describe('the control plane over a Redis', () => {
  it('FT-H15: never looks through all keys for a request', async () => {
    const redis = await privateRedis()
    const plane = await open(redis.url)
    const commands = new Set<string>()
    const end = await monitor(redis, ({ command }) => commands.add(command))
    const marker = new Redis(redis.url)
    for (const [path, operations] of Object.entries(documentOf(plane.app).paths ?? {})) {
      if (!('get' in operations) || path.endsWith('/events')) continue
      const { status } = await plane.ask('GET', path.replaceAll(/\{[^}]+\}/g, 'nosuch'))
      expect([path, status < 500]).toEqual([path, true])
    }
    await marker.set('marker', '1')
    await until(() => commands.has('SET'), 'the marker to be monitored')
    expect([...commands].filter((name) => ['KEYS', 'SCAN', 'FLUSHALL'].includes(name))).toEqual([])
    marker.disconnect()
    end()
  })

  it('FT-H17: says that the store is away and how old its last answer is, goes on living, and goes on once it is back', async () => {
    const redis = await privateRedis()
    const plane = await open(redis.url)
    expect((await plane.ask('GET', '/api/v1/queues')).status).toBe(200)
    await redis.kill9()
    const [asked, other] = await Promise.all([plane.ask('GET', '/api/v1/queues'), plane.ask('GET', '/api/v1/queues')])
    for (const { status, json, headers } of [asked, other]) {
      expect([status, json]).toEqual([503, expect.objectContaining({ code: 'REDIS_UNAVAILABLE', retryable: true })])
      expect(headers.get('retry-after')).toBe('1')
    }
    const again = await plane.ask('GET', '/api/v1/queues')
    expect(again.json).toMatchObject({ status: 503, details: { lastAnswerMs: expect.any(Number) } })
    expect([(await plane.ask('GET', '/livez')).status, (await plane.ask('GET', '/readyz')).status]).toEqual([200, 503])
    expect((await plane.ask('GET', '/')).status).toBe(200)
    await redis.restart()
    await until(async () => (await plane.ask('GET', '/readyz')).status === 200, 'the store to be there again')
    await until(async () => (await plane.ask('GET', '/api/v1/queues')).status === 200, 'requests to be answered again')
  })
})
