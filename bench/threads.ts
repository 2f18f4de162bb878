/**
 * What threads cost: the Mandelbrot picture on one worker with N threads, held against N worker processes, in turns, so that whatever else the
 * machine does hits both. `npm run bench:threads`; the result stands in docs/benchmarks.md.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type Graflow } from 'graflow'
import { steps, stepsInThreads } from '../examples/mandelbrot/tasks.js'
import { findServer, LocalCluster } from '../examples/support/local-cluster.js'
import { median } from './statistics.js'

const tasks = join(import.meta.dirname, '../examples/mandelbrot/tasks.ts')
const processors = Math.max(2, availableParallelism())
const ROUNDS = Number(process.argv[2] ?? 5)
const picture = { size: Number(process.argv[3] ?? 800), tileSize: 50, maxSteps: 2_000 }

interface Side {
  readonly name: string
  readonly cluster: LocalCluster
  readonly graflow: Graflow
  readonly steps: typeof steps
}

const folder = mkdtempSync(join(tmpdir(), 'graflow-threads-'))
const signal = new AbortController().signal
const server = findServer()
if (server === undefined) throw new Error('expected redis-server on PATH')

async function open(
  name: string,
  workers: number,
  maxConcurrentTasks: number,
  flowOfSide: typeof steps,
): Promise<Side> {
  if (server === undefined) throw new Error('expected a server')
  const cluster = await LocalCluster.start({ server, tasks, workers, maxConcurrentTasks, signal })
  const graflow = await connect(cluster.url, { keyPrefix: cluster.keyPrefix, logLevel: 'warn' })
  return { name, cluster, graflow, steps: flowOfSide }
}

async function drawnIn({ name, graflow, steps: side }: Side): Promise<number> {
  const begun = performance.now()
  const { bytes } = await graflow.run(side, { picture, file: join(folder, `${name}.png`) })
  if (bytes === 0) throw new Error('expected a picture')
  return performance.now() - begun
}

// One more branch than threads: the next one is in hand when a thread comes free.
const threads = await open('threads', 1, processors + 1, stepsInThreads)
const processes = await open('processes', processors, 1, steps)
try {
  console.log(
    `${picture.size} × ${picture.size} pixels on ${processors} processors, ${ROUNDS} rounds; load average ${loadavg()[0]?.toFixed(1)}`,
  )
  for (const side of [threads, processes]) await drawnIn(side) // threads start, code is compiled
  const ratios: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const order = round % 2 === 0 ? [threads, processes] : [processes, threads]
    const times = new Map<Side, number>()
    for (const side of order) times.set(side, await drawnIn(side))
    const [a = 0, b = 1] = [times.get(threads), times.get(processes)]
    ratios.push(a / b)
    console.log(`1 worker with ${processors} threads ${a.toFixed(0)} ms, ${processors} workers ${b.toFixed(0)} ms`)
  }
  console.log(`ratio ${median(ratios).toFixed(2)} (median; aim: at most 1.15)`)
} finally {
  for (const { graflow, cluster } of [threads, processes]) {
    await graflow.close()
    await cluster.stop()
  }
  rmSync(folder, { recursive: true, force: true })
}
