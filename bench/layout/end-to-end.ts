/** Producer and workers of every layout stand ready; each case is asked of one layout after the other, in turn. */
import { loadavg } from 'node:os'
import type { Redis } from 'ioredis'
import { quantile } from '../statistics.js'
import { usageBetween, usageOf } from './info.js'
import { LAYOUT_NAMES, type LayoutName } from './layout.js'
import { Child, type RunsReport, type RunsRequest, type WorkerReport, type WorkerRequest } from './processes.js'
import type { Case, Sample } from './results.js'

type Producer = Child<RunsRequest, RunsReport>
type Worker = Child<WorkerRequest, WorkerReport | undefined>

interface Crew {
  readonly layout: LayoutName
  readonly producer: Producer
  readonly workers: readonly Worker[]
}

export async function measureEndToEnd(
  redis: Redis,
  socket: string,
  cases: readonly Case[],
  rounds: number,
  tell: (line: string) => void,
): Promise<readonly Sample[]> {
  const children: { stop(): void }[] = []
  const samples: Sample[] = []
  if (cases.length === 0) return samples
  try {
    const starts = await Promise.allSettled(LAYOUT_NAMES.map((layout) => startCrew(layout, socket, children)))
    const crews = starts.map((start): Crew => {
      if (start.status === 'rejected') throw start.reason
      return start.value
    })
    const [warm] = cases
    if (warm !== undefined)
      for (const crew of crews) await measureOne(redis, crew, { ...warm, workers: 2, batch: 64, count: 10_000 })
    for (let round = 0; round < rounds; round++) {
      tell(`round ${round + 1} of ${rounds}, ${cases[0]?.persistence ?? ''}`)
      for (const [i, one] of cases.entries()) {
        for (let turn = 0; turn < crews.length; turn++) {
          const crew = crews[(turn + round + i) % crews.length] as Crew // the remainder is below the length
          samples.push({ ...(await measureOne(redis, crew, one)), round })
        }
      }
    }
  } finally {
    for (const child of children) child.stop()
  }
  return samples
}

/** Puts every process that it starts into `children`, also when a later one fails. */
async function startCrew(layout: LayoutName, socket: string, children: { stop(): void }[]): Promise<Crew> {
  const producer: Producer = await Child.start('producer.ts', layout, socket, 'producer')
  children.push(producer)
  const workers: Worker[] = []
  for (const session of ['worker-1', 'worker-2']) {
    const worker: Worker = await Child.start('worker.ts', layout, socket, session)
    children.push(worker)
    workers.push(worker)
  }
  return { layout, producer, workers }
}

async function measureOne(
  redis: Redis,
  { layout, producer, workers }: Crew,
  one: Case,
): Promise<Omit<Sample, 'round'>> {
  await redis.flushall()
  const active = workers.slice(0, one.workers)
  await Promise.all(active.map((worker) => worker.ask({ kind: 'work', batch: one.batch })))
  const before = await usageOf(redis)
  const { runs, totalMs, timesUs } = await producer.ask(one)
  const used = usageBetween(before, await usageOf(redis))
  const reports = await Promise.all(active.map((worker) => worker.ask({ kind: 'rest', batch: 0 })))
  const branches = runs * one.count
  const worked = reports.reduce((sum, report) => sum + (report?.branches ?? 0), 0)
  if (worked !== branches) throw new Error(`${layout}: ${branches} branches were dispatched, ${worked} were started`)
  return {
    ...one,
    layout,
    runs,
    branchesPerSecond: branches / (totalMs / 1_000),
    cpuUs: used.cpuUs / branches,
    scripts: used.scripts / branches,
    commands: used.commands / branches,
    p50Us: quantile(timesUs, 0.5),
    p99Us: quantile(timesUs, 0.99),
    load: loadavg()[0] ?? Number.NaN,
  }
}
