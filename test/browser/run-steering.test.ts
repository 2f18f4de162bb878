/// <reference lib="dom" />
/** What people do on the page of one run, and to start one: in a real Chromium, on a real Redis with real workers. */
import { join } from 'node:path'
import { connect, type ConnectOptions, type Graflow } from 'graflow'
import type { Page } from 'playwright-core'
import { type Stage, useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import { axeFindings, openChromium, shot, type TestBrowser } from './chromium.js'
import { sideways } from './dashboard-world.js'

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

async function served(serve: ConnectOptions['serve'] = {}): Promise<Served> {
  const place = await stage()
  const graflow = await place.client({ serve: { port: 0, ...serve } })
  return { place, graflow, url: graflow.server?.url ?? '' }
}

const stateWord = (page: Page) => page.locator('.run-state-word')
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
const inDialog = (page: Page, name: string) => page.getByRole('dialog').getByRole('button', { name, exact: true })

/** A run of three branches that hold until the test lets them go. */
async function holding({ place, graflow }: Served, worker = 'ada'): Promise<string> {
  await place.worker(worker, { maxConcurrentTasks: 4 })
  const run = await graflow.submit('held', [0, 1, 2])
  await place.ledger.until('holding', 3)
  return run.id
}

describe('on the page of a run, people', () => {
  it('O3: see what runs in the lane of its worker, and decide one branch that hangs by hand', async () => {
    const world = await served()
    const id = await holding(world)
    const page = await browser.page({ height: 1_200 })
    await page.goto(`${world.url}runs/${id}`)
    // what runs is in its lane, and is chosen by a click there
    const canvas = page.locator('.tl-canvas')
    await canvas.waitFor()
    const { width = 0 } = (await canvas.boundingBox()) ?? {}
    await canvas.hover({ position: { x: width - 12, y: 75 } })
    await page.locator('.tl-tip').getByText('running on ada').waitFor()
    await shot(page, 'running-lanes')
    await canvas.click({ position: { x: width - 12, y: 75 } })
    await page.locator('.panel').getByText('Runs for').waitFor()
    expect(new URL(page.url()).searchParams.get('at')).toMatch(/^0\/\d$/)
    await page.goto(`${world.url}runs/${id}?at=0`)
    await page.locator('.branch-row').nth(2).waitFor()
    expect(await page.locator('.branch-row').first().textContent()).toContain('ada')

    await page.goto(`${world.url}runs/${id}?at=0/1`)
    await button(page, 'Decide by hand').click()
    // somebody else has the same question before them
    const late = await browser.page()
    await late.goto(`${world.url}runs/${id}?at=0/1`)
    await button(late, 'Decide by hand').click()
    await late.getByLabel('Value (JSON)').fill('"late"')
    await page.getByLabel('Value (JSON)').fill('{ 42')
    await inDialog(page, 'Decide').click()
    await page.getByRole('dialog').getByText('This is no JSON').waitFor()
    await page.getByLabel('Value (JSON)').fill('{ "by": "hand" }')
    await shot(page, 'settle')
    expect(await axeFindings(page)).toEqual([])
    await inDialog(page, 'Decide').click()
    await page.getByText('Decided: hold at 0/1.').waitFor()
    await inDialog(late, 'Decide').click()
    await late.getByText('Nothing was decided: it has ended, or nobody has come to it.').waitFor()
    await late.close()
    await page.locator('.run-states').getByText('0/1 decided by hand').waitFor()
    world.place.ledger.open('go')
    await stateWord(page).getByText('completed').waitFor()
    expect(await (await world.graflow.attach(id)).result()).toEqual([0, { by: 'hand' }, 2])
    await button(page, 'Show the run').click()
    await page.locator('.by-hand').getByText('0/1').waitFor()
    await shot(page, 'by-hand')
    await page.close()
  }, 90_000)

  it('pause a run, resume it, cancel it, and delete it for good', async () => {
    const world = await served()
    const id = await holding(world)
    const page = await browser.page()
    await page.goto(`${world.url}runs/${id}`)
    await button(page, 'Pause').click()
    await stateWord(page).getByText('paused').waitFor()
    await shot(page, 'paused')
    expect((await world.graflow.runs.get(id))?.state).toBe('paused')
    await button(page, 'Resume').click()
    await stateWord(page).getByText('running').waitFor()
    await button(page, 'Cancel').click()
    await inDialog(page, 'Not now').click()
    expect((await world.graflow.runs.get(id))?.state).toBe('running')
    await button(page, 'Cancel').click()
    await inDialog(page, 'Cancel the run').click()
    await stateWord(page).getByText('cancelled').waitFor()
    await page.locator('.panel').getByText('cancelled in the dashboard').first().waitFor()
    await shot(page, 'cancelled')
    await button(page, 'Delete the run').click()
    await page.getByRole('dialog').getByText('Nobody can undo this').waitFor()
    await inDialog(page, 'Delete for good').click()
    await page.getByRole('heading', { name: 'Runs', level: 1 }).waitFor()
    expect(await world.graflow.runs.get(id)).toBeUndefined()
    await page.close()
  }, 60_000)

  it('see everything with a key that may only read, and touch nothing; a key that may operate deletes nothing', async () => {
    const keys = { apiKeys: ['read:the-read-key', 'operate:the-operate-key', 'admin:the-admin-key'] }
    const world = await served(keys)
    const id = await holding(world)
    const asks = await world.graflow.submit('refund', undefined)
    const enter = async (page: Page, key: string): Promise<void> => {
      const field = page.getByLabel('Key', { exact: true })
      await field.fill(key)
      await page.keyboard.press('Enter')
    }
    const page = await browser.page()
    await page.goto(`${world.url}runs/${id}?at=0/1`)
    await enter(page, 'the-read-key')
    await page.locator('.panel').getByText('hold').first().waitFor()
    await page.locator('.tree').first().waitFor() // its input
    await page.locator('.tl-canvas').waitFor()
    for (const name of ['Pause', 'Cancel', 'Delete the run', 'Decide by hand', 'Start again'])
      expect([name, await button(page, name).isDisabled()]).toEqual([name, true])
    expect(await button(page, 'Decide by hand').getAttribute('title')).toContain('it needs the scope operate')
    await shot(page, 'read-only-run')
    await page.goto(`${world.url}runs/${asks.id}`)
    await page.getByRole('heading', { name: 'How much is to be paid back?' }).waitFor()
    expect(await button(page, 'Answer').isDisabled()).toBe(true)
    await page.close()
    const other = await browser.page()
    await other.goto(`${world.url}runs/${id}`)
    await enter(other, 'the-operate-key')
    await button(other, 'Pause').and(other.locator(':enabled')).waitFor()
    expect(await button(other, 'Delete the run').isDisabled()).toBe(true)
    expect(await button(other, 'Delete the run').getAttribute('title')).toContain('it needs the scope admin')
    await other.close()
  }, 60_000)

  it('are told that the server went away, see the run as it is when it is back, and that it is deleted', async () => {
    const place = await stage()
    const client = await place.client()
    const first = await connect(place.server.url, { keyPrefix: place.prefix, logLevel: 'silent', serve: { port: 0 } })
    const { url = '', port = 0 } = first.server ?? {}
    const id = await holding({ place, graflow: client, url })
    const page = await browser.page()
    await page.goto(`${url}runs/${id}`)
    await page.locator('.node-counts').getByText('3 ◐').waitFor()
    await first.close()
    await page.getByText('The server cannot be reached').first().waitFor()
    await page.locator('.node-counts').getByText('3 ◐').waitFor() // what was known stays
    await shot(page, 'run-away')
    place.ledger.open('go')
    await (await client.attach(id)).result()
    const second = await place.client({ serve: { port } })
    await stateWord(page).getByText('completed').waitFor({ timeout: 40_000 })
    await until(async () => (await page.getByText('The server cannot be reached').count()) === 0, 'all is fresh again')
    await client.runs.delete(id)
    await page.getByText('There is no such run, or not any more').waitFor({ timeout: 30_000 })
    await shot(page, 'run-gone')
    await second.close()
    await page.close()
  }, 120_000)

  it('T3: are told what is wrong with an answer before it is sent, and what the worker refused of it', async () => {
    const world = await served()
    await world.place.worker('ada')
    const [paid, word] = [
      await world.graflow.submit('refund', undefined),
      await world.graflow.submit('picky', undefined),
    ]
    const page = await browser.page()
    await page.goto(`${world.url}runs/${paid.id}`)
    await page.getByLabel('amount').fill('501')
    await button(page, 'Answer').click()
    const amount = page.locator('.field').filter({ has: page.getByLabel('amount') })
    await amount.getByText('must be at most 500, got 501').waitFor()
    await page.getByText('is needed').waitFor()
    expect(await page.getByLabel('amount').evaluate((field) => field === document.activeElement)).toBe(true)
    await shot(page, 'answer-wrong')
    expect(await axeFindings(page)).toEqual([])
    expect(await page.getByRole('dialog').count()).toBe(0)

    await page.goto(`${world.url}runs/${word.id}`)
    await page.getByRole('textbox', { name: 'Value' }).fill('odd')
    await button(page, 'Answer').click()
    await inDialog(page, 'Answer').click()
    await page.getByText('The last answer was refused: must have an even number of letters').waitFor()
    await shot(page, 'answer-refused')
    await page.getByRole('textbox', { name: 'Value' }).fill('even')
    await button(page, 'Answer').click()
    await inDialog(page, 'Answer').click()
    await stateWord(page).getByText('completed').waitFor()
    expect(await word.result()).toBe('said even')
    await page.close()
  }, 60_000)

  it('find branches by what they call them', async () => {
    const world = await served()
    await Promise.all([world.place.worker('ada'), world.place.worker('grace')])
    const run = await world.graflow.submit('audit', 40)
    await run.result().catch(() => undefined)
    const slow = await world.graflow.submit(
      'sorted',
      ['slowpoke', 'b', 'c', 'd', 'e'].map((id) => ({ id })),
    )
    const isLate = async (): Promise<boolean> => {
      const { groups, running = [], end } = await (await fetch(`${world.url}api/v1/runs/${slow.id}/timeline`)).json()
      const [late] = running
      return running.length === 1 && end - late.start > 4 * (groups[0].medianMs ?? Number.NaN) + 100
    }
    await until(isLate, 'a branch that takes far longer than the others')
    const late = await browser.page({ height: 1_200 })
    await late.goto(`${world.url}runs/${slow.id}`)
    await late.locator('.tl-canvas').waitFor()
    await shot(late, 'late')
    await late.close()
    world.place.ledger.open('sorted')
    await slow.result()
    for (const [theme, width] of [
      ['light', 1_280],
      ['dark', 320],
    ] as const) {
      const page = await browser.page({ theme, width, height: 1_700 })
      await page.goto(`${world.url}runs/${run.id}?at=1`)
      await page.getByRole('button', { name: /package-7 1\/7/ }).waitFor()
      await shot(page, `labels-${theme}`)
      await page.getByRole('button', { name: /package-7 1\/7/ }).click()
      await page.locator('.panel-title').getByText('package-7').waitFor()
      await page.locator('.panel .error-message').getByText('has no licence').first().waitFor()
      await shot(page, `label-${theme}`)
      expect(await sideways(page)).toBe(0)
      expect(await axeFindings(page)).toEqual([])
      // stragglers, in the timeline and in the table below it
      await page.goto(`${world.url}runs/${slow.id}`)
      await page
        .locator('.run-table')
        .getByRole('button', { name: /^slowpoke$/ })
        .first()
        .click()
      await page.locator('.panel-title').getByText('slowpoke').waitFor()
      await page.locator('.run-table').scrollIntoViewIfNeeded()
      await shot(page, `stragglers-${theme}`)
      await page.close()
    }
  }, 90_000)
})

describe('to start a run, people', () => {
  it('fill in a form of all kinds of fields, and are told beside each what is wrong', async () => {
    const world = await served()
    await world.place.worker('ada')
    const page = await browser.page({ height: 1_500 })
    await page.goto(`${world.url}start?workflow=parcel`)
    await page.getByLabel('name').waitFor()
    await button(page, 'Start the run').click()
    const field = (label: string) =>
      page
        .locator('.field')
        .filter({ has: page.getByLabel(label) })
        .last()
    await field('name').getByText('is needed').waitFor()
    await field('size').getByText('choose one').waitFor()
    await field('digits').getByText('is needed').waitFor()
    expect(await page.getByLabel('name').evaluate((one) => one === document.activeElement)).toBe(true)
    await shot(page, 'start-wrong')
    expect(await axeFindings(page)).toEqual([])
    await page.getByLabel('name').fill('Ada')
    await page.getByLabel('size').selectOption('large')
    await page.getByLabel('weight').fill('31')
    await field('weight').getByText('must be at most 30, got 31').waitFor()
    await page.getByLabel('weight').fill('1.5')
    expect(await page.getByLabel('count').inputValue()).toBe('2')
    await page.getByLabel('express').check()
    for (const [i, tag] of ['red', 'x'].entries()) {
      await button(page, 'Add one').click()
      await page.getByLabel(String(i + 1), { exact: true }).fill(tag)
    }
    await page.getByText('must have at least 2 letters, got 1').waitFor()
    await button(page, 'Remove item 2').click()
    await page.getByLabel('city').fill('London')
    await page.getByText('floor').click()
    await page.getByRole('spinbutton', { name: 'floor' }).fill('3')
    await button(page, 'Fill in insured').click()
    await page.getByLabel('sum').fill('99')
    await page.getByRole('combobox', { name: 'Kind' }).selectOption('by: cash')
    await shot(page, 'start-filled')
    await button(page, 'Start the run').click()
    await until(() => /^\/runs\/.+/.test(new URL(page.url()).pathname), 'the page of the run')
    const id = decodeURIComponent(new URL(page.url()).pathname.slice('/runs/'.length))
    expect(await (await world.graflow.attach(id)).result()).toEqual({
      ...{ name: 'Ada', size: 'large', weight: 1.5, count: 2, express: true, tags: ['red'] },
      ...{ to: { city: 'London', floor: 3 }, insured: { sum: 99 }, paid: { by: 'cash' } },
    })
    // again, with the same input: the form has it
    const again = await browser.page({ theme: 'dark', width: 320, height: 1_800 })
    await again.goto(`${world.url}start?from=${id}`)
    await again.getByLabel('name').waitFor()
    expect(await again.getByRole('combobox', { name: 'Kind' }).inputValue()).toBe('1')
    expect(await again.getByLabel('sum').inputValue()).toBe('99')
    expect(await sideways(again)).toBe(0)
    await shot(again, 'start-again-phone')
    expect(await axeFindings(again)).toEqual([])
    await again.close()
    await page.close()
  }, 90_000)

  it('start one again with its dates, large integers and maps, one of them changed', async () => {
    const world = await served()
    await world.place.worker('ada')
    const input = { at: new Date(5_000), big: 12_345_678_901_234_567_890n, map: new Map([['a', 1n]]), n: 1 }
    const first = await world.graflow.submit('typed', input)
    expect(await first.result()).toBe('5000 bigint bigint 1')
    const page = await browser.page()
    await page.goto(`${world.url}start?from=${first.id}`)
    await page.getByText('Sent as in the run before').waitFor()
    const area = page.getByLabel('Input as JSON')
    await area.fill((await area.inputValue()).replace('00:00:05', '00:00:07').replace('"n": 1', '"n": 2'))
    await shot(page, 'start-typed')
    await button(page, 'Start the run').click()
    await until(() => /^\/runs\/.+/.test(new URL(page.url()).pathname), 'the page of the run')
    const id = decodeURIComponent(new URL(page.url()).pathname.slice('/runs/'.length))
    expect(await (await world.graflow.attach(id)).result()).toBe('7000 bigint bigint 2')
    await page.close()
  }, 60_000)
})
