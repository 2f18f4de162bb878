/**
 * How fast the dashboard is in a Chromium: its first paint, and what keeps its main thread while one scrolls 10 000 runs, and while one watches a run of
 * 100 000 branches that is at work. `npm run bench:dashboard`; the result stands in docs/benchmarks.md. Times of the processor are of the page's main thread, as
 * Chromium traces them, so they say the same whatever else the machine does; when a page paints is taken from loads that nothing traces, in which nothing is asked of
 * the page before: Playwright's own script, put into a page to wait for something in it, is compiled for 60 ms. `paint`, `runs` or `run` as an argument measures that alone.
 */
import { spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { connect, type Graflow } from 'graflow'
import { type Browser, chromium, type Page } from 'playwright-core'
import { Child, endChildren, startWorker } from '../test/support/processes.js'
import { RedisServer } from '../test/support/redis-server.js'
import { busy, quick } from './dashboard.tasks.js'
import { quantile } from './statistics.js'
import { framesOf, longTasks, paintOf, type TraceEvent } from './trace.js'

const TASKS = fileURLToPath(new URL('./dashboard.tasks.ts', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../dist/bin/graflow.js', import.meta.url))
const PREFIX = 'pages'
const LOADS = 15
const TRACED_LOADS = 5
const RUNS = 10_000
const BRANCHES = 100_000
const FRAMES = 600
const EVENTS_MS = 50
const CATEGORIES = [
  'devtools.timeline',
  'toplevel',
  'loading',
  'blink.user_timing',
  'v8',
  'disabled-by-default-v8.compile',
]

const wanted = process.argv[2]
const browserPath = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim())
  .find((path) => path !== '')
if (browserPath === undefined) throw new Error('there is no chromium here (apt-get install chromium)')

async function traced(browser: Browser, page: Page, work: () => Promise<unknown>): Promise<readonly TraceEvent[]> {
  await browser.startTracing(page, { categories: CATEGORIES })
  await work()
  const trace = JSON.parse((await browser.stopTracing()).toString('utf8')) as { readonly traceEvents: TraceEvent[] }
  return trace.traceEvents
}

const ms = (values: readonly number[]): string =>
  `${quantile(values, 0.5).toFixed(0)} (${Math.min(...values).toFixed(0)}–${Math.max(...values).toFixed(0)})`

/** Loads in a browser that knows nothing of the page, and again in one that does. */
async function firstPaints(browser: Browser, url: string): Promise<void> {
  console.log(
    '| page | first paint, ms | main thread until then, ms of processor | script of these | main thread in the first second |',
  )
  console.log('|---|---|---|---|---|')
  const empty = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<h1>Nothing</h1>'))
  await new Promise<void>((resolve) => empty.listen(0, '127.0.0.1', resolve))
  const { port } = empty.address() as AddressInfo // it listens on one
  const pages = [
    ['a page of one heading', `http://127.0.0.1:${port}/`, 'h1'],
    ['the overview', url, '.live:has-text("Live")'],
    ['the runs', `${url}runs`, '.live:has-text("Live")'],
  ] as const
  const found = new Map<string, { readonly at: number[]; readonly of: Paint[] }>()
  // one after the other, so that what the machine does meanwhile meets all alike
  for (let i = 0; i < LOADS + TRACED_LOADS; i += 1) {
    for (const [name, address, sign] of pages) {
      const context = await browser.newContext()
      const page = await context.newPage()
      for (const kind of ['first load', 'loaded again']) {
        await page.goto('about:blank')
        const key = `${name}, ${kind}`
        const { at, of } = found.get(key) ?? { at: [], of: [] }
        found.set(key, { at, of })
        if (i < LOADS) at.push(await paintedAt(page, address))
        else of.push(await paint(browser, page, address, sign))
        await page.locator(sign).waitFor()
      }
      await context.close()
    }
  }
  empty.close()
  for (const [name, { at, of }] of [...found].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const traced = (what: keyof Paint): string => ms(of.map((one) => one[what]))
    console.log(`| ${name} | ${ms(at)} | ${traced('cpuMs')} | ${traced('scriptMs')} | ${traced('allMs')} |`)
  }
}

type Paint = ReturnType<typeof paintOf>

/** When it has painted first. Only what the browser tells by itself is waited for until then. */
async function paintedAt(page: Page, url: string): Promise<number> {
  const session = await page.context().newCDPSession(page)
  await session.send('Page.enable')
  await session.send('Page.setLifecycleEventsEnabled', { enabled: true })
  const painted = new Promise<void>((resolve) =>
    session.on('Page.lifecycleEvent', ({ name }) => {
      if (name === 'firstContentfulPaint') resolve()
    }),
  )
  await session.send('Page.navigate', { url })
  await painted
  await session.detach()
  await page.waitForFunction(`${ENTRIES}.length > 0`)
  return page.evaluate<number>(`${ENTRIES}[0].startTime`)
}
const ENTRIES = "performance.getEntriesByName('first-contentful-paint')"

async function paint(browser: Browser, page: Page, url: string, sign: string): Promise<Paint> {
  const events = await traced(browser, page, async () => {
    await page.goto(url)
    await page.locator(sign).waitFor()
    await page.waitForFunction(`${ENTRIES}.length > 0`)
    await page.waitForTimeout(300)
  })
  return paintOf(events)
}

/** Scrolls by 160 pixels a frame, to the end and back: as text, since what compiles this file would put names into it that pages do not have. */
const SCROLLING = `new Promise((resolve) => {
  const main = document.getElementById('main')
  let [n, by] = [0, 160]
  requestAnimationFrame(function step() {
    const before = main.scrollTop
    main.scrollBy(0, by)
    if (main.scrollTop === before) by = -by
    if ((n += 1) < ${FRAMES}) requestAnimationFrame(step)
    else resolve()
  })
})`
const scroll = (page: Page): Promise<unknown> => page.evaluate(SCROLLING)

function tell(name: string, events: readonly TraceEvent[]): void {
  const { frames, medianMs, p95Ms } = framesOf(events)
  const { count, busyMs, long } = longTasks(events)
  console.log(
    `| ${name} | ${frames} | ${medianMs.toFixed(1)} | ${p95Ms.toFixed(1)} | ${(busyMs / Math.max(1, frames)).toFixed(1)} | ${count} | ${long.length} | ${Math.max(0, ...long.map((one) => one.ms)).toFixed(0)} |`,
  )
  if (process.env['GRAFLOW_TASKS'] !== undefined)
    for (const one of long.slice(0, 12)) console.log(`    ${one.ms.toFixed(1)} ms: ${one.parts}`)
}

/** Submits and completes runs, some each second, until it is told to end. */
function traffic(graflow: Graflow): () => Promise<void> {
  const controller = new AbortController()
  const going = (async () => {
    for (let n = 0; !controller.signal.aborted; n += 1) {
      await graflow.submit(quick, n, { tags: ['live'] })
      await new Promise((resolve) => setTimeout(resolve, EVENTS_MS))
    }
  })()
  return async () => {
    controller.abort()
    await going
  }
}

async function scrolledRuns(browser: Browser, graflow: Graflow, url: string): Promise<void> {
  await graflow.queues.pause('default')
  for (let i = 0; i < RUNS; i += 500)
    await Promise.all(Array.from({ length: 500 }, (_, n) => graflow.submit(quick, i + n, { tags: [`shop:${n % 40}`] })))
  await graflow.queues.resume('default')
  const page = await browser.newPage({ viewport: { width: 1_440, height: 900 } })
  await page.goto(`${url}runs`)
  await page.locator('.table-body .row').first().waitFor()
  while (!(await page.getByText(/that is all/).isVisible()))
    await page.locator('#main').evaluate((main: any) => main.scrollTo(0, main.scrollHeight))
  await page.locator('#main').evaluate((main: any) => main.scrollTo(0, 0))
  tell(`${RUNS} runs, with events`, await traced(browser, page, () => scroll(page)))
  await page.close()
}

async function watchedRun(browser: Browser, graflow: Graflow, url: string): Promise<void> {
  const run = await graflow.submit(
    busy,
    Array.from({ length: BRANCHES }, (_, n) => n),
  )
  const page = await browser.newPage({ viewport: { width: 1_440, height: 900 } })
  await page.goto(`${url}runs/${run.id}`)
  await page.locator('.tl-canvas').waitFor()
  tell(`a run of ${BRANCHES} branches at work`, await traced(browser, page, () => scroll(page)))
  await run.result()
  await page.reload()
  await page.locator('.tl-canvas').waitFor()
  await page.waitForTimeout(1_000)
  tell('the same run when it is over', await traced(browser, page, () => scroll(page)))
  await page.close()
}

const redis = await RedisServer.start()
const server = new Child({
  name: 'server',
  args: [
    ...[PROGRAM, 'serve', '--port', '0', '--log-format', 'text'],
    ...['--redis-url', redis.unixUrl, '--redis-key-prefix', PREFIX],
  ],
})
const [, port = ''] = await server.said(/ on http:\/\/127\.0\.0\.1:(\d+)\//)
const url = `http://127.0.0.1:${port}/`
await startWorker({ tasks: TASKS, url: redis.unixUrl, keyPrefix: PREFIX, id: 'w', maxConcurrentTasks: 16 })
const graflow = await connect(redis.unixUrl, { keyPrefix: PREFIX, logLevel: 'silent' })
await (await graflow.submit(quick, 1)).result()
const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox', '--disable-gpu'] })

if (wanted === undefined || wanted === 'paint') await firstPaints(browser, url)
if (wanted !== 'paint') {
  console.log(
    '\n| what is scrolled | frames | median, ms | 95 %, ms | main thread a frame, ms of processor | tasks | longer than 16 ms of processor | longest |\n|---|---|---|---|---|---|---|---|',
  )
  const end = traffic(graflow)
  if (wanted === undefined || wanted === 'runs') await scrolledRuns(browser, graflow, url)
  if (wanted === undefined || wanted === 'run') await watchedRun(browser, graflow, url)
  await end()
}

await browser.close()
await graflow.close()
server.signal('SIGTERM')
await server.exited
await endChildren()
await redis.stop()
