/** A real Chromium for tests of pages. A page that logs an error, or asks for something that it may not, fails its test. */
import { spawnSync } from 'node:child_process'
import { readFileSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']

/** Its path; undefined where there is none. */
const chromiumPath = (): string | undefined =>
  NAMES.map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim()).find((path) => path !== '')

export interface PageOptions {
  readonly theme?: 'light' | 'dark'
  readonly width?: number
  readonly height?: number
}

export interface TestBrowser {
  /** A page of its own, with its own storage. */
  page(options?: PageOptions): Promise<Page>
  /** What pages complained of. */
  readonly complaints: readonly string[]
  close(): Promise<void>
}

export async function openChromium(): Promise<TestBrowser> {
  const executablePath = chromiumPath()
  if (executablePath === undefined) throw new Error('expected a Chromium on PATH, such as apt-get install chromium')
  const browser: Browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  const complaints: string[] = []
  return {
    complaints,
    page: async ({ theme = 'light', width = 1_280, height = 900 } = {}) => {
      const context = await browser.newContext({ colorScheme: theme, viewport: { width, height } })
      const page = await context.newPage()
      page.setDefaultTimeout(20_000)
      page.on('pageerror', (error) => complaints.push(`${error.message}\n${error.stack ?? ''}`))
      page.on('console', (message) => {
        // the browser itself logs every answer of 4xx; pages show these
        if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
          complaints.push(message.text())
      })
      return page
    },
    close: () => browser.close(),
  }
}

/** Keeps a picture in the folder that GRAFLOW_SHOTS names, for people to look at. */
export async function shot(page: Page, name: string): Promise<void> {
  const folder = process.env['GRAFLOW_SHOTS']
  if (folder === undefined) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`) })
}

const AXE = createRequire(__filename).resolve('axe-core/axe.min.js')

/** What axe finds wrong with the page, one line for each element. */
export async function axeFindings(page: Page): Promise<readonly string[]> {
  await page.evaluate(readFileSync(AXE, 'utf8'))
  return page.evaluate(async () => {
    const axe = (globalThis as unknown as { axe: { run(): Promise<any> } }).axe
    const { violations } = await axe.run()
    return violations.flatMap((one: any) =>
      one.nodes.map(
        (node: any) =>
          `${one.id}: ${node.target.join(' ')}: ${node.failureSummary.split('\n').slice(1).join(' ').trim()}`,
      ),
    ) as string[]
  })
}
