/** How fast the dashboard is: 10 000 runs while one scrolls, and the first paint. */
import type { Page } from 'playwright-core'
import { useStage } from '../support/redis-stage.js'
import { openChromium, shot, type TestBrowser } from './chromium.js'
import { checkout } from './dashboard.tasks.js'
import { row, serve, TASKS } from './dashboard-world.js'

/** What pages have, in which the functions given to `evaluate` run. */
declare const document: any
declare const requestAnimationFrame: (next: () => void) => void

const stage = useStage(TASKS)
let browser: TestBrowser
beforeAll(async () => {
  browser = await openChromium()
})
afterAll(() => browser.close())

const RUNS = 10_000
const FRAME_MS = 1_000 / 60
const FRAMES = 120
/** The machine that tests run on has other things to do as well: the best of so many counts. */
const ATTEMPTS = 3

interface Scrolled {
  /** What the page itself did, a frame. */
  readonly workMs: number
  readonly medianMs: number
  readonly p95Ms: number
}

/** Scrolls by 160 pixels a frame, which is ten screens a second, from where one is. Of the page's work its own time of the processor counts. */
async function scroll(page: Page): Promise<Scrolled> {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  const workOf = async (): Promise<number> => {
    const { metrics } = await session.send('Performance.getMetrics')
    const names = ['ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration']
    return metrics.filter(({ name }) => names.includes(name)).reduce((sum, { value }) => sum + value * 1_000, 0)
  }
  const before = await workOf()
  const frames = await page.evaluate(
    (count) =>
      new Promise<number[]>((resolve) => {
        const main = document.getElementById('main')
        const times: number[] = []
        let last = performance.now()
        const step = (): void => {
          const now = performance.now()
          times.push(now - last)
          last = now
          main?.scrollBy(0, 160)
          if (times.length < count) requestAnimationFrame(step)
          else resolve(times.slice(1))
        }
        requestAnimationFrame(step)
      }),
    FRAMES,
  )
  const workMs = ((await workOf()) - before) / FRAMES
  const sorted = [...frames].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0
  await session.detach()
  return { workMs, medianMs: at(0.5), p95Ms: at(0.95) }
}

describe('the dashboard', () => {
  it('scrolls through 10 000 runs within the time of a frame, with no more rows than are in view', async () => {
    const { graflow, url } = await serve(await stage())
    for (let i = 0; i < RUNS; i += 500) {
      await Promise.all(
        Array.from({ length: 500 }, (_, n) =>
          graflow.submit(
            checkout,
            { order: `A-${i + n}`, amount: 1, express: false },
            { tags: [`shop:${(i + n) % 40}`] },
          ),
        ),
      )
    }
    const page = await browser.page({ width: 1_440 })
    await page.goto(`${url}runs`)
    await row(page, 'checkout').waitFor()
    const bottom = (): Promise<unknown> => page.locator('#main').evaluate((main) => main.scrollTo(0, main.scrollHeight))
    while (!(await page.getByText(/that is all/).isVisible())) await bottom()
    await page.getByText('10\u202f000 runs, that is all').waitFor()
    await page.locator('#main').evaluate((main) => main.scrollTo(0, 0))
    await row(page, 'checkout').waitFor()
    const seen: Scrolled[] = []
    for (let i = 0; i < ATTEMPTS; i += 1) seen.push(await scroll(page))
    await shot(page, 'ten-thousand')
    const best = seen.reduce((a, b) => (a.workMs < b.workMs ? a : b))
    console.log('scrolling 10 000 runs, best of', ATTEMPTS, best)
    expect(await page.locator('.table-body .row').count()).toBeLessThan(100)
    expect(best.workMs).toBeLessThan(FRAME_MS)
    await page.close()
  }, 240_000)

  it('paints first as soon as its two files are there, and asks its own server only', async () => {
    const { url } = await serve(await stage())
    const paints: number[] = []
    const asked = new Set<string>()
    for (let i = 0; i < ATTEMPTS; i += 1) {
      const page = await browser.page()
      page.on('request', (request) => asked.add(new URL(request.url()).origin))
      await page.goto(url)
      await page.getByRole('heading', { level: 1 }).waitFor()
      paints.push(
        await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN),
      )
      await page.close()
    }
    console.log('first paint, best of', ATTEMPTS, Math.min(...paints), 'ms; all:', paints)
    expect([...asked]).toEqual([new URL(url).origin])
    expect(Math.min(...paints)).toBeLessThan(1_000)
  }, 60_000)
})
