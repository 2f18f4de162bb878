/**
 * The picture as a flow, `plan >> tile* >> assemble`: every tile is a branch. This module contains only tasks, so worker processes can
 * load it: `graflow-worker --tasks examples/mandelbrot/tasks.ts`.
 */
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { declareTask, flow, task, workflow } from 'graflow'
import { draw, tilesOf, type Picture, type Tile } from './picture.js'
import { pngOf, type DrawnTile } from './png.js'

/** The input of the flow. */
export interface Order {
  readonly picture: Picture
  /** Where the PNG goes: an absolute path on the machine that drives the run. */
  readonly file: string
}

/** The result of the flow. */
export interface Written {
  readonly file: string
  readonly bytes: number
  /** Hash of the file, in hexadecimal. */
  readonly sha256: string
}

export const plan = task('plan', async ({ picture, file }: Order, ctx): Promise<readonly Tile[]> => {
  await ctx.channel<Order>().set('file', file)
  return tilesOf(picture)
})

export const tile = task('tile', async (tile: Tile): Promise<DrawnTile> => {
  // A tile blocks the event loop. Let timers, signals and the network run before it.
  await nextTurn()
  return { tile, pixels: draw(tile) }
})

/** Writes the file. The picture is too large for a result, so the result is its path. */
export const assemble = task('assemble', async (tiles: readonly DrawnTile[], ctx): Promise<Written> => {
  const file = await ctx.channel<Order>().get('file')
  if (file === undefined) throw new Error('expected the file that plan has set')
  const png = pngOf(tiles)
  await writeFile(file, png)
  return { file, bytes: png.length, sha256: createHash('sha256').update(png).digest('hex') }
})

/** TypeScript infers the type from the text: it takes an Order and gives a Written. */
export const steps = flow('plan >> tile* >> assemble', { plan, tile, assemble })

/** `await graflow.run(mandelbrot, { picture: { size: 1000, tileSize: 50, maxSteps: 2000 }, file: '/tmp/picture.png' })` */
export const mandelbrot = workflow('mandelbrot', steps)

/** The same, where a tile is drawn in a thread: what a declaration says wins over the task that it declares. */
export const stepsInThreads = flow('plan >> tile* >> assemble', {
  ...{ plan, assemble },
  tile: declareTask<typeof tile>('tile', { isolation: 'thread' }),
})

export const mandelbrotInThreads = workflow('mandelbrot-in-threads', stepsInThreads)
