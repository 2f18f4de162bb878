/** A store with many runs, looked at over HTTP: every page is small, and every run is on one of them. */
import { task } from 'graflow'
import { Redis } from 'ioredis'
import { openPlane } from '../support/control-plane.js'
import { freshPrefix, privateRedis } from '../support/shared-redis.js'

/** GRAFLOW_MANY_RUNS=100000 takes two minutes. */
const RUNS = Number(process.env['GRAFLOW_MANY_RUNS'] ?? 20_000)
const AT_ONCE = 1_000

it('FT-H15: many runs are listed 200 a page at most, each once, without a look through all keys', async () => {
  const redis = await privateRedis()
  const plane = await openPlane({ keyPrefix: freshPrefix() }, redis.url)
  try {
    const node = task('nobody-knows', (n: number) => n)
    for (let from = 0; from < RUNS; from += AT_ONCE)
      await Promise.all(
        Array.from({ length: AT_ONCE }, (_, i) =>
          plane.graflow.submit(node, i, { id: `r-${from + i}`, tags: [(from + i) % 1_000 === 0 ? 'rare' : 'usual'] }),
        ),
      )
    const pages = async (query: string): Promise<readonly (readonly string[])[]> => {
      const found: string[][] = []
      for (let cursor = ''; ; ) {
        const { status, json, text } = await plane.ask('GET', `/api/v1/runs?limit=200${query}${cursor}`)
        expect([status, text.length < 200 * 1_024]).toEqual([200, true])
        found.push(json.items.map(({ id }: { readonly id: string }) => id))
        if (json.cursor === undefined) return found
        cursor = `&cursor=${encodeURIComponent(String(json.cursor))}`
      }
    }
    const all = await pages('')
    expect(Math.max(...all.map(({ length }) => length))).toBe(200)
    expect(all.flat()).toHaveLength(RUNS)
    expect(new Set(all.flat()).size).toBe(RUNS)
    const rare = await pages('&tag=rare')
    expect([rare.length, rare.flat().length]).toEqual([1, RUNS / 1_000])
    expect((await pages('&state=failed')).flat()).toEqual([])
    const refused = await plane.ask('GET', '/api/v1/runs?limit=201')
    expect([refused.status, refused.json.code]).toEqual([400, 'INVALID_OPTION'])
    for (const path of ['/api/v1/overview', '/api/v1/queues', '/api/v1/waits?limit=200', '/api/v1/workflows']) {
      const { status, text } = await plane.ask('GET', path)
      expect([path, status, text.length < 256 * 1_024]).toEqual([path, 200, true])
    }
    const looking = new Redis(redis.url)
    expect(await looking.info('commandstats')).not.toMatch(/cmdstat_(keys|scan):/)
    looking.disconnect()
  } finally {
    await plane.close()
  }
}, 600_000)
