/**
 * What checkpoints cost: a run of 1 000 branches in 10 supersteps with saved outputs and without, in turns, so that whatever else the machine
 * does hits both. Without means that nothing is saved at all: no output, and no checksum. `npm run bench:checkpoints [-- rounds]`; the result stands
 * in docs/benchmarks.md.
 */
import { loadavg } from 'node:os'
import { Redis } from 'ioredis'
import { findServer, LocalCluster } from '../examples/support/local-cluster.js'
import { Execution } from '../lib/engine/execution.js'
import { connect } from '../lib/index.js'
import { ofNumbers, ofObjects, SUPERSTEPS, type Supersteps, WIDTH } from './checkpoints.tasks.js'
import { median, quantile } from './statistics.js'

const ROUNDS = Number(process.argv[2] ?? 40)
const WARM_ROUNDS = 5

const server = findServer()
if (server === undefined) throw new Error('expected redis-server on PATH')
const tasks = new URL('checkpoints.tasks.ts', import.meta.url).pathname
const cluster = await LocalCluster.start({
  ...{ server, tasks, workers: 1, maxConcurrentTasks: 64, signal: new AbortController().signal },
})
const graflow = await connect(cluster.url, { keyPrefix: cluster.keyPrefix, logLevel: 'warn' })
const redis = new Redis(cluster.url.slice('unix://'.length))

const takeUnsaved = Object.getOwnPropertyDescriptor(Execution.prototype, 'takeUnsaved') ?? {}
const saveNothing = { ...takeUnsaved, value: () => undefined }

/** Processor time of Redis, in milliseconds. */
async function redisCpuMs(): Promise<number> {
  const info = await redis.info('cpu')
  const seconds = (name: string): number => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1] ?? 0)
  return 1_000 * (seconds('used_cpu_sys') + seconds('used_cpu_user'))
}

/** One run: its time, and the processor time of the driver and of Redis, in milliseconds. */
async function measured<T>(
  { flow, items, isRight }: Supersteps<T>,
  saves: boolean,
): Promise<readonly [wallMs: number, cpuMs: number]> {
  Object.defineProperty(Execution.prototype, 'takeUnsaved', saves ? takeUnsaved : saveNothing)
  const before = await redisCpuMs()
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const out = await graflow.run(flow, items)
  const wallMs = performance.now() - begun
  const { user, system } = process.cpuUsage(cpu)
  if (!isRight(out)) throw new Error('a branch was lost')
  return [wallMs, (user + system) / 1_000 + (await redisCpuMs()) - before]
}

/** By the median of the rounds' ratios, and by the quarter of the runs that were disturbed least. */
function costOf(rounds: readonly (readonly [saving: number, without: number])[]): string {
  const percent = (ratio: number): string => `${ratio < 1 ? '' : '+'}${((ratio - 1) * 100).toFixed(1)} %`
  const calm = (side: 0 | 1): number => {
    const times = rounds.map((round) => round[side])
    return quantile(times, 0.25)
  }
  const all = percent(median(rounds.map(([a, b]) => a / b)))
  return `${all} (least disturbed ${calm(0).toFixed(1)} ms against ${calm(1).toFixed(1)} ms, ${percent(calm(0) / calm(1))})`
}

async function compare<T>(work: Supersteps<T>): Promise<void> {
  const wall: (readonly [number, number])[] = []
  const cpu: (readonly [number, number])[] = []
  for (let round = -WARM_ROUNDS; round < ROUNDS; round += 1) {
    const isFirst = round % 2 === 0
    const one = await measured(work, isFirst)
    const other = await measured(work, !isFirst)
    if (round < 0) continue
    const [a, b] = isFirst ? [one, other] : [other, one]
    wall.push([a[0], b[0]])
    cpu.push([a[1], b[1]])
  }
  console.log(`${work.name}s: time ${costOf(wall)}; processor time of driver and Redis ${costOf(cpu)}`)
}

try {
  const runs = `${ROUNDS} rounds of runs of ${SUPERSTEPS * WIDTH} branches in ${SUPERSTEPS} supersteps`
  console.log(`${runs}; load average ${loadavg()[0]?.toFixed(1)}; what checkpoints add:`)
  await compare(ofNumbers)
  await compare(ofObjects)
} finally {
  redis.disconnect()
  await graflow.close()
  await cluster.stop()
}
