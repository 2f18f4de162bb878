/** The pages of the dashboard, in a real Chromium, on a real Redis with real workers. The page of one run has tests of its own. */
import { connect } from 'graflow'
import type { Page } from 'playwright-core'
import { useStage } from '../support/redis-stage.js'
import { elapse, until } from '../support/waits.js'
import { axeFindings, openChromium, shot, type TestBrowser } from './chromium.js'
import { checkout, echo, halves, held } from './dashboard.tasks.js'
import { fill, row, serve, sideways, TASKS } from './dashboard-world.js'

/** What pages have, in which the functions given to `evaluate` run. */
declare const document: any

const stage = useStage(TASKS)
let browser: TestBrowser
beforeAll(async () => {
  browser = await openChromium()
})
afterAll(() => browser.close())
afterEach(() => {
  expect(browser.complaints).toEqual([])
})

const order = { order: 'A-9', amount: 5, express: false }
const isLive = (page: Page) => page.locator('.live', { hasText: 'Live' }).waitFor()

/** Pages, and what says that they are there. */
const PAGES: readonly (readonly [name: string, path: string, says: string])[] = [
  ['overview', '', 'Refund 412.00 EUR to customer 8812?'],
  ['runs', 'runs', 'refund-8812'],
  ['waits', 'waits', 'Refund 412.00 EUR to customer 8812?'],
  ['queues', 'queues', 'mail'],
  ['workers', 'workers', 'grace'],
  ['worker', 'workers?id=ada', 'zone=eu-1'],
  ['dead-letters', 'dead-letters', '3 is odd'],
  ['builds', 'builds', '2026.11.2'],
  ['cluster', 'cluster', 'Heartbeat age'],
  ['start', 'start?workflow=checkout', 'As the shop shows it'],
  ['nothing', 'no/such/page', 'There is no such page'],
]

describe('the dashboard', () => {
  it('shows what is there on every page: light and dark, wide and 320 px, without what axe finds wrong', async () => {
    const world = await serve(await stage())
    await fill(world)
    const wrong: unknown[] = []
    for (const theme of ['light', 'dark'] as const) {
      for (const width of [1_280, 320]) {
        const page = await browser.page({ theme, width })
        for (const [name, path, says] of PAGES) {
          await page.goto(`${world.url}${path}`)
          // a phone shows rows as cards, which have no heads of columns
          if (!(name === 'cluster' && width === 320)) await page.getByText(says).first().waitFor()
          await isLive(page)
          await shot(page, `${name}-${theme}-${width}`)
          wrong.push(...(await axeFindings(page)).map((finding) => ({ name, theme, width, finding })))
          const pixels = await sideways(page)
          if (pixels > 0) wrong.push({ name, theme, width, sideways: pixels })
        }
        await page.close()
      }
    }
    expect(wrong).toEqual([])
  }, 240_000)

  it('says what to do where nothing is yet, and shows it as it comes', async () => {
    const { place, graflow, url } = await serve(await stage())
    const page = await browser.page()
    await page.goto(url)
    await page.getByText('Nothing runs here yet').waitFor()
    await page.getByText(`--redis-url redis://127.0.0.1:${place.server.port}`).first().waitFor()
    expect(await axeFindings(page)).toEqual([])
    await shot(page, 'empty')
    // the commands are longer than a phone is wide: they are broken, and the page does not scroll
    await page.setViewportSize({ width: 390, height: 844 })
    expect(await sideways(page)).toBe(0)
    await page.setViewportSize({ width: 1_280, height: 900 })
    for (const [name, says] of [
      ['runs', 'No runs yet'],
      ['waits', 'Nothing waits'],
      ['queues', 'No queue yet'],
      ['workers', 'No worker is there'],
      ['dead-letters', 'No dead letters'],
      ['builds', 'No builds'],
    ] as const) {
      await page
        .getByRole('link', { name: name === 'dead-letters' ? 'Dead letters' : new RegExp(`^${name}`, 'i') })
        .first()
        .click()
      await page.getByText(says).waitFor()
    }
    await page.goBack()
    await page.getByText('No dead letters').waitFor()
    await page.getByRole('link', { name: 'Overview', exact: true }).click()
    await place.worker('ada')
    await page.getByRole('heading', { name: 'Needs you' }).waitFor()
    await (await graflow.submit(checkout, order)).result()
    await page.locator('.tile', { hasText: 'Finished' }).getByText('1', { exact: true }).waitFor()
    await page.close()
  }, 120_000)

  it('is used by keys alone', async () => {
    const world = await serve(await stage())
    await fill(world)
    const page = await browser.page()
    const press = async (...keys: readonly string[]): Promise<void> => {
      for (const key of keys) await page.keyboard.press(key)
    }
    await page.goto(world.url)
    await isLive(page)
    await press('?')
    await page
      .getByRole('dialog')
      .getByText('Next row')
      .or(page.getByRole('dialog').getByText('Dead letters'))
      .first()
      .waitFor()
    await shot(page, 'keys')
    await press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    // to the runs, down two rows and up one, selected, opened, and back
    await press('g', 'r')
    await row(page, 'refund-8812').waitFor()
    await press('j', 'j', 'k', 'x')
    await page.getByText('1 selected').waitFor()
    await press('Enter')
    await until(() => new URL(page.url()).pathname === '/runs/held-1', 'the page of the first run')
    await page.goBack()
    await row(page, 'refund-8812').waitFor()
    // found by a word
    await press('/')
    await page.getByRole('combobox', { name: /^Search/ }).waitFor()
    await page.keyboard.type('halv')
    await page.getByRole('option', { name: 'halves' }).waitFor()
    await shot(page, 'search')
    await press('Enter')
    await until(() => new URL(page.url()).searchParams.get('workflow') === 'halves', 'the runs of the workflow')
    await row(page, 'odd-one').waitFor()
    // a run is started with its form
    await press('g', 's')
    await page.getByLabel('Workflow', { exact: true }).focus()
    await page.keyboard.type('checkout')
    await page.getByLabel('order').focus()
    await page.keyboard.type('K-1')
    await press('Tab')
    await page.keyboard.type('12.5')
    await press('Enter')
    await until(() => /^\/runs\/.+/.test(new URL(page.url()).pathname), 'the page of the run')
    const id = decodeURIComponent(new URL(page.url()).pathname.slice('/runs/'.length))
    expect(await (await world.graflow.attach(id)).result()).toEqual({ order: 'K-1', paid: 12.5 })
    await page.close()
  }, 120_000)

  it('starts a run again, with its input changed', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    const first = await graflow.submit(checkout, order, { tags: ['again'] })
    await first.result()
    const page = await browser.page()
    await page.goto(`${url}start?from=${first.id}`)
    const amount = page.getByLabel('amount')
    await amount.waitFor()
    expect([await page.getByLabel('order').inputValue(), await amount.inputValue()]).toEqual(['A-9', '5'])
    await amount.fill('7')
    await page.getByRole('button', { name: 'Start the run' }).dblclick()
    await until(() => /^\/runs\/.+/.test(new URL(page.url()).pathname), 'the page of the run')
    const all = await graflow.runs.list({ tag: 'again' })
    expect(all.items).toHaveLength(2)
    expect(await (await graflow.attach(all.items[0]!.id)).result()).toEqual({ order: 'A-9', paid: 7 })
    // what does not fit is told where one is, and starts nothing
    await page.goto(`${url}start?flow=${encodeURIComponent('charge >> chrage')}`)
    await page.getByLabel('Input as JSON').fill('{ "order": 5 }')
    await page.getByRole('button', { name: 'Start the run' }).click()
    await page.getByText('It was not started').waitFor()
    await shot(page, 'refused')
    await page.getByLabel('Input as JSON').fill('{ "order": ')
    await page.getByText('This is no JSON').waitFor()
    expect(await page.getByRole('button', { name: 'Start the run' }).isDisabled()).toBe(true)
    await page.close()
  }, 60_000)
})

describe('the list of runs', () => {
  it('changes in place, keeps new ones back until one asks for them, and has its filters in the address', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    await graflow.submit(held, [1], { id: 'held-1' })
    const page = await browser.page()
    await page.goto(`${url}runs`)
    await isLive(page)
    await row(page, 'held-1').getByText('running').waitFor()
    await graflow.submit(checkout, order, { id: 'newer', tags: ['blue'] })
    await page.getByRole('button', { name: '1 new' }).waitFor()
    expect(await row(page, 'newer').count()).toBe(0)
    place.ledger.open('go')
    await row(page, 'held-1').getByText('completed').waitFor()
    await shot(page, 'new')
    await page.getByRole('button', { name: '1 new' }).click()
    await row(page, 'newer').getByText('completed').waitFor()
    // a filter is an address that a colleague can open
    await page.getByLabel('Tag').fill('blue')
    await page.keyboard.press('Enter')
    await until(async () => (await page.locator('.table-body .row').count()) === 1, 'one row')
    const other = await browser.page()
    await other.goto(page.url())
    await row(other, 'newer').waitFor()
    expect(await other.locator('.table-body .row').count()).toBe(1)
    await other.getByRole('button', { name: 'failed' }).click()
    await other.getByText('No run matches').waitFor()
    await other.goBack()
    await row(other, 'newer').waitFor()
    await page.close()
    await other.close()
  }, 60_000)

  it('retries what is selected, and cancels and deletes all that match, after one question that says how many', async () => {
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada')
    const runs = await Promise.all([1, 2, 3, 4].map((n) => graflow.submit(halves, [1], { id: `odd-${n}` })))
    await Promise.all(runs.map((run) => run.result().catch(() => undefined)))
    place.ledger.open('mended')
    const page = await browser.page()
    await page.goto(`${url}runs?workflow=halves`)
    await row(page, 'odd-4').waitFor()
    const boxes = page.locator('.table-body').getByRole('checkbox')
    await boxes.nth(0).click()
    await boxes.nth(2).click({ modifiers: ['Shift'] })
    await page.getByText('3 selected').waitFor()
    await page.getByRole('button', { name: 'Retry' }).click()
    await page.getByRole('dialog').getByRole('heading', { name: 'Retry 3 runs?' }).waitFor()
    await shot(page, 'bulk')
    await page.getByRole('button', { name: 'Retry 3 runs' }).click()
    await page.getByText('3 runs retried').waitFor()
    await until(
      async () => (await graflow.runs.list({ state: 'completed' })).items.length === 3,
      'three completed runs',
    )
    await graflow.submit(checkout, order, { id: 'other' })
    await page.getByLabel('Select all that are loaded').click()
    await page.getByText('4 selected').waitFor()
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete 4 runs' }).click()
    await page.getByText('4 runs deleted').waitFor()
    expect((await graflow.runs.list()).items.map(({ id }) => id)).toEqual(['other'])
    await page.close()
  }, 60_000)
})

describe('commands', () => {
  it('pauses and resumes a queue, drains a worker, replays and deletes a dead letter', async () => {
    const world = await serve(await stage())
    await fill(world)
    const { graflow, url, place } = world
    const page = await browser.page()
    await page.goto(`${url}queues`)
    await page.getByRole('button', { name: 'Pause default' }).click()
    await page.getByRole('button', { name: 'Pause it' }).click()
    await page.getByRole('button', { name: 'Resume default' }).waitFor()
    expect((await graflow.queues.get('default'))?.isPaused).toBe(true)
    await page.getByRole('button', { name: 'Resume default' }).click()
    await page.getByRole('button', { name: 'Pause default' }).waitFor()
    expect((await graflow.queues.get('default'))?.isPaused).toBe(false)

    await page.goto(`${url}dead-letters`)
    await page.getByRole('link', { name: 'halve' }).first().click()
    await page.getByText('only even numbers have a half').first().waitFor()
    await shot(page, 'letter')
    place.ledger.open('mended')
    await page.getByRole('button', { name: 'Replay' }).click()
    await until(() => /^\/runs\/.+/.test(new URL(page.url()).pathname), 'the page of the new run')
    const id = decodeURIComponent(new URL(page.url()).pathname.slice('/runs/'.length))
    expect(await (await graflow.attach(id)).result()).toBe(1.5)
    await page.goBack()
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('button', { name: 'Delete it' }).click()
    await page.getByText('No dead letters').waitFor()

    await page.goto(`${url}workers`)
    await page.getByRole('button', { name: 'Drain grace' }).click()
    await page.getByRole('button', { name: 'Drain it' }).click()
    await page.getByText('grace finishes what it has, and leaves').waitFor()
    place.ledger.open('go')
    await row(page, 'grace').waitFor({ state: 'detached' })
    await page.close()
  }, 120_000)
})

describe('keys', () => {
  it('asks for a key, says when it is wrong, keeps it for the tab, and shows a key that may only read what it may not do', async () => {
    const world = await serve(await stage(), { apiKeys: ['read:the-read-key', 'admin:the-admin-key'] })
    const filler = { ...world }
    await fill(filler)
    const page = await browser.page()
    await page.goto(`${world.url}queues`)
    const field = page.getByLabel('Key', { exact: true })
    await field.waitFor()
    await shot(page, 'key')
    expect(await axeFindings(page)).toEqual([])
    await field.fill('not-the-key')
    await page.keyboard.press('Enter')
    await page.getByText('The server does not know this key').waitFor()
    await field.fill('the-read-key')
    await page.keyboard.press('Enter')
    await row(page, 'default').waitFor()
    await isLive(page)
    await page.getByText('Read only').waitFor()
    expect(await page.getByRole('button', { name: 'Pause default' }).isDisabled()).toBe(true)
    expect(await page.getByRole('link', { name: 'Start' }).count()).toBe(0)
    expect(await page.context().cookies()).toEqual([])
    await page.reload()
    await row(page, 'default').waitFor() // the tab still has it
    for (const [path, name] of [
      ['workers', 'Drain ada'],
      ['dead-letters', /^Replay/],
    ] as const) {
      await page.goto(`${world.url}${path}`)
      const button = page.getByRole('button', { name }).first()
      await button.waitFor()
      expect(await button.isDisabled()).toBe(true)
      expect(await button.getAttribute('title')).toContain('it needs the scope operate')
    }
    await page.goto(`${world.url}runs`)
    await row(page, 'odd-one').getByRole('checkbox').click()
    for (const name of ['Retry', 'Cancel', 'Delete'])
      expect(await page.getByRole('button', { name, exact: true }).isDisabled()).toBe(true)
    await shot(page, 'read-only')
    await page.close()
  }, 120_000)

  it('tries a key with one request, and says when it was not looked at for too many wrong ones', async () => {
    const { graflow, url } = await serve(await stage(), { apiKeys: ['read:the-read-key'] })
    await graflow.submit(checkout, order, { id: 'one' })
    const page = await browser.page()
    const asked: string[] = []
    page.on('request', (request) => {
      if (request.headers()['x-api-key'] === 'not-the-key') asked.push(new URL(request.url()).pathname)
    })
    await page.goto(url)
    const field = page.getByLabel('Key', { exact: true })
    await field.fill('not-the-key')
    await page.keyboard.press('Enter')
    await page.getByText('The server does not know this key').waitFor()
    expect(asked).toEqual(['/api/v1/server'])
    for (let n = 0; n < 25; n += 1) await fetch(`${url}api/v1/server`, { headers: { 'x-api-key': `guess-${n}` } })
    await page.keyboard.press('Enter')
    await page.getByText(/Too many wrong keys .* Try again in \d+ second/).waitFor()
    expect(asked).toEqual(['/api/v1/server', '/api/v1/server'])
    await until(
      async () => (await fetch(`${url}api/v1/server`, { headers: { 'x-api-key': 'the-read-key' } })).ok,
      'a server that looks at keys again',
    )
    await field.fill('the-read-key')
    await page.keyboard.press('Enter')
    await isLive(page)
    await page.goto(`${url}runs/one`)
    await page.getByRole('button', { name: 'Start again' }).waitFor()
    expect(await page.getByRole('button', { name: 'Start again' }).isDisabled()).toBe(true)
    await page.close()
  }, 60_000)
})

describe('a server that goes away', () => {
  it('is told since when, and what happened meanwhile is there when it is back', async () => {
    const place = await stage()
    const worker = await place.client()
    await place.worker('ada')
    const first = await connect(place.server.url, { keyPrefix: place.prefix, logLevel: 'silent', serve: { port: 0 } })
    const { url = '', port = 0 } = first.server ?? {}
    await (await worker.submit(checkout, order, { id: 'before' })).result()
    const page = await browser.page()
    await page.goto(`${url}runs`)
    await row(page, 'before').waitFor()
    await isLive(page)
    await first.close()
    await page
      .getByText(/Reconnecting since \d\d:\d\d:\d\d/)
      .first()
      .waitFor()
    await page.getByText('The server cannot be reached').waitFor()
    await row(page, 'before').waitFor() // what was known stays
    await shot(page, 'away')
    await (await worker.submit(checkout, order, { id: 'meanwhile' })).result()
    const second = await place.client({ serve: { port } })
    await isLive(page)
    await page.getByRole('button', { name: '1 new' }).click()
    await row(page, 'meanwhile').waitFor()
    expect(await page.getByText('The server cannot be reached').count()).toBe(0)
    await second.close()
    await page.close()
  }, 90_000)

  it('FT-H17: that has no Redis shows what was known, and since when', async () => {
    const place = await stage({})
    const { graflow, url } = await serve(place)
    await graflow.submit(checkout, order, { id: 'before' })
    const page = await browser.page()
    await page.goto(`${url}runs`)
    await row(page, 'before').waitFor()
    await place.server.freeze()
    await page.locator('.stale').getByText('REDIS_UNAVAILABLE').waitFor({ timeout: 30_000 })
    await row(page, 'before').waitFor()
    await shot(page, 'no-redis')
    await page.goto(`${url}queues`)
    await page.getByText('Queues could not be loaded').waitFor()
    place.server.thaw()
    await page.getByRole('button', { name: 'Try again' }).click()
    await row(page, 'runs').waitFor()
    await page.close()
  }, 90_000)
})

describe('a page', () => {
  it('has one stream of events, and a hidden tab none, and asks nothing', async () => {
    const { graflow, url } = await serve(await stage())
    const page = await browser.page()
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname))
    const streams = (): number => asked.filter((path) => path.endsWith('/events')).length
    const hide = (isHidden: boolean): Promise<void> =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { configurable: true, value })
        document.dispatchEvent(new Event('visibilitychange'))
      }, isHidden)
    await page.goto(`${url}queues`)
    await isLive(page)
    await page.getByText('No queue yet').waitFor()
    expect(streams()).toBe(1)
    await hide(true)
    await page.locator('.live', { hasText: 'Paused' }).waitFor()
    await elapse(500) // what was under way
    asked.length = 0
    await graflow.submit(checkout, order)
    await elapse(4_000) // twice as long as this page waits between two looks
    expect(asked).toEqual([])
    await hide(false)
    await row(page, 'runs').waitFor()
    await isLive(page)
    expect(streams()).toBe(1)
    await page.close()
  }, 60_000)
})

describe('a base path', () => {
  it('stands before every link, and pages open below it', async () => {
    const { place, graflow, url } = await serve(await stage(), { basePath: '/tools/graflow' })
    await place.worker('ada')
    await (await graflow.submit(checkout, order, { id: 'one' })).result()
    const page = await browser.page()
    await page.goto(`${url}runs`)
    await row(page, 'one').getByRole('link').first().click()
    await until(() => new URL(page.url()).pathname === '/tools/graflow/runs/one', 'the page of the run')
    await page.getByRole('link', { name: 'Workers' }).click()
    await row(page, 'ada').waitFor()
    const links = await page
      .locator('a[href^="/"]')
      .evaluateAll((all) => all.map((link) => link.getAttribute('href') ?? ''))
    expect(links.filter((link) => !link.startsWith('/tools/graflow/'))).toEqual([])
    await page.close()
  }, 60_000)
})

describe('what is not there', () => {
  it('is told on the page, with a way on', async () => {
    const { url } = await serve(await stage())
    const page = await browser.page()
    for (const [path, says] of [
      ['dead-letters/17-0', 'This letter is gone'],
      ['workers?id=nobody', 'There is no worker nobody'],
      ['queues?name=nothing', 'There is no queue nothing'],
      ['runs?state=failed', 'No run matches'],
    ] as const) {
      await page.goto(`${url}${path}`)
      await page.getByText(says).waitFor()
    }
    await page.close()
  }, 60_000)

  it('is drawn as what comes within 100 ms, while the server takes long', async () => {
    const { url } = await serve(await stage())
    const page = await browser.page()
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    await page.route('**/api/v1/queues?*', async (route) => {
      await held
      await route.continue()
    })
    await page.goto(`${url}queues`)
    await page.locator('.skeleton').waitFor()
    await shot(page, 'loading')
    release()
    await page.getByText('No queue yet').waitFor()
    await page.close()
  }, 60_000)
})

/** Texts that become markup, scripts or addresses where a page is careless. */
const PAYLOADS: readonly string[] = [
  '<script>window.hit=1</script>',
  '"><script>window.hit=1</script>',
  "'><img src=x onerror=window.hit=1>",
  '<img src=x onerror="window.hit=1">',
  '<svg onload=window.hit=1>',
  '<svg><script>window.hit=1</script></svg>',
  '<iframe srcdoc="<script>parent.hit=1</script>">',
  '<iframe src="javascript:parent.hit=1">',
  '<a href="javascript:window.hit=1">click</a>',
  'javascript:window.hit=1',
  '<body onload=window.hit=1>',
  '<input autofocus onfocus=window.hit=1>',
  '<details open ontoggle=window.hit=1>x</details>',
  '<video><source onerror=window.hit=1></video>',
  '<math><mi xlink:href="javascript:window.hit=1">x</mi></math>',
  '<object data="javascript:window.hit=1">',
  '<embed src="javascript:window.hit=1">',
  '<style>@import "javascript:window.hit=1"</style>',
  '<link rel=stylesheet href="javascript:window.hit=1">',
  '<meta http-equiv=refresh content="0;javascript:window.hit=1">',
  '<base href="https://evil.example/">',
  '<form action="javascript:window.hit=1"><button>x</button></form>',
  '</title><script>window.hit=1</script>',
  '</textarea><script>window.hit=1</script>',
  '--><script>window.hit=1</script><!--',
  ']]><script>window.hit=1</script>',
  '${window.hit=1}{{window.hit=1}}',
  '&lt;script&gt;window.hit=1&lt;/script&gt;',
  '\u202e<script>window.hit=1</script>',
  '<template><script>window.hit=1</script></template><x onclick=window.hit=1>',
]

describe('a phone', () => {
  it('shows which run a card is of and what it waits for, and pipelines within their box', async () => {
    const { graflow, url } = await serve(await stage())
    await graflow.submit(checkout, order, { id: 'waits-for-a-worker' })
    const page = await browser.page({ width: 320 })
    await page.goto(`${url}runs`)
    await row(page, 'waits-for-a-worker')
      .filter({ hasText: /Nobody|No (live )?worker/ })
      .waitFor()
    await page.goto(`${url}waits`)
    await row(page, 'waits-for-a-worker').waitFor()
    await shot(page, 'waits-phone')
    const [wait] = (await graflow.runs.get('waits-for-a-worker'))?.waits ?? []
    expect(await row(page, 'waits-for-a-worker').textContent()).toContain(
      wait?.path === '' ? 'the run' : (wait?.path ?? 'no wait'),
    )
    const name = 'a-pipeline-with-a-name-that-is-long-and-longer'
    await page.route('**/cluster/topology', (route) =>
      route.fulfill({
        json: {
          nodes: [],
          leader: null,
          groups: [
            {
              id: 'g',
              name: 'orders',
              status: 'running',
              pipelines: ['first', 'second', name].map((one) => ({ name: one, source: `flow-of-${one}` })),
              routes: [
                { from: '_external', to: 'first', eventTypes: ['order.created'] },
                { from: 'first', to: 'second', eventTypes: ['order.paid'] },
                { from: 'second', to: name, eventTypes: ['order.sent'] },
              ],
              placements: [{ pipeline: 'first', workerId: `worker-${'0'.repeat(60)}` }],
            },
          ],
        },
      }),
    )
    await page.goto(`${url}cluster`)
    await page.getByText(name, { exact: true }).waitFor()
    await shot(page, 'pipelines-phone')
    const rights = await page
      .locator('.pipe')
      .evaluateAll((boxes: any[]) => boxes.map((box) => box.getBoundingClientRect().right as number))
    expect(rights).toHaveLength(4)
    expect(Math.max(...rights)).toBeLessThan(320)
    await page.close()
  }, 60_000)
})

describe('texts of users', () => {
  it('FT-H8: are shown as texts: tags, errors, inputs, prompts, names of hosts and metadata with 30 payloads', async () => {
    expect(PAYLOADS).toHaveLength(30)
    const { place, graflow, url } = await serve(await stage())
    await place.worker('ada', { flags: ['--metadata', `zone=${PAYLOADS[3]}`] })
    const run = await graflow.submit(echo, [...PAYLOADS], { id: 'texts', tags: PAYLOADS.slice(0, 8) })
    await run.result().catch(() => undefined)
    await until(async () => (await graflow.deadLetters.list({ limit: 100 })).items.length > 0, 'dead letters')
    const letters = (await graflow.deadLetters.list({ limit: 100 })).items
    const page = await browser.page()
    let asked = 0
    page.on('request', (request) => {
      if (!request.url().startsWith(url)) asked += 1
    })
    const paths = [
      ...['', 'runs', 'runs/texts', 'waits', 'workers', 'workers?id=ada', 'builds', 'dead-letters', 'cluster'],
      ...letters.map(({ id }) => `dead-letters/${id}`),
      ...PAYLOADS.slice(0, 12).map(
        (text) => `runs?tag=${encodeURIComponent(text)}&workflow=${encodeURIComponent(text)}`,
      ),
      ...PAYLOADS.slice(12, 24).map((text) => `runs/${encodeURIComponent(text)}`),
      ...PAYLOADS.slice(24).map(
        (text) => `start?workflow=${encodeURIComponent(text)}&flow=${encodeURIComponent(text)}`,
      ),
    ]
    for (const path of paths) {
      await page.goto(`${url}${path}`)
      await page.locator('.page h1').waitFor()
      await page.waitForLoadState('load')
      const found = await page.evaluate(() => ({
        hit: (globalThis as { hit?: unknown }).hit,
        made: document.querySelectorAll(
          '#app script, #app iframe, #app img, #app object, #app embed, #app meta, #app base, #app link, #app style, #app video, #app math, #app x, #app template',
        ).length,
        handlers: [...document.querySelectorAll('#app *')].filter((one) =>
          [...one.attributes].some(({ name, value }) => /^on/i.test(name) || /^\s*javascript:/i.test(value)),
        ).length,
      }))
      expect({ path, ...found }).toEqual({ path, hit: undefined, made: 0, handlers: 0 })
    }
    expect(asked).toBe(0)
    await page.setViewportSize({ width: 1_600, height: 900 })
    await page.goto(`${url}runs?tag=${encodeURIComponent(PAYLOADS[0]!)}`)
    await row(page, 'texts').getByText(PAYLOADS[0]!, { exact: true }).waitFor()
    await page.close()
  }, 120_000)
})
