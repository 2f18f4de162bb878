/**
 * What metrics cost: the same work with and without them, in turns within one run, so that whatever else the machine does hits both. The page
 * is read every second, 15 times as often as Prometheus usually does. `npm run bench:metrics`; the result stands in docs/metrics.md.
 */
import { loadavg } from 'node:os'
import { connect, each, type Graflow, task } from 'graflow'
import { Worker } from 'graflow/worker'
import { RedisServer } from '../test/support/redis-server.js'
import { numbers } from './workload.js'
import { median, quantile } from './statistics.js'

const COUNT = 10_000
const ROUNDS = Number(process.argv[2] ?? 60)
const WARM_ROUNDS = 5
const READ_EVERY_MS = 1_000

const step = task('step', numbers.step)
const items = numbers.itemsOf(COUNT)

/** Runs once; how long that took, and how much processor time of this process, in milliseconds. */
async function measured(client: Graflow): Promise<{ readonly wallMs: number; readonly cpuMs: number }> {
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const results = await client.run(each(step), items)
  const wallMs = performance.now() - begun
  const { user, system } = process.cpuUsage(cpu)
  if (numbers.total(results) !== numbers.expected(COUNT)) throw new Error('a branch was lost')
  return { wallMs, cpuMs: (user + system) / 1_000 }
}

/** The share that `with` takes more than `without`, by wall time and by processor time. */
async function compare(name: string, withMetrics: Graflow, without: Graflow): Promise<void> {
  const wall: (readonly [withMetrics: number, without: number])[] = []
  const cpu: typeof wall = []
  for (let round = -WARM_ROUNDS; round < ROUNDS; round += 1) {
    const isFirst = round % 2 === 0
    const one = await measured(isFirst ? withMetrics : without)
    const other = await measured(isFirst ? without : withMetrics)
    if (round < 0) continue
    const [a, b] = isFirst ? [one, other] : [other, one]
    wall.push([a.wallMs, b.wallMs])
    cpu.push([a.cpuMs, b.cpuMs])
  }
  console.log(`${name}: processor time ${costOf(cpu)}; time ${costOf(wall)}`)
}

/** By the median of the rounds' ratios, and by the quarter of the runs that were disturbed least: the first quartile of each side. */
function costOf(rounds: readonly (readonly [withMetrics: number, without: number])[]): string {
  const percent = (ratio: number): string => `${ratio < 1 ? '' : '+'}${((ratio - 1) * 100).toFixed(1)} %`
  const ratios = rounds.map(([a, b]) => a / b)
  const calm = (side: 0 | 1): number =>
    quantile(
      rounds.map((round) => round[side]),
      0.25,
    )
  const half = `${percent(quantile(ratios, 0.25))} to ${percent(quantile(ratios, 0.75))}`
  return `${percent(median(ratios))} (middle half ${half}; least disturbed ${percent(calm(0) / calm(1))})`
}

/** Reads every second until it is told to stop. */
function reading(read: () => Promise<unknown>): () => void {
  const timer = setInterval(() => void read(), READ_EVERY_MS)
  return () => {
    clearInterval(timer)
  }
}

console.log(`${ROUNDS} rounds of ${COUNT} branches each; load average ${loadavg()[0]?.toFixed(1)}`)

const plain = await connect({ logLevel: 'silent' })
const counted = await connect({ logLevel: 'silent' })
await counted.metrics()
const stopReading = reading(() => counted.metrics())
await compare('embedded', counted, plain)
stopReading()
await plain.close()
await counted.close()

const redis = await RedisServer.start()
const url = `redis://127.0.0.1:${redis.port}`
const start = async (keyPrefix: string, metricsPort: number | undefined): Promise<readonly [Worker, Graflow]> => {
  const worker = new Worker({
    ...{ redisUrl: url, keyPrefix, tasks: [step], maxConcurrentTasks: 256, logLevel: 'warn' },
    ...(metricsPort !== undefined && { metricsPort, metricsHost: '127.0.0.1' }),
  })
  await worker.start()
  return [worker, await connect(url, { keyPrefix, logLevel: 'warn' })]
}
const [plainWorker, plainClient] = await start('plain', undefined)
const [countedWorker, countedClient] = await start('counted', 0)
await countedClient.metrics()
const stop = reading(() =>
  Promise.all([
    countedClient.metrics(),
    fetch(`http://127.0.0.1:${countedWorker.metricsPort}/metrics`).then((page) => page.text()),
  ]),
)
await compare('worker and client on Redis', countedClient, plainClient)
stop()
for (const client of [plainClient, countedClient]) await client.close()
for (const worker of [plainWorker, countedWorker]) await worker.stop()
await redis.stop()
