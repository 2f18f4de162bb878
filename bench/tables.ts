/** The results as markdown: what docs/benchmarks.md shows. A number with two others is a median of the rounds, and what it lies between. */
import { countText, NOTHING, shown, table } from './markdown.js'
import { branchCpuUs, branchRate, ratio, spread, type MemorySample, type Results } from './results.js'
import type { SystemName } from './systems.js'
import type { WorkloadName } from './workload.js'

const WORKLOAD_TITLES: Readonly<Record<WorkloadName, string>> = {
  number: 'a number',
  object: 'an object of 100 bytes',
}

const FLOOR = 'promise-all'
const OURS = 'graflow-embedded'

/** All tables. */
export function tables(results: Results): string {
  const { workloads } = results.settings
  return [
    ...workloads.flatMap((workload) => [timeTable(results, workload), rateTable(results, workload)]),
    latencyTable(results),
    ...workloads.map((workload) => memoryTable(results, workload)),
  ]
    .filter((text) => text !== '')
    .join('\n\n')
}

function timeTable(results: Results, workload: WorkloadName): string {
  const { systems, counts } = results.settings
  const others = systems.filter((system) => system !== OURS)
  const rows = counts.map((count) => [
    countText(count),
    ...systems.map((system) => shown(branchCpuUs(results, system, workload, count))),
    ...others.map((other) => shown(ratio(results, ...inOrder(other), workload, count), ' ×')),
  ])
  const head = [
    'branches',
    ...systems.map((system) => `${system}, µs`),
    ...others.map((other) => inOrder(other).map(shortName).join(' ÷ ')),
  ]
  return `**Microseconds of processor time a branch, each ${WORKLOAD_TITLES[workload]}**\n\n${table(head, rows)}`
}

/** Ours against the floor, the peers against ours. */
const inOrder = (other: SystemName): readonly [SystemName, SystemName] =>
  other === FLOOR ? [OURS, other] : [other, OURS]

const shortName = (system: SystemName): string => (system === OURS ? 'ours' : system)

function rateTable(results: Results, workload: WorkloadName): string {
  const { systems, counts } = results.settings
  const rate = (system: SystemName, count: number): string => {
    const best = branchRate(results, system, workload, count)?.max
    return best === undefined ? NOTHING : Math.round(best).toLocaleString('en')
  }
  const rows = counts.map((count) => [countText(count), ...systems.map((system) => rate(system, count))])
  return `**Branches a second in the best round, each ${WORKLOAD_TITLES[workload]}**\n\n${table(['branches', ...systems], rows)}`
}

/** A run of one branch, start to answer, by the clock on the wall. */
function latencyTable(results: Results): string {
  const { systems, counts, workloads } = results.settings
  const [workload] = workloads
  if (!counts.includes(1) || workload === undefined) return ''
  const rows = systems.map((system) => [
    system,
    shown(spread(results, system, workload, 1, ({ p50Us }) => p50Us)),
    shown(spread(results, system, workload, 1, ({ p99Us }) => p99Us)),
    shown(spread(results, system, workload, 1, ({ cpuUs }) => cpuUs)),
  ])
  return `**Latency of a run of one branch, in microseconds**\n\n${table(['system', 'p50', 'p99', 'processor time'], rows)}`
}

function memoryTable({ memory }: Results, workload: WorkloadName): string {
  const samples = memory.filter((sample) => sample.workload === workload)
  if (samples.length === 0) return ''
  const cell = ({ count }: MemorySample, bytes: number): string => Math.round(bytes / count).toLocaleString('en')
  const rows = samples.map((sample) => [
    sample.system,
    countText(sample.count),
    `${sample.memory.isAllocatedWhole ? '' : 'over '}${cell(sample, sample.memory.allocated)}`,
    cell(sample, sample.memory.running),
    cell(sample, sample.memory.joined),
    cell(sample, sample.memory.after),
  ])
  const head = [
    'system',
    'branches',
    'allocated in all',
    'alive as the last branch runs',
    'alive at the join',
    'alive after',
  ]
  return `**Bytes a branch, each ${WORKLOAD_TITLES[workload]}**\n\n${table(head, rows)}`
}
