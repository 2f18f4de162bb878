/// <reference lib="dom" />
/** The offline page of a report in a real Chromium: it zooms, says what the pointer is on, and loads nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'graflow'
import { wide } from '../behaviours/reports.tasks.js'
import { openChromium, shot, type TestBrowser } from './chromium.js'

let browser: TestBrowser
const folder = mkdtempSync(join(tmpdir(), 'graflow-report-'))
beforeAll(async () => {
  browser = await openChromium()
})
afterAll(async () => {
  await browser.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('the page of a report', () => {
  it('zooms by dragging and by keys, shows the whole run again, and says what the pointer is on', async () => {
    const graflow = await connect({ logLevel: 'silent' })
    const run = await graflow.start(wide, 4)
    await run.result()
    const file = join(folder, 'run.html')
    writeFileSync(file, (await graflow.runs.report(run.id)).toHtml())
    await graflow.close()
    const page = await browser.page()
    const asked: string[] = []
    page.on('request', (request) => asked.push(request.url()))
    await page.goto(`file://${file}`)
    await page.locator('html[data-drawn="yes"]').waitFor()
    const canvas = page.locator('canvas')
    const drawing = (): Promise<string> => canvas.evaluate((element) => (element as HTMLCanvasElement).toDataURL())
    const whole = await drawing()
    const box = await canvas.boundingBox()
    if (box === null) throw new Error('expected a canvas')
    const middle = { x: box.x + box.width * 0.4, y: box.y + 60 }

    // the tooltip of a superstep: its name stands above the lanes
    const tip = page.locator('#tip')
    await page.mouse.move(box.x + 152, box.y + 30)
    for (let x = box.x + 152; !(await tip.isVisible()) && x < box.x + box.width; x += 6)
      await page.mouse.move(x, box.y + 30)
    expect(await tip.textContent()).toMatch(/\d+ branches/)
    await shot(page, 'report')

    await page.mouse.move(middle.x, middle.y)
    await page.mouse.down()
    await page.mouse.move(middle.x + 200, middle.y, { steps: 5 })
    await page.mouse.up()
    const dragged = await drawing()
    expect(dragged).not.toBe(whole)
    await canvas.dblclick({ position: { x: 400, y: 60 } })
    await page.mouse.move(0, 0)
    expect(await drawing()).toBe(whole)

    await canvas.focus()
    await page.keyboard.press('+')
    expect(await drawing()).not.toBe(whole)
    await page.keyboard.press('0')
    expect(await drawing()).toBe(whole)
    expect([asked.length, browser.complaints]).toEqual([1, []])
  }, 60_000)
})
