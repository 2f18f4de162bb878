/**
 * What metrics cost: the same work with and without them, a second each in turns within one run, so that whatever else the machine does hits
 * both. The page is read once in each second with metrics, 15 times as often as Prometheus usually does. `npm run bench:metrics`; the result stands in docs/metrics.md.
 */
import { Session, type Profiler } from 'node:inspector/promises'
import { loadavg } from 'node:os'
import { connect, each, type Graflow, task } from 'graflow'
import { Worker } from 'graflow/worker'
import { RedisServer } from '../test/support/redis-server.js'
import { numbers } from './workload.js'
import { median, quantile } from './statistics.js'

const COUNT = 10_000
/** Each a second with metrics and one without. */
const ROUNDS = Number(process.argv[2] ?? 30)
const WARM_ROUNDS = 2
const SECOND_MS = 1_000

const step = task('step', numbers.step)
const items = numbers.itemsOf(COUNT)

/** A client, and how its metrics are read, where it has some. */
interface Side {
  readonly client: Graflow
  readonly read?: () => Promise<unknown>
}

/** One run after the other for a second; how long a run took on average, and how much processor time of this process, in milliseconds. */
async function measured({ client, read }: Side): Promise<{ readonly wallMs: number; readonly cpuMs: number }> {
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const page = read?.()
  let runs = 0
  do {
    const results = await client.run(each(step), items)
    if (numbers.total(results) !== numbers.expected(COUNT)) throw new Error('a branch was lost')
    runs += 1
  } while (performance.now() - begun < SECOND_MS)
  await page
  const wallMs = performance.now() - begun
  const { user, system } = process.cpuUsage(cpu)
  return { wallMs: wallMs / runs, cpuMs: (user + system) / 1_000 / runs }
}

/** The share that `with` takes more than `without`, by wall time and by processor time. */
async function compare(name: string, withMetrics: Side, without: Side): Promise<void> {
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
  const share = await profiledShare(withMetrics)
  console.log(
    `${name}: ${share} of its processor time; held against runs without, processor time ${costOf(cpu)}, time ${costOf(wall)}`,
  )
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

/** Functions that do nothing but count for metrics, and files of which all does. */
const OF_METRICS = /^(countKinds|#tellWaited)$/
const FILES_OF_METRICS = /\/(observe|prom-client)\//
const PROFILED_SECONDS = 10

/** The share of this process's busy time that a sampling profiler finds in code of the metrics, or in what that calls. */
async function profiledShare(side: Side): Promise<string> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
  for (let second = 0; second < PROFILED_SECONDS; second += 1) await measured(side)
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  const { metrics, busy } = sumSamples(profile)
  return `${((metrics / busy) * 100).toFixed(1)} %`
}

function sumSamples({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): { metrics: number; busy: number } {
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const isOfMetrics = (id: number | undefined): boolean => {
    const frame = id === undefined ? undefined : byId.get(id)?.callFrame
    if (frame === undefined) return false
    return (
      OF_METRICS.test(frame.functionName) || FILES_OF_METRICS.test(frame.url) || isOfMetrics(parents.get(id as number))
    )
  }
  const known = new Map(nodes.map(({ id }) => [id, isOfMetrics(id)]))
  let metrics = 0
  let busy = 0
  for (const [i, id] of samples.entries()) {
    if (byId.get(id)?.callFrame.functionName === '(idle)') continue
    busy += timeDeltas[i] ?? 0
    if (known.get(id) === true) metrics += timeDeltas[i] ?? 0
  }
  return { metrics, busy }
}

console.log(`${ROUNDS} rounds of runs of ${COUNT} branches; load average ${loadavg()[0]?.toFixed(1)}`)

const plain = await connect({ logLevel: 'silent' })
const counted = await connect({ logLevel: 'silent' })
await counted.metrics()
await compare('embedded', { client: counted, read: () => counted.metrics() }, { client: plain })
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
const read = (): Promise<unknown> =>
  Promise.all([
    countedClient.metrics(),
    fetch(`http://127.0.0.1:${countedWorker.metricsPort}/metrics`).then((page) => page.text()),
  ])
await compare('worker and client on Redis', { client: countedClient, read }, { client: plainClient })
for (const client of [plainClient, countedClient]) await client.close()
for (const worker of [plainWorker, countedWorker]) await worker.stop()
await redis.stop()
