/** What a benchmark found: the raw numbers, as they are written to a file, and questions to them. */
import type { Machine } from './machine.js'
import type { Memory, Timing } from './measure.js'
import { spreadOf, type Spread } from './statistics.js'
import type { SystemName } from './systems.js'
import type { WorkloadName } from './workload.js'

/** One system, one size, one round. */
export interface Sample {
  readonly round: number
  readonly system: SystemName
  readonly workload: WorkloadName
  readonly count: number
  readonly timing: Timing
}

export interface MemorySample {
  readonly system: SystemName
  readonly workload: WorkloadName
  readonly count: number
  readonly memory: Memory
}

/** A size that was left out, and why. */
export interface Skip {
  readonly system: SystemName
  readonly workload: WorkloadName
  readonly count: number
  readonly because: string
}

export interface Settings {
  readonly systems: readonly SystemName[]
  readonly workloads: readonly WorkloadName[]
  /** Branches a run. */
  readonly counts: readonly number[]
  readonly rounds: number
  readonly heatMs: number
  readonly warmMs: number
  readonly timedMs: number
  /** A size is left out when one run of it would take longer, by what the size before took. */
  readonly longestRunMs: number
  /** Branches of the run whose memory is measured. */
  readonly memoryCount: number
  /** Times and memory in the same processes: fewer to start, and numbers that say nothing. */
  readonly isSmoke: boolean
}

export interface Results {
  readonly date: string
  readonly machine: Machine
  readonly settings: Settings
  readonly samples: readonly Sample[]
  readonly memory: readonly MemorySample[]
  readonly skipped: readonly Skip[]
}

/** By round: the timings of one system at one size. */
function timings(
  { samples }: Results,
  system: SystemName,
  workload: WorkloadName,
  count: number,
): ReadonlyMap<number, Timing> {
  return new Map(
    samples
      .filter((sample) => sample.system === system && sample.workload === workload && sample.count === count)
      .map(({ round, timing }) => [round, timing]),
  )
}

/** Something of each round's timing; undefined when the size was left out. */
export function spread(
  results: Results,
  system: SystemName,
  workload: WorkloadName,
  count: number,
  of: (timing: Timing) => number,
): Spread | undefined {
  const values = [...timings(results, system, workload, count).values()].map(of)
  return values.length === 0 ? undefined : spreadOf(values)
}

/** Microseconds of processor time a branch. */
export const branchCpuUs = (
  results: Results,
  system: SystemName,
  workload: WorkloadName,
  count: number,
): Spread | undefined => spread(results, system, workload, count, ({ cpuUs }) => cpuUs / count)

/** Branches a second, by the clock on the wall. */
export const branchRate = (
  results: Results,
  system: SystemName,
  workload: WorkloadName,
  count: number,
): Spread | undefined => spread(results, system, workload, count, ({ meanUs }) => (count * 1e6) / meanUs)

/** How many times as much processor time as the other one a system took, compared within each round. */
export function ratio(
  results: Results,
  system: SystemName,
  other: SystemName,
  workload: WorkloadName,
  count: number,
): Spread | undefined {
  const others = timings(results, other, workload, count)
  const ratios = [...timings(results, system, workload, count)].flatMap(([round, { cpuUs }]) => {
    const { cpuUs: otherUs } = others.get(round) ?? {}
    return otherUs === undefined ? [] : [cpuUs / otherUs]
  })
  return ratios.length === 0 ? undefined : spreadOf(ratios)
}
