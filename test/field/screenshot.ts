/** Pictures for the docs: Chromium draws a page into docs/images. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decode, encode } from 'fast-png'
import { check } from './checks.js'

/** By the names that systems give them. */
export const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome']
const IMAGES = fileURLToPath(new URL('../../docs/images', import.meta.url))

/** Draws a page of HTML, and checks that the file is small; where there is no browser it says so. @param image the name of the file in docs/images */
export function screenshot(
  html: string,
  { width, height }: { readonly width: number; readonly height: number },
  image: string,
  mostBytes: number,
): void {
  const browser = BROWSERS.find((name) => spawnSync(name, ['--version']).error === undefined)
  if (browser === undefined) {
    console.log('no picture: there is no chromium here (apt-get install chromium)')
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'graflow-picture-'))
  try {
    const [page, shot] = [join(folder, 'page.html'), join(folder, 'page.png')]
    writeFileSync(page, html)
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars']
    const own = [`--user-data-dir=${join(folder, 'profile')}`, `--window-size=${width},${height}`]
    const { status, stderr } = spawnSync(browser, [...flags, ...own, `--screenshot=${shot}`, `file://${page}`], {
      encoding: 'utf8',
      timeout: 60_000,
    })
    if (status !== 0) throw new Error(`${browser} ended with ${status}: ${stderr}`)
    const bytes = smaller(readFileSync(shot))
    check(`docs/images/${image} has less than ${mostBytes} bytes`, bytes.length < mostBytes, `${bytes.length} bytes`)
    mkdirSync(IMAGES, { recursive: true })
    writeFileSync(join(IMAGES, image), bytes)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Colours are that far apart in the file: nobody sees it, and it is half as large. */
const COLOUR_STEP = 8

/** The same picture in fewer bytes. */
export function smaller(png: Uint8Array): Uint8Array {
  const { width, height, data, channels } = decode(png)
  const rounded = Uint8Array.from(data, (value) => Math.min(255, Math.round(value / COLOUR_STEP) * COLOUR_STEP))
  return encode({ width, height, data: rounded, channels, depth: 8 }, { zlib: { level: 9 } })
}
