import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { readCommand } from '../../examples/mandelbrot/command-line.js'
import { CHANNELS, draw, tilesOf } from '../../examples/mandelbrot/picture.js'
import { build, runExample } from '../support/programs.js'

let folder: string
beforeAll(() => {
  build()
  folder = mkdtempSync(join(tmpdir(), 'graflow-mandelbrot-'))
}, 120_000)
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

const SIZE = 64
const STEPS = 300
const SMALL = ['--size', String(SIZE), '--steps', String(STEPS)]
/** Of the file of the small picture; never changes as long as fast-png does not. */
const SMALL_SHA256 = '3da6f47b3fd84acb3a0a79e01b9bc2adaf7296ad37ea27de3d2720b5be9b3f25'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Width, height and pixels of a PNG whose rows are stored as they are (filter 0). Chunks: PNG specification, section 5.3. */
function decode(file: string): { readonly width: number; readonly height: number; readonly pixels: Buffer } {
  const bytes = readFileSync(file)
  expect(bytes.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))
  const data: Buffer[] = []
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    if (bytes.toString('latin1', at + 4, at + 8) === 'IDAT')
      data.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)))
  }
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
  const raw = inflateSync(Buffer.concat(data))
  const row = 1 + width * CHANNELS
  const rows = Array.from({ length: height }, (_, y) => raw.subarray(y * row, (y + 1) * row))
  expect(rows.map((bytes) => bytes[0])).toEqual(rows.map(() => 0))
  return { width, height, pixels: Buffer.concat(rows.map((bytes) => bytes.subarray(1))) }
}

describe('the picture of examples/mandelbrot', () => {
  it('is cut into tiles that cover every pixel once, smaller ones at the edges', () => {
    const seen = new Uint8Array(10 * 10)
    const tiles = tilesOf({ size: 10, tileSize: 4, maxSteps: 1 })
    for (const { x, y, width, height } of tiles) {
      for (let row = y; row < y + height; row++)
        for (let column = x; column < x + width; column++) seen[row * 10 + column] = (seen[row * 10 + column] ?? 0) + 1
    }
    expect([...seen]).toEqual(Array.from({ length: 100 }, () => 1))
    expect(tiles.map(({ width, height }) => `${width}x${height}`)).toEqual([
      ...['4x4', '4x4', '2x4', '4x4', '4x4', '2x4', '4x2', '4x2', '2x2'],
    ])
  })

  it('has the colours of black inside the set and of others outside', () => {
    const [tile] = tilesOf({ size: 32, tileSize: 32, maxSteps: STEPS })
    const pixels = tile === undefined ? new Uint8Array() : draw(tile)
    const colours = new Set(
      Array.from({ length: 32 * 32 }, (_, i) => pixels.subarray(i * CHANNELS, (i + 1) * CHANNELS).join()),
    )
    expect(colours.has('0,0,0')).toBe(true)
    expect(colours.size).toBeGreaterThan(200)
  })
})

describe('examples/mandelbrot', () => {
  it.each([64, 7])('draws the same file in tiles of %i', async (tile) => {
    const out = join(folder, `tiles-of-${tile}.png`)
    const { code, stdout } = await runExample('mandelbrot/main.ts', [
      ...SMALL,
      ...['--workers', '0', '--tile', String(tile), '--out', out, '--json'],
    ])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      size: SIZE,
      tileSize: tile,
      maxSteps: STEPS,
      tiles: Math.ceil(SIZE / tile) ** 2,
      file: out,
      bytes: readFileSync(out).length,
      sha256: SMALL_SHA256,
      engine: 'embedded',
      workers: 0,
      durationMs: expect.any(Number),
      aloneMs: expect.any(Number),
      speedUp: expect.any(Number),
    })
    expect(sha256(readFileSync(out))).toBe(SMALL_SHA256)
    const [whole] = tilesOf({ size: SIZE, tileSize: SIZE, maxSteps: STEPS })
    const { width, height, pixels } = decode(out)
    expect({ width, height }).toEqual({ width: SIZE, height: SIZE })
    expect(pixels.equals(whole === undefined ? Buffer.alloc(0) : draw(whole))).toBe(true)
  })

  it('tells people what ran, how long, and how much faster it was', async () => {
    const out = join(folder, 'told.png')
    const { code, stdout, stderr } = await runExample('mandelbrot/main.ts', [
      ...SMALL,
      ...['--workers', '0', '--tile', '16', '--out', out],
    ])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^\nplan >> tile\* >> assemble\n64 × 64 pixels in 16 tiles: \S+\/told\.png\n\d+\.\d\d s {2}embedded engine in this process \(no Redis needed\)\n\d+\.\d\d s {2}one process, the same code, the same \d+ bytes\n\d+\.\d\d times as fast\n$/,
    )
    expect(stderr).toMatch(
      /^embedded engine in this process \(no Redis needed\)\ndrawing tiles: 16 branches\ndrawing tiles: 16 done in \d+ ms\none process, the same code\n$/,
    )
  })

  it.each([1, 3])(
    'draws the same file on %i worker processes',
    async (workers) => {
      const out = join(folder, `workers-${workers}.png`)
      const { code, stdout, stderr } = await runExample('mandelbrot/main.ts', [
        ...SMALL,
        ...['--workers', String(workers), '--tile', '7', '--out', out, '--json'],
      ])
      expect(stderr).toMatch(
        /^[123] worker process(es)? and a private (redis|valkey)-server \d\S+\ndrawing tiles: 100 branches\ndrawing tiles: 100 done in \d+ ms\none process, the same code\n$/,
      )
      expect(code).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({ sha256: SMALL_SHA256, tiles: 100, engine: 'redis', workers })
      expect(sha256(readFileSync(out))).toBe(SMALL_SHA256)
    },
    60_000,
  )

  it('takes its workers and its Redis along when it is interrupted', async () => {
    const out = join(folder, 'interrupted-workers.png')
    let isKilled = false
    const { code, stderr } = await runExample('mandelbrot/main.ts', ['--workers', '2', '--out', out], {
      onStderr: (written, kill) => {
        if (isKilled || !written.includes('drawing tiles:')) return
        isKilled = true
        kill('SIGINT')
      },
      env: { TMPDIR: folder },
    })
    expect(stderr).toMatch(/mandelbrot: run \S+ was cancelled: interrupted\n$/)
    expect(code).toBe(130)
    expect(readdirSync(folder).filter((name) => name.startsWith('graflow-example-'))).toEqual([])
    // The path of the socket is among the words of the worker's command, and of the server's.
    const { stdout: processes } = spawnSync('ps', ['-A', '-o', 'args'], { encoding: 'utf8' })
    expect(processes.split('\n').filter((line) => line.includes(folder))).toEqual([])
  }, 60_000)

  it('says how to get worker processes where there is no redis-server', async () => {
    const out = join(folder, 'without.png')
    const words = ['--size', '8', '--out', out]
    const { code, stdout } = await runExample('mandelbrot/main.ts', words, { env: { PATH: folder } })
    expect(code).toBe(0)
    expect(stdout).toContain('embedded engine in this process')
    expect(stdout).toMatch(/\nwith redis-server on PATH this runs on worker processes\n\(Debian, [^\n]+\)\n$/)
    const asked = await runExample('mandelbrot/main.ts', [...words, '--workers', '2'], { env: { PATH: folder } })
    expect(asked).toMatchObject({ code: 1, stdout: '' })
    expect(asked.stderr).toMatch(
      /^mandelbrot: worker processes need redis-server 7 or newer on PATH \(Debian, [^\n]+\)\n$/,
    )
  })

  it('ends with 130 and says so when it is interrupted, and writes no file', async () => {
    const out = join(folder, 'interrupted.png')
    let isKilled = false
    const { code, stdout, stderr } = await runExample('mandelbrot/main.ts', ['--workers', '0', '--out', out], {
      onStderr: (written, kill) => {
        if (isKilled || !written.includes('drawing tiles:')) return
        isKilled = true
        kill('SIGINT')
      },
    })
    expect(stderr).toMatch(/mandelbrot: run \S+ was cancelled: interrupted\n$/)
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    expect(readdirSync(folder)).not.toContain('interrupted.png')
  })

  it.each([
    [['--sise', '5'], 'there is no --sise: did you mean --size?'],
    [['--size', '0'], '--size is 1 to 8000, got 0'],
    [['--tile', '501'], '--tile is 1 to 500, got 501'],
    [['--threads', '65'], '--threads is 1 to 64, got 65'],
    [['--steps', '-1'], '--steps takes a whole number, got -1'],
    [['--out'], '--out takes a value'],
    [['here'], 'there is nothing to do with here'],
  ])('knows what is wrong with %j', (words, problem) => {
    expect(readCommand(words)).toEqual({ kind: 'wrong', problem })
  })

  it('refuses a wrong command with exit code 2, and explains itself', async () => {
    const { code, stdout, stderr } = await runExample('mandelbrot/main.ts', ['--sise', '5'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr.split('\n')[0]).toBe('mandelbrot: there is no --sise: did you mean --size?')
    expect(stderr).toContain('npm run mandelbrot -- [--workers N]')
  })
})
