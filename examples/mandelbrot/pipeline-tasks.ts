/** What the workers of `pipelines.ts` know: drawing a tile, and counting what of it is inside the set. */
import { task } from 'graflow'
import { CHANNELS } from './picture.js'
import type { DrawnTile } from './png.js'

export { tile } from './tasks.js'

/** How many pixels of a tile are black, which those inside the set are. */
export const inside = task('inside', ({ pixels }: DrawnTile): number => {
  let count = 0
  for (let at = 0; at < pixels.length; at += CHANNELS) {
    if (pixels[at] === 0 && pixels[at + 1] === 0 && pixels[at + 2] === 0) count += 1
  }
  return count
})
