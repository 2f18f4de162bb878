/**
 * What operators wait for with very many runs: a page of a list, and commands on all of them; and what others wait for meanwhile. `npm run bench:operators
 * [-- runs]`; the result stands in docs/benchmarks.md.
 */
import { connect, seq, task, workflow, type RunListOptions } from 'graflow'
import { Redis } from 'ioredis'
import { RedisServer } from '../test/support/redis-server.js'
import { usageOf } from './redis-usage.js'
import { quantile } from './statistics.js'

const RUNS = Number(process.argv[2] ?? 100_000)
const PREFIX = 'operators'
/** Calls of submit under way at once. */
const AT_ONCE = 200
/** Times that each page is asked for. */
const REPEATS = 50
const WORKFLOWS = 10
/** One run of so many has the rare tag. */
const RARE = 1_000

const one = task('one', (n: number) => n)
const flows = Array.from({ length: WORKFLOWS }, (_, i) => workflow(`workflow-${i}`, seq(one, one)))

const server = await RedisServer.start()
const url = server.unixUrl
const client = await connect(url, { keyPrefix: PREFIX, logLevel: 'silent' })
const other = await connect(url, { keyPrefix: PREFIX, logLevel: 'silent' })
const redis = new Redis(url.replace('unix://', ''))

let left = RUNS
const submitter = async (): Promise<void> => {
  while (left > 0) {
    const i = (left -= 1)
    const tags = i % RARE === 0 ? ['common', 'rare'] : ['common']
    await client.submit(flows[i % WORKFLOWS] ?? seq(one, one), i, { tags })
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, submitter))
const [, added] = /^cmdstat_zadd:.*usec_per_call=([\d.]+)/m.exec(await redis.info('commandstats')) ?? []
console.log(`writing one entry of an index: ${added ?? '?'} µs`)
await client.runs.cancel({ workflow: 'workflow-1' })
console.log(
  `${RUNS} runs, of which a tenth is cancelled and the others wait for a driver; median of ${REPEATS} pages of 50`,
)
const deep = await cursorBehind(Math.floor(RUNS / 2))
const lists: readonly (readonly [string, RunListOptions])[] = [
  ['the newest', {}],
  ['from the middle on', deep === undefined ? {} : { cursor: deep }],
  ['pending', { state: 'pending' }],
  ['cancelled', { state: 'cancelled' }],
  ['failed (none)', { state: 'failed' }],
  ['of one workflow', { workflow: 'workflow-2' }],
  ['with a tag of one in a thousand', { tag: 'rare' }],
  ['cancelled, with a tag that all have', { state: 'cancelled', tag: 'common' }],
  ['cancelled, of another workflow (none)', { state: 'cancelled', workflow: 'workflow-2' }],
]
for (const [name, options] of lists) console.log(`${name}: ${await timed(() => client.runs.list(options))}`)
await bulk('cancel', () => client.runs.cancel({ tag: 'common' }))
await bulk('retry', () => client.runs.retry({ tag: 'common' }))
await bulk('delete', () => client.runs.delete({ tag: 'common' }))

redis.disconnect()
await Promise.all([client.close(), other.close()])
await server.stop()

/** The cursor of the page behind so many runs. */
async function cursorBehind(count: number): Promise<string | undefined> {
  let cursor: string | undefined
  for (let seen = 0; seen < count; seen += 1_000) {
    const page = await client.runs.list({ limit: 1_000, ...(cursor !== undefined && { cursor }) })
    cursor = page.cursor
  }
  return cursor
}

/** The median time, and what Redis worked for it. */
async function timed(ask: () => Promise<{ readonly items: readonly unknown[] }>): Promise<string> {
  const times: number[] = []
  const before = await usageOf(redis)
  let items = 0
  for (let i = 0; i < REPEATS; i += 1) {
    const startedAt = performance.now()
    items = (await ask()).items.length
    times.push(performance.now() - startedAt)
  }
  const after = await usageOf(redis)
  const median = quantile(
    times.sort((a, b) => a - b),
    0.5,
  )
  return `${items} runs, ${median.toFixed(2)} ms, ${Math.round((after.cpuUs - before.cpuUs) / REPEATS)} µs of Redis`
}

/** How long a command takes on all runs, and how long another client waits for a page meanwhile. */
async function bulk(name: string, command: () => Promise<number>): Promise<void> {
  const startedAt = performance.now()
  let isOver = false
  const waited: number[] = []
  const looking = (async (): Promise<void> => {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- set below, while this waits
    while (!isOver) {
      const askedAt = performance.now()
      await other.runs.list({ limit: 10 })
      waited.push(performance.now() - askedAt)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  const count = await command()
  const seconds = (performance.now() - startedAt) / 1_000
  isOver = true
  await looking
  waited.sort((a, b) => a - b)
  const [half, most] = [0.5, 0.99].map((part) => quantile(waited, part).toFixed(1))
  console.log(
    `${name}: ${count} runs in ${seconds.toFixed(1)} s; a page of another client took ${half} ms, 99 % within ${most} ms`,
  )
}
