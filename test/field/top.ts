/**
 * `npm run field:top`: `graflow top` in a real terminal (tmux), while two workers run flows on a private Redis. Chromium draws what stands on the
 * screen into docs/images/top.png.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect } from 'graflow'
import { startWorker } from '../support/processes.js'
import { RedisServer } from '../support/redis-server.js'
import { CTRL_C, Terminal } from '../support/terminal.js'
import { until } from '../support/waits.js'
import { check, play } from './checks.js'
import { crawl, film, strict } from './dashboard.tasks.js'
import { screenshot } from './screenshot.js'

const project = fileURLToPath(new URL('../..', import.meta.url))
const PREFIX = 'shop'
const SIZE = { width: 1_080, height: 420 }
const MOST_BYTES = 120_000

const itemsOf = (count: number, ms: number): { readonly id: number; readonly ms: number }[] =>
  Array.from({ length: count }, (_, id) => ({ id, ms }))

/** What is on the screen, with its colours, as a page. */
function pageOf(screen: string): string {
  const colours: Readonly<Record<string, string>> = {
    '1': 'bold',
    '2': 'dim',
    '31': 'red',
    '32': 'green',
    '33': 'yellow',
  }
  const escaped = screen.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  let isOpen = false
  const body = escaped.replace(/\u001b\[([\d;]*)m/g, (_, codes: string) => {
    const name = codes
      .split(';')
      .map((code) => colours[code] ?? '')
      .join(' ')
      .trim()
    const text = `${isOpen ? '</span>' : ''}${name === '' ? '' : `<span class="${name}">`}`
    isOpen = name !== ''
    return text
  })
  const style =
    'body{margin:0;background:#16181d;color:#d8dce4;font:14px/1.35 "DejaVu Sans Mono",monospace}pre{margin:18px 22px}' +
    '.bold{font-weight:bold}.dim{color:#8a93a5}.red{color:#ff7b72}.green{color:#7ee787}.yellow{color:#e3b341}'
  return `<!doctype html><meta charset="utf-8"><style>${style}</style><pre>${body.trimEnd()}</pre>`
}

await play(async (onEnd) => {
  const server = await RedisServer.start()
  onEnd(() => server.stop())
  const url = `redis://127.0.0.1:${server.port}`
  const tasks = fileURLToPath(new URL('./dashboard.tasks.ts', import.meta.url))
  for (const id of ['worker-1', 'worker-2'])
    await startWorker({ tasks, url, keyPrefix: PREFIX, id, queues: ['default', 'runs'], flags: [] })
  const client = await connect(url, { keyPrefix: PREFIX, logLevel: 'silent' })
  onEnd(() => client.close())
  const failed = await client.submit(strict, [{ id: 100, words: 1 }], { id: 'import-9' })
  await failed.result().catch(() => undefined)
  await client.submit(film, [1, 2, 3], { id: 'film-7' })
  await client.submit(crawl, itemsOf(12_000, 120), { id: 'crawl-41' })
  await until(async () => (await client.queues.get('gpu'))?.ready === 3, 'the branches for gpu')
  await client.submit(crawl, itemsOf(6_000, 60), { id: 'crawl-42' })
  const terminal = new Terminal(tmpdir(), { TERM: 'xterm', PATH: process.env['PATH'] ?? '' })
  onEnd(() => {
    terminal.end()
    return Promise.resolve()
  })
  terminal.type(
    `clear; '${process.execPath}' '${join(project, 'dist/bin/graflow.js')}' top --redis-url ${url} --redis-key-prefix ${PREFIX}`,
  )
  await until(
    () => /crawl-41[^\n]*[1-9]\d+\/s[^\n]*\n[^]*import-9/.test(terminal.screen),
    () => `a rate of crawl-41, got:\n${terminal.screen}`,
    60_000,
  )
  const screen = terminal.coloured
  check(
    'top shows the runs, the queues, the workers and what failed',
    ['film-7', 'gpu', 'worker-2', 'import-9'].every((word) => screen.includes(word)),
    'one screen',
  )
  screenshot(pageOf(screen), SIZE, 'top.png', MOST_BYTES)
  terminal.type(CTRL_C)
})
