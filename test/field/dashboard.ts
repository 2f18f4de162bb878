/**
 * `npm run field:dashboard`: the dashboard of Grafana, filled by a real run. Redis, workers under load, an exporter and Prometheus are real;
 * every query of dashboards/graflow.json is asked, and one without an answer is a failure. Chromium draws the panels (Grafana itself is not
 * needed) into docs/images/dashboard.png.
 *
 *   npm run field:dashboard -- [--seconds 150]
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connect, type Graflow } from 'graflow'
import { Child, startWorker } from '../support/processes.js'
import { freePort, RedisServer } from '../support/redis-server.js'
import { elapse } from '../support/waits.js'
import { check, play } from './checks.js'
import { crawl, film, strict } from './dashboard.tasks.js'
import { type Panel, pageOf, type Picture, type Series, sizeOf } from './draw-dashboard.js'
import { screenshot } from './screenshot.js'
import { hasPrometheus, type Prometheus, type Range, startPrometheus } from './prometheus-server.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const project = join(here, '../..')
const IMAGE = 'dashboard.png'
const MOST_BYTES = 300_000
const PREFIX = 'shop'
const STEP_SECONDS = 2
/** What Grafana takes, where Prometheus reads once a second, for a panel of an hour; here the hour is a few minutes. */
const RATE_INTERVAL = '10s'
const { values: given } = parseArgs({ options: { seconds: { type: 'string', default: '150' } } })
const SECONDS = Number(given.seconds)

interface Dashboard {
  readonly title: string
  readonly panels: readonly Panel[]
}

// ------------------------------------------------------------------------------------------------------------------- the run

interface Fleet {
  start(name: string, queue?: string): Promise<Child>
}

/** Workers by name, each read by Prometheus at a port that is known before it starts. */
function fleetOf(url: string, ports: Readonly<Record<string, number>>): Fleet {
  return {
    start: (name, queue = 'default') =>
      startWorker({
        ...{ tasks: join(here, 'dashboard.tasks.ts'), url, keyPrefix: PREFIX, id: name, queues: [queue] },
        flags: ['--metrics-port', String(ports[name] ?? 0), '--metrics-host', '127.0.0.1'],
      }),
  }
}

const itemsOf = (count: number, ms: number): { readonly id: number; readonly ms: number }[] =>
  Array.from({ length: count }, (_, id) => ({ id, ms: ms * (0.5 + ((id * 37) % 100) / 100) }))

/** Submits more and less by turns: a wave, and a burst in its middle that needs more workers. Resolves when all of it has ended. */
async function load(
  graflow: Graflow,
  events: readonly (readonly [share: number, what: () => unknown])[],
): Promise<void> {
  const ends: Promise<unknown>[] = []
  const submit = (started: Promise<{ result(): Promise<unknown> }>): void => {
    ends.push(started.then((run) => run.result()).catch(() => undefined)) // some runs fail, as they should
  }
  const waiting = [...events]
  for (let second = 0; second < SECONDS; second += 1) {
    const share = second / SECONDS
    while ((waiting[0]?.[0] ?? 1) <= share) await waiting.shift()?.[1]()
    const wave = 1 + Math.sin(share * Math.PI * 6)
    const isBurst = share > 0.45 && share < 0.55
    submit(graflow.submit(crawl, itemsOf(Math.round(15 + 45 * wave + (isBurst ? 260 : 0)), 400)))
    if (second % 5 === 0)
      submit(
        graflow.submit(
          film,
          Array.from({ length: 12 }, (_, i) => 300 + 100 * (i % 8)),
        ),
      )
    if (second % 8 === 0) submit(graflow.submit(strict, [{ id: second === 40 ? 100 : 1, words: 1 }]))
    await elapse(1_000)
  }
  await Promise.all(ends)
}

// -------------------------------------------------------------------------------------------------------------- the questions

const queryOf = (expr: string): string =>
  expr.replaceAll('$__rate_interval', RATE_INTERVAL).replaceAll(/\$(?:key_prefix|queue)\b/g, '.*')

const nameOf = (legend: string, { metric }: Range): string =>
  legend === ''
    ? Object.values(metric).join(' ')
    : legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '')

/** What Prometheus has for a panel, and which of its queries it has nothing for. */
async function ask(
  prometheus: Prometheus,
  { title, targets = [] }: Panel,
  from: number,
  to: number,
): Promise<{ readonly series: readonly Series[]; readonly empty: readonly string[] }> {
  const series: Series[] = []
  const empty: string[] = []
  for (const { expr, legendFormat = '' } of targets) {
    const found = (await prometheus.range(queryOf(expr), from, to, STEP_SECONDS))
      .map((range) => ({
        name: nameOf(legendFormat, range),
        points: range.values
          .map(([at, value]) => [at, Number(value)] as const)
          .filter(([, value]) => Number.isFinite(value)),
      }))
      .filter(({ points }) => points.length > 1)
    if (found.length === 0) empty.push(`${title}: ${expr}`)
    series.push(...found)
  }
  return { series, empty }
}

// ---------------------------------------------------------------------------------------------------------------- the picture

/** Draws it into docs/images; says why it cannot. */
const paint = (picture: Picture): void => screenshot(pageOf(picture), sizeOf(picture), IMAGE, MOST_BYTES)

await play(async (onEnd) => {
  if (!hasPrometheus()) {
    console.log('skipped: there is no prometheus here (apt-get install prometheus)')
    return
  }
  const redis = await RedisServer.start({ persistence: 'everysec', config: { maxmemory: '256mb' } })
  onEnd(() => redis.stop())
  const url = `redis://127.0.0.1:${redis.port}`
  const names = ['exporter', 'worker-1', 'worker-2', 'worker-3', 'worker-4', 'worker-gpu']
  const ports: Record<string, number> = {}
  for (const name of names) ports[name] = await freePort()
  const prometheus = await startPrometheus(ports, onEnd)
  const exporter = new Child({
    name: 'exporter',
    args: [
      ...[join(project, 'dist/bin/graflow.js'), 'exporter', '--redis-url', url, '--redis-key-prefix', PREFIX],
      ...['--metrics-port', String(ports['exporter']), '--metrics-host', '127.0.0.1'],
    ],
  })
  await exporter.said(/on http:/)
  const fleet = fleetOf(url, ports)
  const [, second] = await Promise.all([
    ...[fleet.start('worker-1'), fleet.start('worker-2'), fleet.start('worker-gpu', 'gpu')],
  ])
  const graflow = await connect(url, { keyPrefix: PREFIX, logLevel: 'error' })
  onEnd(() => graflow.close())
  const from = Math.ceil(Date.now() / 1_000) + 5
  await load(graflow, [
    [0.5, () => fleet.start('worker-3')],
    [0.55, () => fleet.start('worker-4')],
    [0.75, () => second?.kill9()],
    [0.85, () => fleet.start('worker-2')],
  ])
  const to = Math.floor(Date.now() / 1_000)

  const { title, panels } = JSON.parse(readFileSync(join(project, 'dashboards/graflow.json'), 'utf8')) as Dashboard
  const series = new Map<number, readonly Series[]>()
  const empty: string[] = []
  for (const panel of panels) {
    const answer = await ask(prometheus, panel, from, to)
    series.set(panel.id, answer.series)
    empty.push(...answer.empty)
  }
  const queries = panels.reduce((sum, { targets = [] }) => sum + targets.length, 0)
  check(
    'every query of the dashboard has data',
    empty.length === 0 && queries > 20,
    empty.length === 0 ? `${queries} queries` : empty,
  )
  const note = `${to - from} s of a real run: a Redis, up to five workers, one of them killed, and an exporter; npm run field:dashboard drew it from dashboards/graflow.json.`
  paint({ title: `${title} · key_prefix ${PREFIX}`, panels, series, from, to, note })
})
