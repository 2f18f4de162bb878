/**
 * Compares this library with its peers over Redis: fan out n branches that do next to nothing, join, go on; one adapter a system
 * (adapters/), producers and workers as processes of their own, a private redis-server for each. docs/benchmarks.md tells the method and
 * shows the tables.
 *
 *   npm run bench:peers -- [--smoke] [--only NAME,…] [--rounds N] [--sizes 1,10,…] [--workers 1,2] [--rows sizes,values,…] [--json FILE]
 *                          [--delay MS] [--markdown] [--profile FOLDER]
 */
import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { redisVersion } from '../../test/support/redis-server.js'
import { machine } from '../machine.js'
import { countText, short } from '../markdown.js'
import { median } from '../statistics.js'
import {
  type KillSample,
  p50Of,
  rateOf,
  type Results,
  type RowSample,
  type Sample,
  type Settings,
  type Skip,
} from './results.js'
import { type Row, ROW_KINDS, rowsOf } from './rows.js'
import { Stage } from './stage.js'
import { PEER_NAMES, type PeerName } from './systems.js'
import { page } from './tables.js'

const FULL: Settings = {
  kinds: ROW_KINDS,
  rowSize: 1,
  systems: PEER_NAMES,
  workers: [1, 2],
  counts: [1, 10, 100, 1_000, 10_000, 100_000],
  rounds: 5,
  heatMs: 3_000,
  warmMs: 300,
  timedMs: 500,
  singlesMs: 400,
  mostSingles: 20,
  longestRunMs: 10_000,
  killingMs: 30_000,
  killEveryMs: 2_000,
  delayMs: 1,
}

/** Enough to see that everything works; no number of it says anything. */
const SMOKE: Settings = {
  ...FULL,
  kinds: ['sizes', 'values', 'failing'],
  rowSize: 0.02,
  workers: [2],
  counts: [1, 100],
  rounds: 1,
  heatMs: 1,
  warmMs: 1,
  timedMs: 20,
  singlesMs: 20,
  mostSingles: 2,
  longestRunMs: 2_000,
  killingMs: 700,
  killEveryMs: 500,
}

const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    sizes: { type: 'string' },
    workers: { type: 'string' },
    rows: { type: 'string' },
    json: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    profile: { type: 'string' },
    delay: { type: 'string' },
  },
})

const results = await compare(settingsOf(), (line) => process.stderr.write(`${line}\n`))
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 1)}\n`)
console.log(values.markdown ? page(results) : summary(results))

function settingsOf(): Settings {
  const base = values.smoke ? SMOKE : FULL
  const numbers = (option: string, text: string | undefined): readonly number[] | undefined =>
    text?.split(',').map((word) => wholeNumber(option, word))
  return {
    ...base,
    counts: [...(numbers('--sizes', values.sizes) ?? base.counts)].sort((a, b) => a - b),
    workers: numbers('--workers', values.workers) ?? base.workers,
    rounds: values.rounds === undefined ? base.rounds : wholeNumber('--rounds', values.rounds),
    systems: values.only?.split(',').map((name) => oneOf('--only', PEER_NAMES, name)) ?? base.systems,
    delayMs: values.delay === undefined ? base.delayMs : wholeNumber('--delay', values.delay),
    kinds: values.rows?.split(',').map((name) => oneOf('--rows', ROW_KINDS, name)) ?? base.kinds,
  }
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new Error(`${option} takes whole numbers from 1, got "${text}"`)
  return number
}

function oneOf<T extends string>(option: string, all: readonly T[], name: string): T {
  const found = all.find((known) => known === name)
  if (found === undefined) throw new Error(`${option} takes ${all.join(', ')}, got "${name}"`)
  return found
}

/** Every round has new processes, all alive at once, and asks each system for each size in turn: what disturbs the machine disturbs all. */
async function compare(settings: Settings, tell: (line: string) => void): Promise<Results> {
  const samples: Sample[] = []
  const rows: RowSample[] = []
  const kills: KillSample[] = []
  let roundTripMs: number | undefined
  const skipped: Skip[] = []
  const before = loadavg()[0] ?? 0
  for (let round = 0; round < settings.rounds; round += 1) {
    for (const workers of settings.kinds.includes('sizes') ? settings.workers : []) {
      tell(`round ${round + 1} of ${settings.rounds}, workers: ${workers}`)
      await withStages(settings.systems, workers, undefined, async (stages) => {
        for (const stage of stages) await stage.heat(settings.heatMs)
        for (const [i, count] of settings.counts.entries()) {
          for (const stage of rotated(stages, round + i)) {
            if (isSkipped(stage.system, workers, count)) continue
            const sample = { round, system: stage.system, workers, count, ...(await stage.measure(count, settings)) }
            samples.push(sample)
            tell(
              `  ${stage.system}, ${countText(count)}: ${short(rateOf(sample))} branches/s, p50 ${short(p50Of(sample))} ms`,
            )
          }
        }
      })
    }
    await measureRows(round)
    if (settings.kinds.includes('kills')) await measureKills(round)
  }
  const load = [before, loadavg()[0] ?? 0] as const
  const about = { date: new Date().toISOString(), machine: machine(), redis: redisVersion(), load, settings }
  return { ...about, samples, rows, kills, roundTripMs, skipped }

  /** Rows with the same processes after each other, each on every system in turn. */
  async function measureRows(round: number): Promise<void> {
    const all = rowsOf(settings.kinds, settings.rowSize)
    for (const like of distinctBy(all, ({ workers, isFar }) => `${workers} ${isFar}`)) {
      const { workers, isFar } = like
      const group = all.filter((row) => row.workers === workers && row.isFar === isFar)
      const systems = settings.systems.filter((system) => group.some((row) => row.systems.includes(system)))
      tell(`round ${round + 1} of ${settings.rounds}, workers: ${workers}${isFar ? ', over a delay' : ''}`)
      await withStages(systems, workers, isFar ? settings.delayMs : undefined, async (stages) => {
        for (const stage of stages) await stage.heat(settings.heatMs)
        if (isFar) roundTripMs = await stages[0]?.roundTripMs()
        for (const [i, row] of group.entries()) await measureRow(round, row, rotated(stages, round + i))
      })
    }
  }

  async function measureRow(
    round: number,
    { name, load, isFar, systems }: Row,
    stages: readonly Stage[],
  ): Promise<void> {
    for (const stage of stages.filter(({ system }) => systems.includes(system))) {
      const timesMs = await stage.measureLoad(load, settings)
      rows.push({ round, row: name, isFar, system: stage.system, timesMs })
      tell(`  ${stage.system}, ${name}: p50 ${short(median(timesMs))} ms`)
    }
  }

  async function measureKills(round: number): Promise<void> {
    tell(`round ${round + 1} of ${settings.rounds}, a worker killed every ${settings.killEveryMs} ms`)
    await withStages(['graflow'], 2, undefined, async ([stage]) => {
      if (stage === undefined) return
      await stage.heat(settings.heatMs)
      kills.push({ round, ...(await stage.measureKills(settings)) })
    })
  }

  function isSkipped(system: PeerName, workers: number, count: number): boolean {
    const isSame = (other: Skip | Sample): boolean => other.system === system && other.workers === workers
    if (skipped.some((other) => isSame(other) && other.count === count)) return true
    if (skipped.some((other) => isSame(other) && other.count < count)) {
      skipped.push({ system, workers, count, because: 'a smaller size was left out' })
      return true
    }
    const smaller = samples.filter((sample) => isSame(sample) && sample.count < count).at(-1)
    const expectedMs = smaller === undefined ? 0 : p50Of(smaller) * (count / smaller.count)
    if (expectedMs <= settings.longestRunMs) return false
    skipped.push({ system, workers, count, because: `a run would take about ${Math.round(expectedMs / 1_000)} s` })
    return true
  }
}

async function withStages(
  systems: readonly PeerName[],
  workers: number,
  delayMs: number | undefined,
  use: (stages: readonly Stage[]) => Promise<void>,
): Promise<void> {
  const stages: Stage[] = []
  try {
    for (const system of systems) stages.push(await Stage.open(system, workers, values.profile, delayMs))
    await use(stages)
  } finally {
    await Promise.all(stages.map((stage) => stage.close()))
  }
}

function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const at = by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}

function distinctBy<T>(list: readonly T[], keyOf: (item: T) => string): readonly T[] {
  return [...new Map(list.map((item) => [keyOf(item), item])).values()]
}

function summary({ samples, rows, kills, skipped }: Results): string {
  const all = [...samples, ...rows]
  return (
    `${all.length + kills.length} measurements of ${new Set(all.map(({ system }) => system)).size} systems, every answer as expected` +
    (skipped.length === 0 ? '' : `; ${skipped.length} sizes left out`)
  )
}
