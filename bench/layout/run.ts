/**
 * Decides how branches lie in Redis: the same barrier, worker and producer on each layout, on a real redis-server of its own.
 * docs/redis-layout.md tells what it found.
 *
 *   npx tsx bench/layout/run.ts [--smoke] [--rounds N] [--json FILE] [--only end-to-end|phases|singles]
 */
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { checkLayout } from './checks.js'
import { LAYOUT_NAMES } from './layout.js'
import { connectTo, LAYOUTS, loadScripts } from './layouts.js'
import { measureEndToEnd } from './end-to-end.js'
import { measurePhases } from './phases.js'
import { type Persistence, redisVersion, RedisServer } from '../../test/support/redis-server.js'
import {
  FULL,
  type PhaseSample,
  type Results,
  type Sample,
  type Settings,
  type SinglesSample,
  SMOKE,
} from './results.js'
import { measureSingles } from './singles.js'
import { tables } from './tables.js'

const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    json: { type: 'string' },
    only: { type: 'string' },
  },
})
const base = values.smoke ? SMOKE : FULL
const settings: Settings = {
  ...base,
  rounds: values.rounds === undefined ? base.rounds : Number(values.rounds),
  cases: isWanted('end-to-end') ? base.cases : [],
  phases: isWanted('phases') ? base.phases : [],
  singles: isWanted('singles') ? base.singles : [],
}

const tell = (line: string): void => void process.stderr.write(`${line}\n`)
const results = await measure(settings)
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results)}\n`)
console.log(tables(results))

function isWanted(part: string): boolean {
  return values.only === undefined || values.only === part
}

async function measure(wanted: Settings): Promise<Results> {
  const samples: Sample[] = []
  const phases: PhaseSample[] = []
  const singles: SinglesSample[] = []
  let asked = 0
  for (const persistence of ['none', 'everysec'] satisfies Persistence[]) {
    const cases = wanted.cases.filter((one) => one.persistence === persistence)
    const server = await RedisServer.start({ persistence })
    try {
      const redis = await connectTo(server.socket)
      for (const name of LAYOUT_NAMES) {
        await loadScripts(redis, LAYOUTS[name])
        if (persistence === 'none') asked += await checkLayout(redis, LAYOUTS[name])
      }
      if (persistence === 'none') {
        tell(`${asked} promises kept; phases`)
        for (let round = 0; round < wanted.rounds; round++)
          for (const request of wanted.phases)
            for (const layout of turned(LAYOUT_NAMES, round))
              phases.push({ round, layout, request, report: await measurePhases(redis, LAYOUTS[layout], request) })
        for (let round = 0; round < wanted.rounds; round++)
          for (const request of wanted.singles)
            for (const layout of turned(LAYOUT_NAMES, round))
              singles.push({ round, layout, request, report: await measureSingles(redis, LAYOUTS[layout], request) })
        await redis.flushall()
      }
      samples.push(...(await measureEndToEnd(redis, server.socket, cases, wanted.rounds, tell)))
      redis.disconnect()
    } finally {
      await server.stop()
    }
  }
  return {
    machine: {
      date: new Date().toISOString().slice(0, 10),
      node: process.versions.node,
      redis: redisVersion(),
      processor: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
    },
    load: loadavg()[0] ?? Number.NaN,
    asked,
    settings: wanted,
    samples,
    phases,
    singles,
  }
}

function turned<T>(list: readonly T[], by: number): readonly T[] {
  const at = by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}
