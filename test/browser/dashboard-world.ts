/** A store with something of everything, and a control plane over it, for tests of the dashboard. */
import { join } from 'node:path'
import type { ConnectOptions, Graflow } from 'graflow'
import type { Locator, Page } from 'playwright-core'
import type { Stage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import { checkout, halves, held, refund } from './dashboard.tasks.js'

/** What pages have, in which the functions given to `evaluate` run. */
declare const document: any
declare const innerWidth: number

export const TASKS = join(__dirname, 'dashboard.tasks.ts')

export interface World {
  readonly place: Stage
  readonly graflow: Graflow
  readonly url: string
}

/** A control plane over a stage. */
export async function serve(place: Stage, options: ConnectOptions['serve'] = {}): Promise<World> {
  const graflow = await place.client({ serve: { port: 0, ...options } })
  return { place, graflow, url: graflow.server?.url ?? '' }
}

/** Runs that completed, failed, wait for a person, run and stand still; workers of two builds, one of which was lost. */
export async function fill({ place, graflow }: World): Promise<void> {
  const build = ['--build-id', '2026.11.2', '--metadata', 'zone=eu-1']
  await Promise.all([
    place.worker('ada', { flags: build, queues: ['default', 'mail'], capabilities: ['gpu'], maxConcurrentTasks: 8 }),
    place.worker('grace', { flags: build, maxConcurrentTasks: 8 }),
  ])
  const lost = await place.worker('lost', { flags: ['--build-id', '2026.11.1'] })
  await lost.kill9()
  await Promise.all(
    [1, 2, 3].map(async (n) => {
      const run = await graflow.submit(
        checkout,
        { order: `A-${n}`, amount: n * 10, express: n === 1 },
        { tags: ['eu-west', `shop:${n}`] },
      )
      await run.result()
    }),
  )
  const failing = await graflow.submit(halves, [2, 3, 4], { id: 'odd-one', tags: ['nightly'] })
  await failing.result().catch(() => undefined)
  await graflow.submit(refund, undefined, { id: 'refund-8812' })
  await graflow.submit(held, [1, 2, 3, 4, 5, 6], { id: 'held-1' })
  await graflow.queues.pause('mail')
  await until(async () => {
    const [waiting, running] = await Promise.all([graflow.runs.get('refund-8812'), graflow.runs.get('held-1')])
    return waiting?.state === 'waiting' && running?.groups.some((group) => group.running > 0) === true
  }, 'a run that waits, and one at work')
}

/** How far the page can be scrolled sideways, in pixels; it should not. */
export const sideways = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const main = document.getElementById('main')
    return Math.max(
      document.documentElement.scrollWidth - innerWidth,
      (main?.scrollWidth ?? 0) - (main?.clientWidth ?? 0),
    )
  })

/** The row of a table that has a text. */
export const row = (page: Page, text: string): Locator =>
  page.locator('.table-body .row').filter({ hasText: text }).first()
