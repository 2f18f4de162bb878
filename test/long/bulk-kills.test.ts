/** Commands on many runs whose control plane is killed in the middle: another one tells how far they have come, and goes on. */
import { task } from 'graflow'
import type { BulkJob } from '../../lib/server/bulk-jobs.js'
import { useStage, type Stage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const stage = useStage(require.resolve('./pipelines.tasks.ts'))
const RUNS = 3_000
/** In the store runs of a page are done together, and what is told is so far behind at most. */
const MOST_UNTOLD = 2 * 256

interface Plane {
  readonly url: string
  readonly kill9: () => Promise<unknown>
}

async function plane(own: Stage): Promise<Plane> {
  const child = own.spawnScript(require.resolve('./pipelines.plane.ts'), [own.server.url, own.prefix])
  const [, url = ''] = await child.said(/listens on (\S+)\n/)
  return { url, kill9: () => child.kill9() }
}

async function ask(url: string, method: string, path: string, body?: object): Promise<any> {
  const response = await fetch(`${url}api/v1${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  return response.json()
}

it('are carried to their end by another server, which tells how far they are all the while', async () => {
  const own = await stage(await sharedRedis())
  const graflow = await own.client()
  const node = task('nobody-knows', (n: number) => n)
  const inputs = Array.from({ length: RUNS }, (_, n) => n)
  for (let from = 0; from < RUNS; from += 500)
    await Promise.all(
      inputs.slice(from, from + 500).map((n) => graflow.submit(node, n, { id: `r-${n}`, tags: ['many'] })),
    )
  const statesNow = async (): Promise<Readonly<Record<string, number>>> => {
    const counts: Record<string, number> = {}
    for (let cursor: string | undefined; ; ) {
      const page = await graflow.runs.list({ tag: 'many', limit: 1_000, ...(cursor !== undefined && { cursor }) })
      for (const { state } of page.items) counts[state] = (counts[state] ?? 0) + 1
      if (page.cursor === undefined) return counts
      cursor = page.cursor
    }
  }
  let killed = await plane(own)
  for (const [action, after] of [
    ['cancel', { cancelled: RUNS }],
    ['retry', { pending: RUNS }],
    ['delete', {}],
  ] as const) {
    const other = await plane(own)
    const begun: BulkJob = await ask(killed.url, 'POST', '/runs/bulk?wait=0', { action, filter: { tag: 'many' } })
    const seen = async (): Promise<BulkJob> => ask(other.url, 'GET', `/bulk-jobs/${begun.id}`)
    await until(async () => (await seen()).matched > 0, `${action}: the other server to see how far it is`)
    await killed.kill9()
    const atKill = await seen()
    expect([action, atKill.status]).toEqual([action, 'running'])
    expect(atKill.matched).toBeLessThan(RUNS)
    let most = atKill.matched
    await until(
      async () => {
        const { matched, status } = await seen()
        expect(matched).toBeGreaterThanOrEqual(most)
        most = matched
        return status === 'done'
      },
      `${action}: the end of it`,
      90_000,
    )
    expect([action, await statesNow()]).toEqual([action, after])
    const { done, failed } = await seen()
    expect(failed).toBe(0)
    expect(done).toBeLessThanOrEqual(RUNS)
    expect(done).toBeGreaterThanOrEqual(RUNS - MOST_UNTOLD)
    killed = other
  }
}, 300_000)
