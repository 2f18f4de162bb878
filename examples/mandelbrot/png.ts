/** The file of a picture: a PNG whose bytes depend on the pixels alone. */
import { encode } from 'fast-png'
import { CHANNELS, place, type Tile } from './picture.js'

/** A tile with its pixels, as `draw` gives them. */
export interface DrawnTile {
  readonly tile: Tile
  readonly pixels: Uint8Array
}

/** Puts all tiles of one picture together, in whatever order they are. */
export function pngOf(tiles: readonly DrawnTile[]): Uint8Array {
  const size = tiles[0]?.tile.picture.size ?? 0
  const data = new Uint8Array(size * size * CHANNELS)
  for (const { tile, pixels } of tiles) place(pixels, tile, data)
  return encode({ width: size, height: size, data, channels: CHANNELS, depth: 8 })
}
