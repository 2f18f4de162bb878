/**
 * Compares this library with its peers: the same fan-out, join and use of the results in each (workload.ts), one adapter a system
 * (adapters/). docs/benchmarks.md tells the method and shows the tables.
 *
 *   npm run bench -- [--smoke] [--json FILE] [--markdown] [--rounds N] [--sizes 1,10,…] [--systems NAME,…]
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Child, type Purpose } from './children.js'
import { machine, machineLine } from './machine.js'
import { branchCpuUs, type MemorySample, type Results, type Sample, type Settings, type Skip } from './results.js'
import { SYSTEM_NAMES, type SystemName } from './systems.js'
import { tables } from './tables.js'
import { WORKLOAD_NAMES, type WorkloadName } from './workload.js'

const FULL: Settings = {
  systems: SYSTEM_NAMES,
  workloads: WORKLOAD_NAMES,
  counts: [1, 10, 100, 1_000, 10_000, 100_000],
  rounds: 7,
  heatMs: 3_000,
  warmMs: 200,
  timedMs: 400,
  longestRunMs: 5_000,
  memoryCount: 10_000,
  isSmoke: false,
}

/** Enough to see that everything works; no number of it says anything. */
const SMOKE: Settings = {
  ...FULL,
  counts: [1, 10, 100, 1_000],
  rounds: 1,
  heatMs: 1,
  warmMs: 1,
  timedMs: 10,
  longestRunMs: 100,
  memoryCount: 20,
  isSmoke: true,
}

const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    json: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    sizes: { type: 'string' },
    systems: { type: 'string' },
  },
})

const results = await compare(settingsOf(), (line) => process.stderr.write(`${line}\n`))
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 1)}\n`)
console.log(values.markdown ? `${machineLine(results)}\n\n${tables(results)}` : summary(results))

function settingsOf(): Settings {
  const base = values.smoke ? SMOKE : FULL
  const counts = values.sizes?.split(',').map((size) => wholeNumber('--sizes', size)) ?? base.counts
  return {
    ...base,
    counts: [...counts].sort((a, b) => a - b),
    rounds: values.rounds === undefined ? base.rounds : wholeNumber('--rounds', values.rounds),
    systems: values.systems?.split(',').map(systemNamed) ?? base.systems,
  }
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new Error(`${option} takes whole numbers from 1, got "${text}"`)
  return number
}

function systemNamed(name: string): SystemName {
  const system = SYSTEM_NAMES.find((known) => known === name)
  if (system === undefined) throw new Error(`--systems takes ${SYSTEM_NAMES.join(', ')}, got "${name}"`)
  return system
}

/** Every round has new processes, all alive at once, and asks them for each size in turn: what disturbs the machine disturbs all. */
async function compare(settings: Settings, tell: (line: string) => void): Promise<Results> {
  const samples: Sample[] = []
  const skipped: Skip[] = []
  const memory: MemorySample[] = []
  for (let round = 0; round < settings.rounds; round += 1) {
    tell(`round ${round + 1} of ${settings.rounds}`)
    await withChildren(settings.systems, settings.isSmoke ? 'smoke' : 'time', async (children) => {
      for (const workload of settings.workloads) {
        for (const [i, count] of settings.counts.entries()) {
          for (const child of rotated(children, round + i)) {
            if (isSkipped(child.system, workload, count)) continue
            const timing = await child.time(workload, { count, ...settings })
            samples.push({ round, system: child.system, workload, count, timing })
          }
        }
      }
      if (settings.isSmoke) memory.push(...(await measureMemory(children, settings, samples)))
    })
  }
  if (!settings.isSmoke) {
    tell('memory')
    await withChildren(settings.systems, 'memory', async (children) => {
      memory.push(...(await measureMemory(children, settings, samples)))
    })
  }
  return { date: new Date().toISOString(), machine: machine(), settings, samples, memory, skipped }

  function isSkipped(system: SystemName, workload: WorkloadName, count: number): boolean {
    const isSame = (other: Skip | Sample): boolean => other.system === system && other.workload === workload
    if (skipped.some((other) => isSame(other) && other.count <= count)) {
      if (!skipped.some((other) => isSame(other) && other.count === count))
        skipped.push({ system, workload, count, because: 'a smaller size was left out' })
      return true
    }
    const before = samples.filter((sample) => isSame(sample) && sample.count < count).at(-1)
    const expectedMs = before === undefined ? 0 : (before.timing.meanUs / 1_000) * (count / before.count)
    if (expectedMs <= settings.longestRunMs) return false
    skipped.push({ system, workload, count, because: `a run would take ${Math.round(expectedMs)} ms or more` })
    return true
  }
}

async function measureMemory(
  children: readonly Child[],
  settings: Settings,
  samples: readonly Sample[],
): Promise<MemorySample[]> {
  const memory: MemorySample[] = []
  for (const child of children) {
    for (const workload of settings.workloads) {
      const { system } = child
      const measured = samples.filter((sample) => sample.system === system && sample.workload === workload)
      const count = Math.min(settings.memoryCount, Math.max(...measured.map((sample) => sample.count)))
      memory.push({ system, workload, count, memory: await child.memory(workload, count) })
    }
  }
  return memory
}

async function withChildren(
  systems: readonly SystemName[],
  purpose: Purpose,
  use: (children: readonly Child[]) => Promise<void>,
): Promise<void> {
  const starts = await Promise.allSettled(systems.map((system) => Child.start(system, purpose)))
  const children = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
  try {
    for (const start of starts) if (start.status === 'rejected') throw start.reason
    await use(children)
  } finally {
    for (const child of children) child.stop()
  }
}

function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const at = by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}

function summary(found: Results): string {
  const { systems, workloads, counts } = found.settings
  const lines = workloads.flatMap((workload) =>
    counts.flatMap((count) =>
      systems.map((system) => {
        const us = branchCpuUs(found, system, workload, count)
        const told = us === undefined ? 'left out' : `${us.median.toFixed(2)} µs a branch`
        return `${system}, ${count} of ${workload}: ${told}`
      }),
    ),
  )
  return [...lines, `${found.samples.length} measurements, every answer as expected`].join('\n')
}
