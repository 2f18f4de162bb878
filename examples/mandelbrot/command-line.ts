/** Parses the command line: the command, or the problem with it. */
import { readFlags, type Flags } from '../support/flags.js'
import type { Picture } from './picture.js'

export type Command =
  | {
      readonly kind: 'draw'
      readonly picture: Picture
      readonly out: string
      readonly isJson: boolean
      /** Undefined: one per processor if there is a server. */
      readonly workers: number | undefined
      /** Undefined: a worker draws in its event loop. */
      readonly threads: number | undefined
    }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly problem: string }

export const HELP = `Draws a part of the Mandelbrot set in tiles, then again in one process, and compares.

  npm run mandelbrot -- [--workers N] [--threads N] [--size 1000] [--tile 50] [--steps 2000] [--out FILE] [--json]

  --workers N  so many worker processes and a private Redis, which needs redis-server on PATH;
               0: all in this process. By default what the machine has
  --threads N  so many threads that draw, in each worker process or in this one;
               without it, each draws one tile at a time itself
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
  threads: 'number',
  size: 'number',
  tile: 'number',
  steps: 'number',
  out: 'text',
  json: 'switch',
  help: 'switch',
} as const
const LARGEST = 8_000
const MOST_THREADS = 64
/** The pixels of a larger tile would exceed the size of a result. */
const LARGEST_TILE = 500

export function readCommand(words: readonly string[]): Command {
  const read = readFlags(words, FLAGS)
  if (read.problem !== undefined) return { kind: 'wrong', problem: read.problem }
  const { flags } = read
  if (flags.help) return { kind: 'help' }
  const problem = problemOf(flags, read.others)
  if (problem !== undefined) return { kind: 'wrong', problem }
  const {
    size = 1_000,
    tile: tileSize = 50,
    steps: maxSteps = 2_000,
    out = 'mandelbrot.png',
    json,
    workers,
    threads,
  } = flags
  return { kind: 'draw', picture: { size, tileSize, maxSteps }, out, isJson: json, workers, threads }
}

function problemOf({ size, tile, steps, threads }: Flags<typeof FLAGS>, others: readonly string[]): string | undefined {
  if (others.length > 0) return `there is nothing to do with ${others.join(' ')}`
  const isWithin = (value: number | undefined, most: number): boolean =>
    value === undefined || (value >= 1 && value <= most)
  if (!isWithin(size, LARGEST)) return `--size is 1 to ${LARGEST}, got ${String(size)}`
  if (!isWithin(tile, LARGEST_TILE)) return `--tile is 1 to ${LARGEST_TILE}, got ${String(tile)}`
  if (!isWithin(steps, 1_000_000)) return `--steps is 1 to 1000000, got ${String(steps)}`
  if (!isWithin(threads, MOST_THREADS)) return `--threads is 1 to ${MOST_THREADS}, got ${String(threads)}`
  return undefined
}
