/**
 * Draws the picture by events: four pipelines, one for each row of sixteen tiles, each placed on a worker of its own. `ComputeTile<row><column>` is routed to
 * the pipeline of its row; what that draws is the event for a fifth pipeline, which counts. Then one process draws the same, and both are compared.
 *
 *   node --import tsx examples/mandelbrot/pipelines.ts [--workers 4] [--size 256] [--steps 2000] [--out FILE] [--json]
 */
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Injection, PipelineGroupSpec } from 'graflow'
import { openEngine } from '../support/engine.js'
import { readFlags } from '../support/flags.js'
import { runProgram } from '../support/program.js'
import { draw, tilesOf } from './picture.js'
import { inside, tile } from './pipeline-tasks.js'
import { pngOf, type DrawnTile } from './png.js'

const SIDE = 4
const FLAGS = { workers: 'number', size: 'number', steps: 'number', out: 'text', json: 'switch' } as const
const rows = Array.from({ length: SIDE }, (_, row) => row)

/** The group as a control plane would take it, too. */
const groupFor = (workers: number): PipelineGroupSpec => ({
  name: 'mandelbrot',
  pipelines: [
    ...rows.map((row) => ({
      name: `row${row}`,
      source: 'tile',
      ...(workers > 0 && { workerAffinity: `worker-${(row % workers) + 1}` }),
    })),
    { name: 'count', source: 'inside' },
  ],
  routes: [
    ...rows.map((row) => ({ from: '_external', to: `row${row}`, eventTypes: [`ComputeTile${row}*`] })),
    ...rows.map((row) => ({ from: `row${row}`, to: 'count', eventTypes: ['*'] })),
  ],
})

async function main(words: readonly string[], signal: AbortSignal): Promise<number> {
  const read = readFlags(words, FLAGS)
  if (read.problem !== undefined) {
    process.stderr.write(`mandelbrot pipelines: ${read.problem}\n`)
    return 2
  }
  const { workers, size = 256, steps: maxSteps = 2_000, out = 'mandelbrot.png', json } = read.flags
  const tasks = join(import.meta.dirname, 'pipeline-tasks.ts')
  const byName = [tile, inside]
  await using engine = await openEngine({ ...{ workers, tasks, byName, signal }, maxConcurrentTasks: 2 })
  process.stderr.write(`${engine.description}\n`)
  const { deployments } = engine.graflow
  const group = await deployments.deploy(groupFor(engine.workers))
  const tiles = tilesOf({ size, tileSize: Math.ceil(size / SIDE), maxSteps })
  const injected = await Promise.all(
    tiles.map((place, i) => {
      const eventType = `ComputeTile${Math.floor(i / SIDE)}${i % SIDE}`
      return deployments.inject(group.id, { eventType, fields: place }, { waitMs: 120_000, signal })
    }),
  )
  signal.throwIfAborted()
  const png = pngOf(injected.map(drawnIn))
  const black = injected.reduce((sum, { deliveries }) => sum + Number(deliveries[1]?.result), 0)
  await deployments.delete(group.id)
  await writeFile(resolve(out), png)

  const alone = tiles.map((place): DrawnTile => ({ tile: place, pixels: draw(place) }))
  if (!Buffer.from(pngOf(alone)).equals(png)) throw new Error('the picture is not what one process draws')
  const workersOf = rows.map((row) => [
    ...new Set(injected.slice(row * SIDE, (row + 1) * SIDE).map((one) => one.workerId)),
  ])
  const report = { size, maxSteps, tiles: tiles.length, file: resolve(out), inside: black, rows: workersOf }
  process.stdout.write(
    json
      ? `${JSON.stringify(report)}\n`
      : `${size} × ${size} pixels in ${tiles.length} tiles: ${report.file}\n` +
          `${black} pixels are inside the set (${String(inside)})\n` +
          workersOf.map((ids, row) => `row ${row}: ${ids.join(', ')}\n`).join(''),
  )
  return 0
}

/** What the pipeline of a row gave. */
function drawnIn({ result, error, routedTo }: Injection): DrawnTile {
  if (error !== undefined) throw error
  if (result === undefined) throw new Error(`${routedTo} was not done in time`)
  return result as DrawnTile // what the task `tile` gives
}

await runProgram('mandelbrot pipelines', main)
