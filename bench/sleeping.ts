/**
 * What runs cost that sleep: bytes in Redis, memory of a process, and what Redis does per second while nothing is due; then how soon all of those
 * that are due in one second are started. `npm run bench:sleeping [-- runs due]`; the result stands in docs/benchmarks.md.
 */
import { connect, later, seq, task } from 'graflow'
import { Worker } from 'graflow/worker'
import { Redis } from 'ioredis'
import { RedisServer } from '../test/support/redis-server.js'
import { usageOf } from './redis-usage.js'
import { quantile } from './statistics.js'

const RUNS = Number(process.argv[2] ?? 100_000)
const DUE = Number(process.argv[3] ?? 10_000)
const PREFIX = 'sleeping'
const HOUR_MS = 3_600_000
/** Calls of submit under way at once. */
const AT_ONCE = 200
const IDLE_MS = 10_000
/** Long enough that all of them sleep before the first is due. */
const LEAD_MS = Math.max(30_000, DUE * 6)

interface Order {
  readonly id: string
  readonly due: number
}
const started: number[] = []
const first = task('first', (order: Order) => order)
const second = task('second', (order: Order) => {
  started.push(Date.now())
  return order.id
})
const flow = seq(
  first,
  later(second, (order) => new Date(order.due)),
)

const server = await RedisServer.start()
const url = `redis://127.0.0.1:${server.port}`
const worker = new Worker({
  redisUrl: url,
  keyPrefix: PREFIX,
  tasks: [flow],
  maxConcurrentTasks: 64,
  logLevel: 'silent',
})
await worker.start()
const client = await connect(url, { keyPrefix: PREFIX, logLevel: 'silent' })
const redis = new Redis(url)

await sleep(100, Date.now() + HOUR_MS) // what the first runs make is not counted
const idleBefore = await idle()
const before = { redis: await used(), process: heap() }
await sleep(RUNS - DUE, Date.now() + HOUR_MS)
const after = { redis: await used(), process: heap() }
const bytes = Math.round((after.redis - before.redis) / (RUNS - DUE))
const own = Math.round((after.process - before.process) / (RUNS - DUE))
const idleAfter = await idle()
console.log(
  `${RUNS - DUE} runs sleep: ${bytes} bytes of Redis each, ${own} bytes of the worker's and client's process each`,
)
console.log(`Redis per second, without and with them: ${idleBefore} and ${idleAfter}`)

const due = Date.now() + LEAD_MS
await sleep(DUE, due)
if (Date.now() > due - 2_000)
  throw new Error(`expected ${DUE} runs to sleep before they are due: take a longer LEAD_MS`)
let onTheirWayMs = 0
while (started.length < DUE) {
  if (onTheirWayMs === 0 && (await redis.zcount(`{${PREFIX}:0}:wake`, '-inf', due + 1_000)) === 0)
    onTheirWayMs = Date.now()
  await wait(20)
}
const seconds = (ms: number): string => (ms / 1_000).toFixed(2)
started.sort((a, b) => a - b)
const [half, most, last] = [0.5, 0.99, 1].map((part) => seconds(quantile(started, part) - due))
console.log(
  `${DUE} due within one second: all of them woken ${seconds(onTheirWayMs - due)} s after the first was due; half of them started within ${half} s, 99 % within ${most} s, all within ${last} s of the first being due`,
)

redis.disconnect()
await client.close()
await worker.stop()
await server.stop()

/** Submits so many runs, which are due within the second from then on, and waits until they sleep. */
async function sleep(count: number, from: number): Promise<void> {
  const asleep = (await redis.zcard(`{${PREFIX}:0}:wake`)) + count
  let left = count
  const submitter = async (): Promise<void> => {
    for (; left > 0; ) {
      left -= 1
      await client.submit(flow, { id: String(left), due: from + (left % 1_000) })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, submitter))
  while ((await redis.zcard(`{${PREFIX}:0}:wake`)) < asleep) await wait(50)
}

/** What Redis does in a second while nothing is under way. */
async function idle(): Promise<string> {
  await wait(2_000)
  const one = await usageOf(redis)
  await wait(IDLE_MS)
  const two = await usageOf(redis)
  const perSecond = (what: number): number => Math.round(what / (IDLE_MS / 1_000))
  return `${perSecond(two.commands - one.commands)} commands, ${perSecond(two.cpuUs - one.cpuUs)} µs`
}

async function used(): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1])
}

function heap(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
