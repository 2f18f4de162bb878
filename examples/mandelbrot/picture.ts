/**
 * Computes the picture: the part of the plane, and the colour of each pixel. It uses only sums, products and whole numbers. These give the
 * same bits on every machine (IEEE 754), so a pixel has the same bytes on every machine.
 */

/** A square part of the plane, and how finely it is drawn. */
export interface Picture {
  /** Pixels a side. */
  readonly size: number
  /** Pixels a side of a tile; those at the right and the bottom may be smaller. */
  readonly tileSize: number
  /** A point that is still near the origin after this number of steps counts as inside. */
  readonly maxSteps: number
}

/** Pixels `x` to `x + width` and `y` to `y + height`. */
export interface Tile {
  readonly picture: Picture
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Three bytes a pixel, row by row. */
export const CHANNELS = 3

/** A place between the cardioid and its largest bulb, where a spiral winds around an arm of the set. */
const CENTRE = { re: -0.7436438870371587, im: 0.1318259042053119 }
const SIDE = 0.012
/** Samples a side of a pixel. The colour of the pixel is their mean. */
const SAMPLES = 2

/** The palette of points outside: their colour moves through these stops with the number of steps that they stay near. */
const STOPS = [
  [10, 14, 44],
  [24, 72, 140],
  [122, 194, 222],
  [246, 242, 220],
  [240, 168, 48],
  [140, 44, 24],
] as const
const STEPS_BETWEEN_STOPS = 24
const PALETTE = STOPS.flatMap((from, i) => {
  const to = STOPS[(i + 1) % STOPS.length] ?? from
  return Array.from({ length: STEPS_BETWEEN_STOPS }, (_, step) =>
    from.map((value, channel) => {
      const other = to[channel] ?? value
      return Math.round((value * (STEPS_BETWEEN_STOPS - step) + other * step) / STEPS_BETWEEN_STOPS)
    }),
  )
})
const INSIDE = [0, 0, 0]

/** The tiles of a picture, row by row. */
export function tilesOf(picture: Picture): readonly Tile[] {
  const { size, tileSize } = picture
  const starts = Array.from({ length: Math.ceil(size / tileSize) }, (_, i) => i * tileSize)
  return starts.flatMap((y) =>
    starts.map((x) => ({
      picture,
      x,
      y,
      width: Math.min(tileSize, size - x),
      height: Math.min(tileSize, size - y),
    })),
  )
}

/** The pixels of a tile, three bytes each, row by row. */
export function draw({ picture, x, y, width, height }: Tile): Uint8Array {
  const pixels = new Uint8Array(width * height * CHANNELS)
  const step = SIDE / (picture.size * SAMPLES)
  const left = CENTRE.re - SIDE / 2
  const top = CENTRE.im + SIDE / 2
  let at = 0
  for (let row = y * SAMPLES; row < (y + height) * SAMPLES; row += SAMPLES) {
    for (let column = x * SAMPLES; column < (x + width) * SAMPLES; column += SAMPLES) {
      let [red, green, blue] = [0, 0, 0]
      for (let i = 0; i < SAMPLES; i++) {
        for (let j = 0; j < SAMPLES; j++) {
          const steps = stepsOutwards(left + (column + j) * step, top - (row + i) * step, picture.maxSteps)
          const colour = steps === picture.maxSteps ? INSIDE : (PALETTE[steps % PALETTE.length] ?? INSIDE)
          red += colour[0] ?? 0
          green += colour[1] ?? 0
          blue += colour[2] ?? 0
        }
      }
      const samples = SAMPLES * SAMPLES
      pixels[at++] = Math.round(red / samples)
      pixels[at++] = Math.round(green / samples)
      pixels[at++] = Math.round(blue / samples)
    }
  }
  return pixels
}

/** The number of steps z² + c until z is more than 2 away from the origin; at most `maxSteps`. */
function stepsOutwards(re: number, im: number, maxSteps: number): number {
  let [zRe, zIm, squareRe, squareIm] = [0, 0, 0, 0]
  let steps = 0
  while (steps < maxSteps && squareRe + squareIm <= 4) {
    zIm = 2 * zRe * zIm + im
    zRe = squareRe - squareIm + re
    squareRe = zRe * zRe
    squareIm = zIm * zIm
    steps += 1
  }
  return steps
}

/** Copies the pixels of a tile to their places in the whole picture. */
export function place(pixels: Uint8Array, { picture, x, y, width, height }: Tile, into: Uint8Array): void {
  for (let row = 0; row < height; row++) {
    const from = row * width * CHANNELS
    into.set(pixels.subarray(from, from + width * CHANNELS), ((y + row) * picture.size + x) * CHANNELS)
  }
}
