/** The page of a report in a browser: it draws itself, in what users wrote nothing runs, and nothing is loaded. Passes over where there is no Chromium. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { connect } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { hostile, wide } from '../behaviours/reports.tasks.js'

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome']
const browser = BROWSERS.find((name) => spawnSync(name, ['--version']).error === undefined)

async function drawn(html: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'graflow-report-'))
  try {
    writeFileSync(join(folder, 'page.html'), html)
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      `--user-data-dir=${join(folder, 'profile')}`,
      '--dump-dom',
    ]
    const { stdout } = await promisify(execFile)(browser ?? '', [...flags, `file://${join(folder, 'page.html')}`], {
      ...{ timeout: 60_000, maxBuffer: 2 ** 26 },
    })
    return stdout
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const sectionsOf = (dom: string): string[] => [...dom.matchAll(/<h2>([^<]*)<\/h2>/g)].map(([, title]) => title ?? '')

;(browser === undefined ? describe.skip : describe)('the page of a report in a browser', () => {
  it('draws itself, and takes what users wrote as text', async () => {
    const graflow = await connect({ logLevel: 'silent' })
    const run = await graflow.start(hostile, undefined)
    await failureOf(run.result())
    const good = await graflow.start(wide, 4)
    await good.result()
    const pages = await Promise.all([run, good].map(async ({ id }) => (await graflow.runs.report(id)).toHtml()))
    await graflow.close()
    const [failed = '', whole = ''] = await Promise.all(pages.map(drawn))
    expect([failed, whole].map((dom) => dom.includes('data-drawn="yes"'))).toEqual([true, true])
    expect(/<title>([^<]*)<\/title>/.exec(failed)?.[1]).toContain('graflow report')
    expect(sectionsOf(failed)).toEqual([
      ...['Why it failed', 'Flow', 'Timeline', 'Critical path', 'Supersteps', 'Errors', 'Inputs and outputs'],
    ])
    expect(sectionsOf(whole)).toEqual(['Flow', 'Timeline', 'Critical path', 'Supersteps', 'Inputs and outputs'])
  }, 120_000)
})
