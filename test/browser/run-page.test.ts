/// <reference lib="dom" />
/** The page of one run, in a real Chromium, on a real Redis with real workers. */
import { join } from 'node:path'
import type { Graflow } from 'graflow'
import type { Page } from 'playwright-core'
import { type Stage, useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import { axeFindings, openChromium, shot, type TestBrowser } from './chromium.js'

const stage = useStage(join(__dirname, 'run-page.tasks.ts'))
let browser: TestBrowser
beforeAll(async () => {
  browser = await openChromium()
})
afterAll(() => browser.close())
afterEach(() => {
  expect(browser.complaints).toEqual([])
})

interface Served {
  readonly place: Stage
  readonly graflow: Graflow
  readonly url: string
}

async function served(): Promise<Served> {
  const place = await stage()
  const graflow = await place.client({ serve: { port: 0 } })
  return { place, graflow, url: graflow.server?.url ?? '' }
}

const MOMENTS = new Set(['start', 'end', 'openedAt', 'releasedAt', 'first', 'last', 'to'])

/** A timeline as if all that came after its first group had come nine hours later. */
function afterANight(timeline: any) {
  const from: number = timeline.groups.find(({ path }: any) => path === '1').last
  const late = <T extends object>(one: T): T =>
    Object.fromEntries(
      Object.entries(one).map(([name, value]) => [
        name,
        typeof value === 'number' && MOMENTS.has(name) && value > from + 1 ? value + 9 * 3_600_000 : value,
      ]),
    ) as T
  const { steps, groups, critical, window } = timeline
  const lanes = window.lanes.map((lane: any) => {
    const shift = (times: readonly number[]) => times.map((start) => late({ start }).start)
    return { ...lane, blocks: { ...lane.blocks, start: shift(lane.blocks.start), end: shift(lane.blocks.end) } }
  })
  return {
    ...late(timeline),
    ...{
      steps: steps.map(late),
      groups: groups.map(late),
      critical: critical.map(late),
      window: late({ ...window, lanes }),
    },
  }
}

const stateWord = (page: Page) => page.locator('.run-state-word')

describe('the page of a run', () => {
  it('shows a run that fans out, fails, waits for a person, is answered, repeated from a step, and completes', async () => {
    const { place, graflow, url } = await served()
    await Promise.all([place.worker('ada'), place.worker('grace')])
    const run = await graflow.submit('audit', 48)
    const page = await browser.page()
    await page.goto(`${url}runs/${encodeURIComponent(run.id)}`)
    await page.getByRole('heading', { name: 'audit', level: 1 }).waitFor()
    await shot(page, 'running')

    // it fails, and the page says where and why
    await stateWord(page).getByText('failed').waitFor()
    await page.locator('.panel').getByText('has no licence').first().waitFor()
    // the head says what the graph does, and an error that is cause and one of several is told once
    const told = (await page.locator('.run-state-main').textContent()) ?? ''
    const [, done, withdrawn] = /(\d+) of 49 done, (\d+) withdrawn/.exec(told) ?? []
    expect([told, Number(done) + Number(withdrawn)]).toEqual([told, 49])
    await page.locator('.node-counts').getByText(`${withdrawn} –`).waitFor()
    expect(await page.locator('.panel .error-message').filter({ hasText: 'TASK_FAILED' }).count()).toBe(1)
    await page.locator('.node[data-path="1"]').click({ position: { x: 60, y: 18 } })
    await page.getByRole('button', { name: /1\/7/ }).click()
    await page.locator('.panel .error-message').getByText('the registry answered 404').first().waitFor()
    expect(new URL(page.url()).searchParams.get('at')).toBe('1/7')
    await page.locator('.tree').first().waitFor()
    await shot(page, 'failed')

    // retried, it goes on from what failed, and asks a person
    place.ledger.open('mended')
    await page.getByRole('button', { name: 'Retry' }).click()
    await page.getByRole('heading', { name: 'Publish the audit of 48 packages?' }).waitFor()
    await shot(page, 'asks')
    await page.getByRole('button', { name: 'publish', exact: true }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('Nobody can undo this').waitFor()
    await shot(page, 'confirms')
    await dialog.getByRole('button', { name: 'Answer' }).click()
    await stateWord(page).getByText('completed').waitFor()
    expect(await run.result()).toMatchObject({ done: true, notify: { answer: 'publish' } })

    // repeated from a step: the answer is kept, what comes after it is done again
    await page.locator('.node[data-path="4"]').click()
    await page.locator('.panel').getByText('"told"').or(page.locator('.tree').getByText('done')).first().waitFor()
    await page.getByRole('button', { name: 'Repeat from here' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Repeat from here' }).click()
    await page.locator('.run-states').getByText('completed after 2 retries').waitFor()
    // the ends that retries left stand before it
    await page.locator('.run-states li', { hasText: 'failed' }).waitFor()
    await page.locator('.tl-canvas').waitFor()
    await shot(page, 'completed')
    expect((await graflow.runs.get(run.id))?.retries).toBe(2)
    expect(await axeFindings(page)).toEqual([])
    await page.close()
  }, 120_000)

  it('shows that a worker was killed, and how its branches went on elsewhere', async () => {
    const { place, graflow, url } = await served()
    const first = await place.worker('first')
    const run = await graflow.submit('held', [0, 1, 2])
    await place.ledger.until('holding', 3)
    const page = await browser.page()
    await page.goto(`${url}runs/${run.id}`)
    await page.locator('.node-counts').getByText('3 ◐').waitFor()
    await first.kill9()
    await page
      .locator('.run-state-wait')
      .getByText(/no live worker|nobody/i)
      .waitFor({ timeout: 60_000 })
    await shot(page, 'killed')
    place.ledger.open('go')
    await place.worker('second')
    await stateWord(page).getByText('completed').waitFor({ timeout: 60_000 })
    await page.goto(`${url}runs/${run.id}?at=0/1`)
    await page.locator('.panel').getByText('second', { exact: true }).waitFor()
    await page.locator('.panel').getByText('1 lost with a worker').waitFor()
    await page.close()
  }, 150_000)

  it('is used by keyboard alone, on a phone and in the dark', async () => {
    const { place, graflow, url } = await served()
    await place.worker('ada')
    place.ledger.open('mended')
    const run = await graflow.submit('audit', 12)
    const page = await browser.page({ theme: 'dark', width: 320, height: 720 })
    await page.goto(`${url}runs/${run.id}`)
    await page.getByRole('button', { name: 'publish', exact: true }).waitFor()
    const overflow = await page.evaluate(() => {
      const main = document.getElementById('main')
      return main === null ? -1 : main.scrollWidth - main.clientWidth
    })
    expect(overflow).toBe(0)
    await shot(page, 'phone-dark')
    expect(await axeFindings(page)).toEqual([])
    // answered with keys only
    await page.getByRole('button', { name: 'publish', exact: true }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Tab')
    await page.getByRole('button', { name: 'Answer' }).focus()
    await page.keyboard.press('Enter')
    await stateWord(page).getByText('completed').waitFor()
    // from node to node, and one is chosen
    await page.locator('.node[tabindex="0"]').focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Enter')
    await page
      .waitForURL((url) => url.searchParams.get('at') === '1', { timeout: 5_000 })
      .catch(() => expect(page.url()).toBe('at=1'))
    // the timeline zooms and comes back
    await page.locator('.tl-canvas').focus()
    await page.keyboard.press('+')
    await page.keyboard.press('ArrowRight')
    await page.getByRole('button', { name: 'Whole run' }).and(page.locator(':enabled')).waitFor()
    await shot(page, 'phone-dark-timeline')
    await page.keyboard.press('0')
    await page.getByRole('button', { name: 'Whole run' }).and(page.locator(':disabled')).waitFor()
    await page.setViewportSize({ width: 1_280, height: 1_500 })
    await shot(page, 'dark')
    await page.goto(`${url}runs/no-such-run`)
    await page.getByText('There is no such run').waitFor()
    await page.close()
  }, 90_000)

  it('cuts a long wait of its timeline short, says how long it was, and shows it as one wishes', async () => {
    const { place, graflow, url } = await served()
    await place.worker('ada')
    place.ledger.open('mended')
    const run = await graflow.submit('audit', 12)
    await until(async () => (await graflow.waits.of(run.id)).length > 0, 'a question')
    await run.signal('approve', 'publish')
    await run.result()
    for (const [theme, width] of [
      ['light', 1_280],
      ['dark', 320],
    ] as const) {
      const page = await browser.page({ theme, width, height: 1_300 })
      await page.route('**/timeline?*', async (route) => {
        const answer = await route.fetch()
        await route.fulfill({ json: afterANight(await answer.json()) })
      })
      await page.goto(`${url}runs/${run.id}`)
      const canvas = page.locator('.tl-canvas')
      const idle = page.getByRole('button', { name: 'Idle time' })
      await idle.waitFor()
      await canvas.scrollIntoViewIfNeeded()
      expect(await canvas.getAttribute('aria-label')).toMatch(
        /Nothing was at work for 9 h.*, which is cut short; i shows it/,
      )
      expect(await idle.getAttribute('aria-pressed')).toBe('false')
      await shot(page, `night-${width}`)
      expect(await axeFindings(page)).toEqual([])
      // what was cut is said where it stands
      const box = (await canvas.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 }
      const tip = page.locator('.tl-tip', { hasText: 'Nothing was at work' })
      let x = box.x + box.width
      await until(async () => {
        x -= 6
        await page.mouse.move(x, box.y + 70)
        return (await tip.count()) > 0
      }, 'the place of the night')
      expect(x - box.x).toBeGreaterThan(box.width * 0.3)
      // by key it is shown as long as it was, and cut again
      await canvas.focus()
      await page.keyboard.press('i')
      await page.locator('[aria-label*="i cuts short"]').waitFor()
      await shot(page, `night-whole-${width}`)
      await idle.click()
      await page.locator('[aria-label*="i shows it"]').waitFor()
      await page.close()
    }
  }, 90_000)

  it('asks by a form that is made of the schema of the wait', async () => {
    const { place, graflow, url } = await served()
    await place.worker('ada')
    const run = await graflow.submit('refund', undefined)
    const page = await browser.page()
    await page.goto(`${url}runs/${run.id}`)
    await page.getByLabel('amount').fill('40')
    await page.getByLabel('reason').fill('a broken cup')
    await shot(page, 'form')
    await page.getByRole('button', { name: 'Answer' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Answer' }).click()
    expect(await run.result()).toBe('40 for a broken cup')
    await stateWord(page).getByText('completed').waitFor()
    await page.close()
  }, 60_000)

  it('draws 100 000 branches as bins of the server, and zooms into them', async () => {
    const { place, graflow, url } = await served()
    await Promise.all(['ada', 'grace', 'linus'].map((id) => place.worker(id, { maxConcurrentTasks: 32 })))
    const run = await graflow.submit(
      'many',
      Array.from({ length: 100_000 }, (_, n) => n),
    )
    await run.result()
    const page = await browser.page({ height: 1_300 })
    await page.goto(`${url}runs/${run.id}`)
    await page.locator('.node-counts').getByText('100\u202f000 ✓').waitFor()
    const canvas = page.locator('.tl-canvas')
    await canvas.waitFor()
    await shot(page, 'many')
    const frames = await framesWhile(page, 240)
    if (process.env['GRAFLOW_SHOTS'] !== undefined) console.log(`frames: ${JSON.stringify(frames)}`)
    // of the page's own work, whatever the machine makes of the rest
    expect(frames.workMs).toBeLessThan(1_000 / 60)
    await page.waitForFunction(() => Number(document.querySelector('.tl-canvas')?.getAttribute('data-windows')) > 0)
    await shot(page, 'many-zoomed')
    const { window } = await (await fetch(`${url}api/v1/runs/${run.id}/timeline`)).json()
    expect(window.lanes.map(({ bins, blocks }: any) => [bins.ended.length, blocks])).toEqual(
      window.lanes.map(() => [240, undefined]),
    )
    const size = (await (await fetch(`${url}api/v1/runs/${run.id}/timeline?bins=480`)).text()).length
    expect(size).toBeLessThan(64 * 1_024)
    await page.close()
  }, 150_000)
})

/** Zooms into the middle and moves, one step a frame: how long the frames took. */
async function framesWhile(page: Page, count: number) {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  const workOf = async (): Promise<number> => {
    const { metrics } = await session.send('Performance.getMetrics')
    const names = ['ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration']
    return metrics.filter(({ name }) => names.includes(name)).reduce((sum, { value }) => sum + value * 1_000, 0)
  }
  const before = await workOf()
  const frames = await page.evaluate(async (most) => {
    const canvas = document.querySelector('.tl-canvas') as HTMLCanvasElement
    const { left, top, width } = canvas.getBoundingClientRect()
    const took: number[] = []
    let last = performance.now()
    for (let i = 0; i < most; i++) {
      await new Promise((resolve) => requestAnimationFrame(resolve))
      const now = performance.now()
      took.push(now - last)
      last = now
      const zooms = i % 80 < 40
      canvas.dispatchEvent(
        new WheelEvent('wheel', {
          ...{ bubbles: true, cancelable: true, ctrlKey: zooms, clientX: left + width / 2, clientY: top + 90 },
          ...(zooms ? { deltaY: i % 160 < 80 ? -24 : 24 } : { deltaX: i % 40 < 20 ? 18 : -18 }),
        }),
      )
    }
    took.sort((a, b) => a - b)
    const at = (share: number): number => Math.round((took[Math.floor(took.length * share)] ?? 0) * 10) / 10
    return { medianMs: at(0.5), p95Ms: at(0.95), longestMs: at(0.999) }
  }, count)
  const workMs = Math.round(((await workOf()) - before) * (100 / count)) / 100
  await session.detach()
  return { ...frames, workMs }
}
