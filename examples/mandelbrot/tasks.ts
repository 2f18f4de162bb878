/**
 * The picture as a flow, `plan >> tile* >> assemble`: every tile is a branch of its own. A module of tasks alone, which worker processes
 * load: `graflow-worker --tasks examples/mandelbrot/tasks.ts`.
 */
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { flow, task, workflow } from 'graflow'
import { draw, tilesOf, type Picture, type Tile } from './picture.js'
import { pngOf, type DrawnTile } from './png.js'

/** What is wanted. */
export interface Order {
  readonly picture: Picture
  /** Where the PNG goes: an absolute path on the machine that drives the run. */
  readonly file: string
}

/** What was written. */
export interface Written {
  readonly file: string
  readonly bytes: number
  /** Of the file; in hexadecimal. */
  readonly sha256: string
}

export const plan = task('plan', async ({ picture, file }: Order, ctx): Promise<readonly Tile[]> => {
  await ctx.channel<Order>().set('file', file)
  return tilesOf(picture)
})

export const tile = task('tile', async (tile: Tile): Promise<DrawnTile> => {
  // A tile keeps its process busy: let timers, signals and the network have their turn before it.
  await nextTurn()
  return { tile, pixels: draw(tile) }
})

/** Writes the file. What is this large is no result to be handed on; its place is. */
export const assemble = task('assemble', async (tiles: readonly DrawnTile[], ctx): Promise<Written> => {
  const file = await ctx.channel<Order>().get('file')
  if (file === undefined) throw new Error('expected the file that plan has set')
  const png = pngOf(tiles)
  await writeFile(file, png)
  return { file, bytes: png.length, sha256: createHash('sha256').update(png).digest('hex') }
})

/** Typed from its text: from an Order to what was Written. */
export const steps = flow('plan >> tile* >> assemble', { plan, tile, assemble })

/** `await graflow.run(mandelbrot, { picture: { size: 1000, tileSize: 50, maxSteps: 2000 }, file: '/tmp/picture.png' })` */
export const mandelbrot = workflow('mandelbrot', steps)
