/** What is measured of one system in one process: time over many runs, and bytes in a few. Every run's answer is checked. */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { quantile } from './statistics.js'
import type { OpenSystem } from './system.js'
import type { Workload } from './workload.js'

/** Microseconds of whole runs, back to back. */
export interface Timing {
  readonly runs: number
  /** All of the time over all of the runs: collecting garbage and tidying up are in it, wherever they fell. */
  readonly meanUs: number
  /** The same of processor time, of all threads: what a run costs whatever else the machine does. */
  readonly cpuUs: number
  readonly minUs: number
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
}

/** Bytes of one run, on the JavaScript heap and outside of it, without the items themselves. */
export interface Memory {
  /** All that was allocated until the run ended. */
  readonly allocated: number
  /** False: garbage was collected meanwhile, and `allocated` lacks what it freed. */
  readonly isAllocatedWhole: boolean
  /** Alive while the last item's branch runs. */
  readonly running: number
  /** Alive while the final step runs: the results, and what the system keeps beside them. */
  readonly joined: number
  /** Alive once the answer is there. */
  readonly after: number
}

export interface TimeRequest {
  readonly count: number
  /** Spent on small runs before a process measures a workload for the first time: compilers take their time. */
  readonly heatMs: number
  /** Spent on runs of this size before any is measured. */
  readonly warmMs: number
  readonly timedMs: number
}

/** Sizes of small runs, in which the parts of a system that are there once a run matter as much as those for each branch. */
const HEAT_COUNTS = [1, 100]

/** Heats the system's code up. */
export async function heat<T>(open: OpenSystem, workload: Workload<T>, heatMs: number): Promise<void> {
  const system = await open(workload)
  for (const count of HEAT_COUNTS) {
    const items = workload.itemsOf(count)
    const until = performance.now() + heatMs / HEAT_COUNTS.length
    do check(workload, count, await system.run(items))
    while (performance.now() < until)
  }
  await system.close()
}

/** Runs until it is warm, then for the time asked, twice at least. */
export async function measureTime<T>(
  open: OpenSystem,
  workload: Workload<T>,
  { count, warmMs, timedMs }: TimeRequest,
): Promise<Timing> {
  const system = await open(workload)
  const items = workload.itemsOf(count)
  const runOnce = async (): Promise<void> => check(workload, count, await system.run(items))
  const warmUntil = performance.now() + warmMs
  do await runOnce()
  while (performance.now() < warmUntil)

  const timesUs: number[] = []
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  let at = startedAt
  do {
    await runOnce()
    const now = performance.now()
    timesUs.push((now - at) * 1_000)
    at = now
  } while (at - startedAt < timedMs || timesUs.length < 2)
  const { user, system: kernel } = process.cpuUsage(cpuBefore)
  await system.close()
  return {
    runs: timesUs.length,
    meanUs: ((at - startedAt) * 1_000) / timesUs.length,
    cpuUs: (user + kernel) / timesUs.length,
    minUs: quantile(timesUs, 0),
    p50Us: quantile(timesUs, 0.5),
    p99Us: quantile(timesUs, 0.99),
    maxUs: quantile(timesUs, 1),
  }
}

const WARM_RUNS = 5

/**
 * Needs --expose-gc, and a young generation so large that nothing is collected in one run. The bytes alive are what is left after a
 * collection in the middle of a run, the bytes allocated what a run without any adds.
 */
export async function measureMemory<T>(open: OpenSystem, workload: Workload<T>, count: number): Promise<Memory> {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('expected to run with --expose-gc')
  const usedBytes = (): number => {
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const aliveBytes = (): number => {
    gc()
    gc()
    return usedBytes()
  }
  let probe: 'nothing' | 'last branch' | 'final step' = 'nothing'
  let seen = 0
  let started = 0
  const system = await open<T>({
    ...workload,
    step: (item) => {
      started += 1
      if (probe === 'last branch' && started === count) seen = aliveBytes()
      return workload.step(item)
    },
    total: (results) => {
      if (probe === 'final step') seen = aliveBytes()
      return workload.total(results)
    },
  })
  const items = workload.itemsOf(count)
  const runOnce = async (): Promise<void> => {
    started = 0
    check(workload, count, await system.run(items))
  }
  for (let i = 0; i < WARM_RUNS; i += 1) await runOnce()

  await nextTurn()
  const before = aliveBytes()
  probe = 'last branch'
  await runOnce()
  const running = seen - before

  await nextTurn()
  const beforeJoin = aliveBytes()
  probe = 'final step'
  await runOnce()
  const joined = seen - beforeJoin

  probe = 'nothing'
  await nextTurn()
  const collections = new PerformanceObserver(() => undefined)
  const beforeRun = aliveBytes()
  collections.observe({ entryTypes: ['gc'] })
  await runOnce()
  const allocated = usedBytes() - beforeRun
  await nextTurn()
  const isAllocatedWhole = collections.takeRecords().length === 0
  collections.disconnect()
  const after = aliveBytes() - beforeRun
  await system.close()
  return { allocated, isAllocatedWhole, running, joined, after }
}

function check<T>(workload: Workload<T>, count: number, answer: number): void {
  const expected = workload.expected(count)
  if (answer !== expected) throw new Error(`expected ${expected} for ${count} of ${workload.name}, got ${answer}`)
}
