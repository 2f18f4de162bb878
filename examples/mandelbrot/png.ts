/** Makes the file of a picture: a PNG whose bytes depend only on the pixels. */
import { encode } from 'fast-png'
import { CHANNELS, place, type Tile } from './picture.js'

/** A tile with the pixels that `draw` returned. */
export interface DrawnTile {
  readonly tile: Tile
  readonly pixels: Uint8Array
}

/** Joins all tiles of one picture, in any order. */
export function pngOf(tiles: readonly DrawnTile[]): Uint8Array {
  const size = tiles[0]?.tile.picture.size ?? 0
  const data = new Uint8Array(size * size * CHANNELS)
  for (const { tile, pixels } of tiles) place(pixels, tile, data)
  return encode({ width: size, height: size, data, channels: CHANNELS, depth: 8 })
}
