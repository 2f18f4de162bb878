/**
 * `npm run field:pages`: the dashboard over a shop that is at work, on a private Redis with real workers. Chromium draws pages of it into docs/images.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect } from 'graflow'
import { chromium, type Page } from 'playwright-core'
import { startWorker } from '../support/processes.js'
import { RedisServer } from '../support/redis-server.js'
import { elapse, until } from '../support/waits.js'
import { check, play } from './checks.js'
import { checkout, embed, orders, publish, refund, renewals, thumbnails } from './pages.tasks.js'
import { BROWSERS, smaller } from './screenshot.js'

const IMAGES = fileURLToPath(new URL('../../docs/images', import.meta.url))
const PREFIX = 'shop'
const MOST_BYTES = 120_000
const ROUNDS = 20

async function picture(page: Page, name: string): Promise<void> {
  const bytes = smaller(await page.screenshot())
  check(`docs/images/${name}.png has less than ${MOST_BYTES} bytes`, bytes.length < MOST_BYTES, `${bytes.length} bytes`)
  mkdirSync(IMAGES, { recursive: true })
  writeFileSync(join(IMAGES, `${name}.png`), bytes)
}

await play(async (onEnd) => {
  const executablePath = BROWSERS.map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim()).find(
    (path) => path !== '',
  )
  if (executablePath === undefined) throw new Error('there is no chromium here (apt-get install chromium)')
  const server = await RedisServer.start()
  onEnd(() => server.stop())
  const url = `redis://127.0.0.1:${server.port}`
  const tasks = fileURLToPath(new URL('./pages.tasks.ts', import.meta.url))
  const start = (id: string, buildId: string) =>
    startWorker({
      ...{ tasks, url, keyPrefix: PREFIX, id, queues: ['default', 'runs'], maxConcurrentTasks: 12 },
      flags: ['--build-id', buildId],
    })
  for (const id of ['worker-1', 'worker-2', 'worker-3']) await start(id, '2026.11.2')
  const lost = await start('worker-4', '2026.11.1')
  const graflow = await connect(url, { keyPrefix: PREFIX, logLevel: 'silent', serve: { port: 0 } })
  onEnd(() => graflow.close())
  const base = graflow.server?.url ?? ''

  for (let round = 0; round < ROUNDS; round += 1) {
    await graflow.submit(orders, 40 + ((round * 17) % 60), { tags: ['eu-west', `batch:${round}`] })
    if (round % 3 === 0)
      await graflow.submit(
        thumbnails,
        Array.from({ length: 90 }, (_, n) => n),
        { tags: ['media'] },
      )
    if (round % 6 === 1) await graflow.submit(renewals, 60, { tags: ['nightly'] })
    await graflow.submit(
      checkout,
      { order: `A-${48_211 + round}`, amount: 41.5 * round, express: round % 2 === 0 },
      { tags: ['web'] },
    )
    if (round === 4) await graflow.submit(refund, undefined, { id: 'refund-8812' })
    if (round === 9) await graflow.submit(publish, undefined, { id: 'prices-december' })
    if (round === 12) await graflow.submit(embed, 1)
    if (round === 14) await lost.kill9()
    await elapse(700)
  }
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  onEnd(() => browser.close())
  const open = async (path: string, says: string, width: number, height: number, colorScheme: 'light' | 'dark') => {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme })
    await page.goto(`${base}${path}`)
    await page.getByText(says).first().waitFor()
    await page.locator('.live', { hasText: 'Live' }).waitFor()
    await until(async () => (await page.locator('.skeleton').count()) === 0, 'all of the page')
    await elapse(1_500) // for a second look at everything, with what came meanwhile
    return page
  }
  await graflow.submit(orders, 400, { tags: ['eu-west', 'batch:20'] })
  await graflow.submit(
    thumbnails,
    Array.from({ length: 400 }, (_, n) => n),
    { tags: ['media'] },
  )
  await picture(await open('', 'Refund 412.00 EUR', 1_280, 800, 'light'), 'pages-overview')
  await picture(await open('runs', 'checkout', 1_440, 760, 'dark'), 'pages-runs')
  await picture(await open('', 'Refund 412.00 EUR', 320, 640, 'dark'), 'pages-phone')
  await picture(await open('start?workflow=checkout', 'express', 1_000, 680, 'light'), 'pages-start')
})
