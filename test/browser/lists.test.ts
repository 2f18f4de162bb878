/** Lists of the dashboard: what one finds, keeps, and does to many, in a real Chromium on a real Redis with real workers. */
import { connect } from 'graflow'
import type { Page } from 'playwright-core'
import { useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import { axeFindings, openChromium, shot, type TestBrowser } from './chromium.js'
import { admit, checkout, driven, halves, held, later, refund, weather } from './dashboard.tasks.js'
import { row, serve, sideways, TASKS, type World } from './dashboard-world.js'

/** What pages have, in which the functions given to `evaluate` run. */
declare const document: any
declare const localStorage: any
declare const getComputedStyle: any
declare const paint: () => void
declare const requestAnimationFrame: (next: () => void) => void

const stage = useStage(TASKS)
let browser: TestBrowser
beforeAll(async () => {
  browser = await openChromium()
})
afterAll(() => browser.close())
afterEach(() => {
  expect(browser.complaints).toEqual([])
})

interface Sized {
  readonly scrollWidth: number
  readonly clientWidth: number
  readonly scrollHeight: number
  readonly clientHeight: number
}

const order = { order: 'A-9', amount: 5, express: false }
const isLive = (page: Page) => page.locator('.live', { hasText: 'Live' }).waitFor()

/** What a page asks of the API from now on: method, path and query. */
function asked(page: Page): string[] {
  const all: string[] = []
  page.on('request', (request) => {
    const { pathname, search } = new URL(request.url())
    if (pathname.startsWith('/api/')) all.push(`${request.method()} ${pathname.slice('/api/v1'.length)}${search}`)
  })
  return all
}

async function failed({ graflow }: World, many: number, item: number, prefix: string): Promise<void> {
  const runs = await Promise.all(
    Array.from({ length: many }, (_, n) => graflow.submit(halves, [item], { id: `${prefix}-${n}`, tags: [prefix] })),
  )
  await Promise.all(runs.map((run) => run.result().catch(() => undefined)))
}

describe('all runs that match', () => {
  it('are changed by one command of the server, which says how many, asks once, and is told of after a load of the page anew', async () => {
    const world = await serve(await stage())
    // more than are loaded at once
    await Promise.all(
      Array.from({ length: 300 }, (_, n) => world.graflow.submit(checkout, order, { id: `odd-${n}`, tags: ['odd'] })),
    )
    await world.graflow.submit(checkout, order, { id: 'other' })
    const page = await browser.page()
    const calls = asked(page)
    await page.goto(`${world.url}runs?tag=odd`)
    await page.getByText('250 runs so far').waitFor({ state: 'attached' })
    await page.getByLabel('Select all that are loaded').click()
    await page.getByRole('button', { name: 'Select all that match' }).click()
    await page.locator('.bulk').getByText('All that match').waitFor()
    // what is meant by all is said anew for each selection
    await page.getByRole('button', { name: 'Clear', exact: true }).last().click()
    await page.getByLabel('Select all that are loaded').click()
    await page
      .locator('.bulk')
      .getByText(/\d+ selected/)
      .waitFor()
    await page.getByRole('button', { name: 'Select all that match' }).click()
    await world.graflow.submit(checkout, order, { id: 'odd-later', tags: ['odd'] })
    await page.getByRole('button', { name: 'Delete', exact: true }).click()
    await page.getByRole('heading', { name: 'Delete all 300 runs that match?' }).waitFor()
    await shot(page, 'bulk-all')
    await page.getByRole('button', { name: 'Delete 300 runs' }).click()
    const told = page.locator('.job', { hasText: '300 runs deleted' })
    await told.waitFor()
    await shot(page, 'bulk-told')
    expect(calls.filter((call) => /^(?:POST|DELETE)/.test(call))).toEqual([
      'POST /runs/bulk?wait=0', // how many
      'POST /runs/bulk?wait=0',
    ])
    const left = (await world.graflow.runs.list({ limit: 200 })).items.map(({ id }) => id)
    expect(left.sort()).toEqual(['odd-later', 'other'])
    await page.reload()
    await told.waitFor()
    await row(page, 'odd-later').waitFor()
    await told.getByRole('button', { name: 'Close' }).click()
    await page.reload()
    await row(page, 'odd-later').waitFor()
    expect(await told.count()).toBe(0)
    await page.close()
  }, 90_000)

  it('are counted while a command runs, also of another person, with what failed and a way to stop it', async () => {
    const { url } = await serve(await stage())
    const page = await browser.page({ width: 320 })
    const job = {
      ...{ id: 'job-1', action: 'retry', filter: { state: ['failed'], tag: 'nightly' }, createdAt: new Date() },
      ...{ status: 'running', done: 410, matched: 420, failed: 10 },
    }
    let now: object = job
    await page.route('**/api/v1/bulk-jobs', (route) => route.fulfill({ json: { items: [now] } }))
    await page.goto(`${url}runs`)
    const line = page.locator('.job')
    await line.getByText('Retrying all that match').waitFor()
    expect(await line.textContent()).toMatch(
      /state failed, tag nightly.*420 so far.*10 runs met an error and are as they were/,
    )
    await line.getByRole('button', { name: 'Stop' }).waitFor()
    await shot(page, 'bulk-runs-phone')
    expect(await axeFindings(page)).toEqual([])
    expect(await sideways(page)).toBe(0)
    now = { ...job, status: 'done', done: 990, matched: 1_000, endedAt: new Date() }
    await line.getByText('990 runs retried').waitFor()
    expect(await line.getByRole('link', { name: 'Show what matches still' }).getAttribute('href')).toBe(
      '/runs?state=failed&tag=nightly',
    )
    await page.close()
  }, 60_000)
})

describe('filters', () => {
  it('find runs by their error and by what they wait for where none of the newest is one', async () => {
    const world = await serve(await stage())
    const { place, graflow, url } = world
    await place.worker('ada', { maxConcurrentTasks: 32 })
    await failed(world, 1, 3, 'three')
    await graflow.submit(later, undefined, { id: 'waits-on' })
    await until(async () => (await graflow.runs.get('waits-on'))?.state === 'waiting', 'a run that waits')
    await failed(world, 60, 1, 'one')
    const page = await browser.page()
    const calls = asked(page)
    await page.goto(`${url}runs`)
    await row(page, 'one-').waitFor()
    const field = page.getByLabel('Error: code or words')
    await field.fill('3 is ODD')
    await page.keyboard.press('Enter')
    await row(page, 'three-0').waitFor()
    await page.getByText('1 run, that is all').waitFor()
    expect(new URL(page.url()).search).toBe('?message=3+is+ODD')
    await field.fill('GROUP_FAILED')
    await page.keyboard.press('Enter')
    await row(page, 'one-').waitFor()
    expect(new URL(page.url()).search).toBe('?error=GROUP_FAILED')
    await page.goto(`${url}runs?why=signal&until=${Date.now() + 3_600_000}`)
    await row(page, 'waits-on').waitFor()
    await page.getByText('1 run, that is all').waitFor()
    // a filter without a field is said, and goes by a click
    await page.getByRole('button', { name: /^until/ }).click()
    await until(() => new URL(page.url()).search === '?why=signal', 'an address without it')
    // two of its steps are over, and the third has no end yet: the bar is not full
    const bar = row(page, 'waits-on').locator('.bar')
    const [whole, part] = [await bar.boundingBox(), await bar.locator('i').boundingBox()]
    expect(part?.width ?? 0).toBeLessThan((whole?.width ?? 0) * 0.9)
    await page.goto(`${url}waits?why=signal`)
    await row(page, 'waits-on').waitFor()
    expect(calls.filter((call) => /^GET \/waits\?.*why=signal/.test(call))).not.toEqual([])
    await page.close()
  }, 90_000)
})

describe('a row', () => {
  it('tells what has become of a run that matches no more, or is deleted', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    await graflow.submit(held, [1], { id: 'held-1' })
    await graflow.submit(held, [2], { id: 'held-2' })
    const page = await browser.page()
    await page.goto(`${url}runs?state=running`)
    await row(page, 'held-1').getByText('running').waitFor()
    await row(page, 'held-2').getByText('running').waitFor()
    await graflow.runs.delete('held-2')
    await page.locator('.row.is-gone', { hasText: 'held-2' }).waitFor()
    place.ledger.open('go')
    await row(page, 'held-1').getByText('completed').waitFor()
    await page.getByText('2 runs, 1 of them deleted meanwhile, that is all').waitFor()
    await page.close()
  }, 60_000)

  it('is where one left it when one comes back', async () => {
    const { graflow, url } = await serve(await stage())
    await Promise.all(Array.from({ length: 130 }, (_, n) => graflow.submit(checkout, order, { id: `run-${n}` })))
    const page = await browser.page()
    await page.goto(`${url}runs`)
    await row(page, 'run-').waitFor()
    const bottom = (): Promise<unknown> => page.locator('#main').evaluate((main) => main.scrollTo(0, main.scrollHeight))
    while (!(await page.getByText('130 runs, that is all').isVisible())) await bottom()
    await bottom()
    const before = await page.locator('#main').evaluate((main) => main.scrollTop)
    expect(before).toBeGreaterThan(2_000)
    await page.locator('.table-body .row').last().getByRole('link').first().click()
    await until(() => /^\/runs\/run-/.test(new URL(page.url()).pathname), 'the page of a run')
    await page.goBack()
    await page.getByText('130 runs, that is all').waitFor()
    expect(await page.locator('#main').evaluate((main) => main.scrollTop)).toBe(before)
    await page.close()
  }, 60_000)

  it('has the label of its item: waits, dead letters, questions', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    const run = await graflow.submit(weather, [
      { name: 'Oslo', size: 1 },
      { name: 'Frankfurt', size: 2 },
    ])
    await run.result().catch(() => undefined)
    await graflow.submit(admit, [{ name: 'Grace' }], { id: 'admit-1' })
    await until(async () => (await graflow.waits.of('admit-1')).length > 0, 'a question')
    for (const width of [1_280, 320]) {
      const page = await browser.page({ width })
      await page.goto(`${url}waits`)
      await row(page, 'May this person in?').getByText('Grace').waitFor()
      await page.goto(`${url}dead-letters`)
      await row(page, 'city').getByText('Frankfurt', { exact: true }).waitFor()
      await page.goto(url)
      await page.locator('.need', { hasText: 'May this person in?' }).getByText('Grace: asked by').waitFor()
      await shot(page, `labels-${width}`)
      await page.close()
    }
  }, 60_000)
})

describe('questions of several runs', () => {
  it('say each what is asked, of which item, by which run', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    const ids = ['2026-11-30-refund-of-customer-8812', '2026-11-30-refund-of-customer-8813']
    for (const id of ids) await graflow.submit(refund, undefined, { id })
    await until(async () => (await graflow.waits.list()).items.length === 2, 'two questions')
    for (const width of [1_280, 320]) {
      const page = await browser.page({ width })
      await page.goto(url)
      for (const end of ['8812', '8813']) {
        const need = page.locator('.need', { hasText: new RegExp(`by refund, run .*${end}`) })
        await need.getByText('It was paid twice.').waitFor()
        await need.getByText(new RegExp(`^asked by refund, run .*${end}$`)).waitFor()
      }
      // a phone has nothing to point with: no text is cut
      const cut = await page
        .locator('.need-text > *')
        .evaluateAll((all: Sized[]) =>
          all.filter((one) => one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight + 1),
        )
      expect(cut).toEqual([])
      await shot(page, `questions-overview-${width}`)
      await page.goto(`${url}waits`)
      for (const end of ['8812', '8813']) await row(page, end).getByText('It was paid twice.').waitFor()
      await shot(page, `questions-waits-${width}`)
      expect(await axeFindings(page)).toEqual([])
      expect(await sideways(page)).toBe(0)
      await page.close()
    }
  }, 60_000)
})

describe('a run that waits', () => {
  it('says how much is done so far, and not that all of it is', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    await graflow.submit(later, undefined, { id: 'waits-on' })
    await until(async () => (await graflow.waits.of('waits-on')).length > 0, 'a wait')
    const page = await browser.page()
    await page.goto(`${url}runs/waits-on`)
    await page.locator('.run-state').getByText('2 done so far').waitFor()
    await page.goto(`${url}runs`)
    await row(page, 'waits-on').getByText('2 so far').waitFor()
    await page.close()
  }, 60_000)
})

describe('workers', () => {
  it('are told of where there is none, with the command that starts one', async () => {
    const { place, graflow, url } = await serve(await stage())
    await graflow.submit(checkout, order, { id: 'left-alone' })
    const page = await browser.page()
    const command = `npx graflow-worker --tasks ./tasks.mjs \\\n  --redis-url redis://127.0.0.1:${place.server.port} --redis-key-prefix ${place.prefix}`
    await page.goto(url)
    await page.locator('.need', { hasText: 'No worker is there' }).waitFor()
    expect(await page.locator('.command code').textContent()).toBe(command)
    await shot(page, 'no-worker')
    expect(await axeFindings(page)).toEqual([])
    for (const path of ['workers', 'cluster', 'start']) {
      await page.goto(`${url}${path}`)
      await page.locator('.command code').waitFor()
      expect(await page.locator('.command code').textContent()).toBe(command)
      await shot(page, `no-worker-${path}`)
      expect(await axeFindings(page)).toEqual([])
      await page.setViewportSize({ width: 320, height: 700 })
      expect(await sideways(page)).toBe(0)
      await page.setViewportSize({ width: 1_280, height: 900 })
    }
    await place.worker('ada')
    await page.locator('.command').waitFor({ state: 'detached' })
    await page.goto(url)
    await page.getByText('1 live worker').waitFor()
    expect(await page.locator('.need', { hasText: 'No worker is there' }).count()).toBe(0)
    await page.close()
  }, 60_000)

  it('are not asked for where the process of the server does the work', async () => {
    await using graflow = await connect({ logLevel: 'silent', tasks: [later], serve: { port: 0 } })
    const url = graflow.server?.url ?? ''
    const page = await browser.page()
    await page.goto(url)
    await page.getByText('The engine is in the process of this server').waitFor()
    expect(await page.locator('.command').count()).toBe(0)
    expect(await axeFindings(page)).toEqual([])
    await page.getByRole('link', { name: 'start a run' }).click()
    await page.getByRole('heading', { name: 'Start a run' }).waitFor()
    await graflow.start(later, undefined, { id: 'waits-on' })
    await page.goto(url)
    await page.getByText('The process of this server does the work itself.').waitFor()
    expect(await page.getByText('No worker is there').count()).toBe(0)
    await page.goto(`${url}cluster`)
    await page.getByText('None is needed').waitFor()
    await page.close()
  }, 60_000)

  it('have branches in hand, and drive runs, which are none', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    await graflow.submit(driven, undefined, { id: 'driven-1' })
    const page = await browser.page()
    await page.goto(url)
    await page.getByText('1 live worker, 1 run in hand').waitFor()
    await graflow.submit(held, [1, 2], { id: 'held-1' })
    await page.getByText('1 live worker, 2 branches, 2 runs in hand').waitFor()
    await shot(page, 'in-hand')
    await page.goto(`${url}workers`)
    const cells = row(page, 'ada').locator('.num')
    expect([await cells.nth(0).textContent(), await cells.nth(1).textContent()]).toEqual(['2', '2'])
    await page.goto(`${url}cluster`)
    await row(page, 'ada').getByText('2 branches, 2 runs').waitFor()
    place.ledger.open('go')
    await row(page, 'ada').getByText('0 branches').waitFor()
    await page.close()
  }, 60_000)
})

describe('waits', () => {
  it('have one word each: in the filter, in the row, and in the list of runs', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    await graflow.submit(refund, undefined, { id: 'refund-1' })
    await until(async () => (await graflow.waits.of('refund-1')).length > 0, 'a question')
    const page = await browser.page()
    await page.goto(`${url}waits`)
    expect(await row(page, 'refund-1').locator('.why').textContent()).toBe('signal')
    await page.getByRole('button', { name: 'signal 1' }).click()
    await row(page, 'refund-1').waitFor()
    await page.goto(`${url}runs?why=signal`)
    await page.locator('option:checked', { hasText: 'Waits: signal' }).waitFor({ state: 'attached' })
    await page.goto(url)
    await page.locator('.reasons a', { hasText: 'signal' }).waitFor()
    await page.close()
  }, 60_000)
})

describe('the rail', () => {
  it('counts workers that were lost, whether they are stale or dead', async () => {
    const { place, url } = await serve(await stage())
    await place.worker('ada')
    const page = await browser.page()
    for (const state of ['stale', 'dead']) {
      await page.route('**/api/v1/cluster/workers?*', async (route) => {
        const answer = await route.fetch()
        const { items, ...rest } = await answer.json()
        await route.fulfill({
          response: answer,
          json: { ...rest, items: items.map((one: any) => ({ ...one, state })) },
        })
      })
      await page.goto(`${url}cluster`)
      await page.locator('.nav a[href="/workers"] .nav-count').filter({ hasText: '1' }).waitFor()
      await page.unrouteAll({ behavior: 'ignoreErrors' })
    }
    await page.close()
  }, 60_000)
})

describe('the title', () => {
  it('has the prefix, once', async () => {
    const place = await stage()
    const plain = await place.client({ keyPrefix: 'graflow', serve: { port: 0 } })
    const other = await serve(place)
    const page = await browser.page()
    for (const [url, title] of [
      [plain.server?.url ?? '', 'Queues · graflow'],
      [other.url, `Queues · ${place.prefix} · graflow`],
    ] as const) {
      await page.goto(url)
      // by now the page knows its prefix: it has said before what it is without one
      await page.locator('.where code').waitFor()
      await page.getByRole('link', { name: 'Queues', exact: true }).click()
      await page.getByRole('heading', { name: 'Queues', level: 1 }).waitFor()
      await until(async () => (await page.title()) === title, title)
    }
    await page.close()
  }, 60_000)
})

describe('the search', () => {
  it('finds runs by their ids and parts of them, and branches by their paths', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    await graflow.submit(checkout, order, { id: 'shop-2026:order-7', tags: ['vip-17'] })
    const run = await graflow.submit(
      weather,
      [
        { name: 'Kiel', size: 1 },
        { name: 'Frankfurt', size: 9 },
      ],
      { id: 'weather-3' },
    )
    await run.result().catch(() => undefined)
    const page = await browser.page()
    await page.goto(`${url}queues`)
    await isLive(page)
    const goes = async (text: string, says: RegExp, to: string): Promise<void> => {
      await page.keyboard.press('/')
      await page.getByRole('combobox', { name: /^Search/ }).fill(text)
      await page.getByRole('option', { selected: true }).filter({ hasText: says }).waitFor()
      await shot(page, `search-${text.replace(/\W+/g, '-')}`)
      await page.keyboard.press('Enter')
      await until(() => new URL(page.url()).pathname + new URL(page.url()).search === to, to)
    }
    await goes('order-7', /^shop-2026:order-7/, '/runs/shop-2026%3Aorder-7')
    await goes('vip-17', /^shop-2026:order-7/, '/runs/shop-2026%3Aorder-7')
    await goes('weather-3', /^weather-3/, '/runs/weather-3')
    await goes('weather-3/0/1', /^0\/1 of weather-3/, '/runs/weather-3?at=0%2F1')
    await goes('0/0', /^0\/0.*place in this run/, '/runs/weather-3?at=0%2F0')
    await goes('Frankfurt', /^0\/1 of weather-3.*dead letter/, '/runs/weather-3?at=0%2F1')
    await page.close()
  }, 60_000)
})

describe('keys', () => {
  it('press what has the focus, and select rows up to the one in hand', async () => {
    const { graflow, url } = await serve(await stage())
    for (const n of [1, 2, 3, 4]) await graflow.submit(checkout, order, { id: `run-${n}` })
    const page = await browser.page()
    await page.goto(`${url}runs`)
    await row(page, 'run-4').waitFor()
    for (const key of ['j', 'x', 'j', 'j', 'Shift+X']) await page.keyboard.press(key)
    await page.getByText('3 selected').waitFor()
    // on the box of a row, Enter opens the row
    await row(page, 'run-2').getByRole('checkbox').focus()
    await page.keyboard.press('Enter')
    await until(() => new URL(page.url()).pathname === '/runs/run-2', 'the page of the run')
    await page.goBack()
    await row(page, 'run-4').waitFor()
    await page.getByRole('button', { name: 'failed', exact: true }).focus()
    await page.keyboard.press('Enter')
    await page.getByText('No run matches').waitFor()
    await page.getByRole('link', { name: 'Queues' }).focus()
    await page.keyboard.press('Enter')
    await until(() => new URL(page.url()).pathname === '/queues', 'the queues')
    await page.getByRole('link', { name: 'runs', exact: true }).waitFor()
    await page.getByRole('link', { name: 'Builds' }).focus()
    await page.keyboard.press('Enter')
    await until(() => new URL(page.url()).pathname === '/builds', 'the builds')
    await page.close()
  }, 60_000)
})

describe('a first load', () => {
  it('asks each thing once, and shows the frame before the script is there', async () => {
    const { url } = await serve(await stage())
    const page = await browser.page()
    let release = (): void => undefined
    const isFree = new Promise<void>((resolve) => {
      release = resolve
    })
    await page.route('**/app.js*', async (route) => {
      await isFree
      await route.continue()
    })
    await page.goto(url, { waitUntil: 'commit' })
    await page.getByRole('link', { name: 'Dead letters' }).waitFor()
    await page.getByRole('status', { name: 'Loading' }).waitFor()
    await until(
      () => page.evaluate(() => performance.getEntriesByName('first-contentful-paint').length > 0),
      'a first paint',
    )
    await shot(page, 'first')
    const calls = asked(page)
    release()
    await page.getByText('Nothing runs here yet').waitFor()
    await isLive(page)
    expect(calls.length).toBeGreaterThan(6)
    expect(calls.filter((call, i) => calls.indexOf(call) !== i)).toEqual([])
    expect(await page.locator('.frame').count()).toBe(1)
    await page.close()
  }, 60_000)

  it('asks for the dashboard behind the first frame', async () => {
    const { url } = await serve(await stage())
    const page = await browser.page()
    await page.addInitScript(() => {
      const held: (() => void)[] = []
      const own = requestAnimationFrame
      Object.assign(globalThis, {
        requestAnimationFrame: (next: () => void) => held.push(next),
        paint: () => {
          Object.assign(globalThis, { requestAnimationFrame: own })
          for (const next of held) own(next)
        },
      })
    })
    const files: string[] = []
    page.on('request', (request) => files.push(new URL(request.url()).pathname))
    await page.goto(url)
    await page.getByRole('link', { name: 'Dead letters' }).waitFor()
    // nothing else takes the time of the first frame
    expect(files).toEqual(['/', '/first.js', '/first.css'])
    expect(await page.locator('.frame.is-first').count()).toBe(1)
    await page.evaluate(() => paint())
    await page.getByText('Nothing runs here yet').waitFor()
    await page.close()
  }, 60_000)

  it('has the colours that one chose, or that the system has, before the dashboard is there', async () => {
    const { url } = await serve(await stage())
    for (const [system, chosen, paper] of [
      ['light', 'dark', 'rgb(12, 14, 18)'],
      ['dark', 'light', 'rgb(248, 249, 251)'],
      ['dark', undefined, 'rgb(12, 14, 18)'],
    ] as const) {
      const page = await browser.page({ theme: system })
      if (chosen !== undefined)
        await page.addInitScript((theme) => localStorage.setItem('graflow-theme', theme), chosen)
      await page.route('**/app.js*', () => undefined)
      await page.goto(url, { waitUntil: 'commit' })
      await page.getByRole('link', { name: 'Dead letters' }).waitFor()
      expect(await page.locator('body').evaluate((body: any) => getComputedStyle(body).backgroundColor)).toBe(paper)
      await shot(page, `first-${system}-${chosen ?? 'auto'}`)
      // before the style sheet is there, a dark page is not white
      expect(await page.locator('meta[name="color-scheme"]').getAttribute('content')).toBe('light dark')
      await page.close()
    }
  }, 60_000)

  it('in a tab behind another one is live once it is seen', async () => {
    const { url } = await serve(await stage())
    const page = await browser.page()
    await page.addInitScript(() => Object.defineProperty(document, 'hidden', { configurable: true, value: true }))
    await page.goto(`${url}queues`)
    await page.locator('.live', { hasText: 'Paused' }).waitFor()
    await page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { configurable: true, value: false })
      document.dispatchEvent(new Event('visibilitychange'))
    })
    await isLive(page)
    await page.close()
  }, 60_000)
})

describe('the form of a start', () => {
  it('begins anew for another workflow', async () => {
    const { place, url } = await serve(await stage())
    await place.worker('ada')
    const page = await browser.page()
    await page.goto(`${url}start?workflow=checkout`)
    await page.getByLabel('order').fill('K-1')
    await page.getByLabel('Workflow', { exact: true }).selectOption('halves')
    expect(await page.getByLabel('Input as JSON').inputValue()).toBe('')
    await page.close()
  }, 60_000)
})

describe('the cluster', () => {
  it('is shown by its topology: who leads, ages by the clock of the store, what is placed where', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    await graflow.deployments.deploy({
      name: 'orders',
      pipelines: [{ name: 'paid', source: 'charge' }],
      routes: [{ from: '_external', to: 'paid', eventTypes: ['order.*'] }],
    })
    const lost = await place.worker('lost')
    await lost.kill9()
    await until(async () => (await graflow.workers.get('lost'))?.state === 'stale', 'a worker that is lost')
    const page = await browser.page()
    const calls = asked(page)
    await page.goto(`${url}cluster`)
    await row(page, 'ada').getByText('paid').waitFor()
    await page.getByRole('region', { name: 'Pipeline group orders' }).getByText('order.*').waitFor()
    await row(page, 'lost').getByText('stale').waitFor()
    await shot(page, 'topology')
    expect(calls.filter((call) => call.startsWith('GET /cluster/workers?'))).toEqual(['GET /cluster/workers?limit=200']) // the rail
    // one that was lost is taken off the list
    await page.goto(`${url}workers`)
    await page.getByRole('button', { name: 'Forget lost' }).click()
    await row(page, 'lost').waitFor({ state: 'detached' })
    expect(await graflow.workers.get('lost')).toBeUndefined()
    await page.close()
  }, 60_000)
})
