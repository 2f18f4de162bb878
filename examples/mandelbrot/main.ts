/** Draws a part of the Mandelbrot set in tiles, on worker processes if there is a Redis. Options: `npm run mandelbrot -- --help`. */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openEngine } from '../support/engine.js'
import { runProgram } from '../support/program.js'
import { openBar, showProgress } from '../support/progress.js'
import { HELP, readCommand } from './command-line.js'
import { draw, tilesOf, type Picture } from './picture.js'
import { pngOf, type DrawnTile } from './png.js'
import { mandelbrot, mandelbrotInThreads, steps } from './tasks.js'

const TITLES = { '': 'planning', '1': 'drawing tiles' }

async function main(words: readonly string[], signal: AbortSignal): Promise<number> {
  const command = readCommand(words)
  if (command.kind === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  if (command.kind === 'wrong') {
    process.stderr.write(`mandelbrot: ${command.problem}\n\n${HELP}`)
    return 2
  }
  const { picture, threads } = command
  const file = resolve(command.out)

  await using engine = await openEngine({
    workers: command.workers,
    tasks: join(import.meta.dirname, 'tasks.ts'),
    // A tile only computes: two at once would share the one thread of a process. With more threads, the next tile is in hand when one comes free.
    maxConcurrentTasks: threads === undefined ? 1 : threads + 1,
    threads,
    signal,
  })
  process.stderr.write(`${engine.description}\n`)
  let startedAt = performance.now()
  const run = await engine.graflow.start(
    threads === undefined ? mandelbrot : mandelbrotInThreads,
    { picture, file },
    { signal },
  )
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
    command.isJson
      ? `${JSON.stringify({ ...picture, tiles, ...ended.value, engine: engine.kind, workers: engine.workers, threads, durationMs, aloneMs, speedUp }, null, 2)}\n`
      : `\n${String(steps)}\n` +
          `${picture.size} × ${picture.size} pixels in ${tiles} ${tiles === 1 ? 'tile' : 'tiles'}: ${ended.value.file}\n` +
          `${seconds(durationMs)}  ${engine.description}\n` +
          `${seconds(aloneMs)}  one process, the same code, the same ${ended.value.bytes} bytes\n` +
          `${speedUp.toFixed(2)} times as fast\n${engine.hint}`,
  )
  return 0
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
