/** Draws a part of the Mandelbrot set in tiles, on worker processes if there is a Redis. Options: `npm run mandelbrot -- --help`. */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openEngine } from '../support/engine.js'
import { readFlags, type Flags } from '../support/flags.js'
import { runProgram } from '../support/program.js'
import { openBar, showProgress } from '../support/progress.js'
import { draw, tilesOf, type Picture } from './picture.js'
import { pngOf, type DrawnTile } from './png.js'
import { mandelbrot, steps } from './tasks.js'

const HELP = `Draws a part of the Mandelbrot set in tiles, then again in one process, and compares.

  npm run mandelbrot -- [--workers N] [--size 1000] [--tile 50] [--steps 2000] [--out FILE] [--json]

  --workers N  so many worker processes and a private Redis, which needs redis-server on PATH;
               0: all in this process. By default what the machine has
  --size N     pixels a side
  --tile N     pixels a side of a tile
  --steps N    after so many steps a point counts as inside
  --out FILE   where the PNG goes; mandelbrot.png in this folder when there is none
  --json       what was done as JSON, on standard output
  --help       this

Exit codes: 0 done, 1 it failed or the pictures differ, 2 the command is wrong, 130 interrupted.
`
const FLAGS = {
  workers: 'number',
  size: 'number',
  tile: 'number',
  steps: 'number',
  out: 'text',
  json: 'switch',
  help: 'switch',
} as const
const LARGEST = 8_000
/** The pixels of a larger tile would exceed the size of a result. */
const LARGEST_TILE = 500
const TITLES = { '': 'planning', '1': 'drawing tiles' }

async function main(words: readonly string[], signal: AbortSignal): Promise<number> {
  const read = readFlags(words, FLAGS)
  if (read.problem !== undefined) return refuse(read.problem)
  const { flags } = read
  if (flags.help) {
    process.stdout.write(HELP)
    return 0
  }
  const problem = problemOf(flags, read.others)
  if (problem !== undefined) return refuse(problem)
  const picture = { size: flags.size ?? 1_000, tileSize: flags.tile ?? 50, maxSteps: flags.steps ?? 2_000 }
  const file = resolve(flags.out ?? 'mandelbrot.png')

  await using engine = await openEngine({
    workers: flags.workers,
    tasks: join(import.meta.dirname, 'tasks.ts'),
    maxConcurrentTasks: 1, // a tile only computes: two at once in one process would share its one thread
    signal,
  })
  process.stderr.write(`${engine.description}\n`)
  let startedAt = performance.now()
  const run = await engine.graflow.start(mandelbrot, { picture, file }, { signal })
  const [, ended] = await Promise.allSettled([showProgress(run, TITLES, process.stderr), run.result()])
  if (ended.status === 'rejected') throw ended.reason
  const durationMs = performance.now() - startedAt

  process.stderr.write('one process, the same code\n')
  startedAt = performance.now()
  const png = await drawAlone(picture, signal)
  const aloneMs = performance.now() - startedAt
  if (!(await readFile(file)).equals(png)) throw new Error(`${file} is not what one process draws`)

  const tiles = tilesOf(picture).length
  const speedUp = aloneMs / durationMs
  process.stdout.write(
    flags.json
      ? `${JSON.stringify({ ...picture, tiles, ...ended.value, engine: engine.kind, workers: engine.workers, durationMs, aloneMs, speedUp }, null, 2)}\n`
      : `\n${String(steps)}\n` +
          `${picture.size} × ${picture.size} pixels in ${tiles} ${tiles === 1 ? 'tile' : 'tiles'}: ${ended.value.file}\n` +
          `${seconds(durationMs)}  ${engine.description}\n` +
          `${seconds(aloneMs)}  one process, the same code, the same ${ended.value.bytes} bytes\n` +
          `${speedUp.toFixed(2)} times as fast\n${engine.hint}`,
  )
  return 0
}

function refuse(problem: string): number {
  process.stderr.write(`mandelbrot: ${problem}\n\n${HELP}`)
  return 2
}

function problemOf({ size, tile, steps }: Flags<typeof FLAGS>, others: readonly string[]): string | undefined {
  if (others.length > 0) return `there is nothing to do with ${others.join(' ')}`
  const isWithin = (value: number | undefined, most: number): boolean =>
    value === undefined || (value >= 1 && value <= most)
  if (!isWithin(size, LARGEST)) return `--size is 1 to ${LARGEST}, got ${String(size)}`
  if (!isWithin(tile, LARGEST_TILE)) return `--tile is 1 to ${LARGEST_TILE}, got ${String(tile)}`
  if (!isWithin(steps, 1_000_000)) return `--steps is 1 to 1000000, got ${String(steps)}`
  return undefined
}

/** Draws all tiles in this process, one after the other. */
async function drawAlone(picture: Picture, signal: AbortSignal): Promise<Uint8Array> {
  const tiles = tilesOf(picture)
  const bar = openBar('drawing tiles', tiles.length, process.stderr)
  const drawn: DrawnTile[] = []
  try {
    for (const tile of tiles) {
      await nextTurn()
      signal.throwIfAborted()
      drawn.push({ tile, pixels: draw(tile) })
      bar.advance()
    }
  } finally {
    bar.end()
  }
  return pngOf(drawn)
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`

await runProgram('mandelbrot', main)
