/**
 * `npm run field:prometheus`: a real Prometheus scrapes a real worker, an exporter and a client's page. Every query of docs/metrics.md is
 * asked of it, and the alert GraflowNoWorkers of dashboards/alerts.yml fires while nobody works and resolves once somebody does.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect } from 'graflow'
import { startExporter } from 'graflow/worker'
import { parse, stringify } from 'yaml'
import { Child, startWorker } from '../support/processes.js'
import { freePort, RedisServer } from '../support/redis-server.js'
import { until } from '../support/waits.js'
import { check, play } from './checks.js'
import { naps, napsOf } from './nap.tasks.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const PREFIX = 'field'

const ALERT = 'GraflowNoWorkers'

/** All alerts as they are shipped; only how long the one must hold that is to fire here is shortened. */
function shippedRules(): string {
  const { groups } = parse(readFileSync(join(here, '../../dashboards/alerts.yml'), 'utf8')) as {
    readonly groups: readonly { readonly rules: readonly { readonly alert: string }[] }[]
  }
  const shortened = groups.map((group) => ({
    ...group,
    rules: group.rules.map((rule) => (rule.alert === ALERT ? { ...rule, for: '1s' } : rule)),
  }))
  return stringify({ groups: shortened })
}

/** The queries of the page, as they stand in its last table. */
const queries = (): readonly string[] => {
  const page = readFileSync(join(here, '../../docs/metrics.md'), 'utf8')
  const table = page.slice(page.indexOf('\n## Questions'), page.indexOf('\n## Autoscaling'))
  return [...table.matchAll(/\| `(.+)` \|$/gm)].map(([, query = '']) => query)
}

/** Starts it in a folder of its own; what it answers is read with the function that this gives. */
async function startPrometheus(
  targets: readonly number[],
  onEnd: (stop: () => Promise<unknown>) => void,
): Promise<(path: string) => Promise<unknown>> {
  const folder = mkdtempSync(join(tmpdir(), 'graflow-prometheus-'))
  onEnd(async () => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  const list = targets.map((target) => `'127.0.0.1:${target}'`).join(', ')
  const config = `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [rules.yml]
scrape_configs:
  - job_name: graflow
    static_configs: [{ targets: [${list}] }]
`
  writeFileSync(join(folder, 'rules.yml'), shippedRules())
  writeFileSync(join(folder, 'prometheus.yml'), config)
  const args = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]
  new Child({ name: 'prometheus', command: 'prometheus', args })
  const ask = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)
    return response.json()
  }
  await until(
    () =>
      ask('targets')
        .then(() => true)
        .catch(() => false),
    'Prometheus to answer',
    20_000,
  )
  return ask
}

interface Alerts {
  readonly data: {
    readonly alerts: readonly {
      readonly state: string
      readonly labels: { readonly alertname?: string; readonly queue?: string }
    }[]
  }
}
interface Answer {
  readonly status: string
  readonly error?: string
  readonly data?: { readonly result: readonly { readonly value: readonly [number, string] }[] }
}

await play(async (onEnd) => {
  if (spawnSync('prometheus', ['--version']).error !== undefined) {
    console.log('skipped: there is no prometheus here (apt-get install prometheus)')
    return
  }
  const redis = await RedisServer.start()
  onEnd(() => redis.stop())
  const url = `redis://127.0.0.1:${redis.port}`
  const common = { redisUrl: url, keyPrefix: PREFIX, metricsHost: '127.0.0.1', logLevel: 'warn' } as const
  const exporter = await startExporter({ ...common, metricsPort: 0 })
  onEnd(() => exporter.close())
  const client = await connect(url, { keyPrefix: PREFIX, logLevel: 'warn' })
  onEnd(() => client.close())
  const page = createServer((_request, response) => {
    void client.metrics().then((text) => response.setHeader('content-type', 'text/plain; version=0.0.4').end(text))
  }).listen(0, '127.0.0.1')
  onEnd(async () => page.close().closeAllConnections())
  const workerPort = await freePort()
  const ask = await startPrometheus([exporter.port, (page.address() as AddressInfo).port, workerPort], onEnd)
  const valueOf = async (query: string): Promise<number> => {
    const { data } = (await ask(`query?query=${encodeURIComponent(query)}`)) as Answer
    return Number(data?.result[0]?.value[1])
  }
  const firing = async (): Promise<boolean> => {
    const { data } = (await ask('alerts')) as Alerts
    return data.alerts.some(
      ({ state, labels }) => state === 'firing' && labels.alertname === ALERT && labels.queue === 'default',
    )
  }

  await client.metrics() // it counts from now on
  const result = client.run(naps, napsOf(30, 50))
  await until(firing, 'the alert to fire', 20_000)
  check(
    `${ALERT} of dashboards/alerts.yml fires while work waits and nobody works`,
    true,
    `${await valueOf('max(graflow_queue_depth{queue="default"})')} branches wait`,
  )
  await startWorker({
    ...{ tasks: join(here, 'nap.tasks.ts'), url, keyPrefix: PREFIX, id: 'w1' },
    flags: ['--metrics-port', String(workerPort), '--metrics-host', '127.0.0.1'],
  })
  await result
  await until(async () => !(await firing()), 'the alert to resolve', 20_000)
  check('it resolves once a worker has done the work', true, 'no alert is firing')
  const counted = 'sum(graflow_tasks_total{task="nap",outcome="succeeded"})'
  await until(async () => (await valueOf(counted)) === 30, 'Prometheus to have read the worker', 20_000)
  check('what the worker counted is there', true, `${counted} is ${await valueOf(counted)}`)
  const ended = 'max(graflow_runs_total{workflow="naps",state="completed"})'
  await until(async () => (await valueOf(ended)) === 1, 'Prometheus to have read the exporter', 20_000)
  check('what the store counted is there', true, `${ended} is ${await valueOf(ended)}`)
  const started = 'sum(graflow_workflow_execution_started_total)'
  check('what the client counted is there', (await valueOf(started)) >= 1, `${started} is ${await valueOf(started)}`)
  const refused: string[] = []
  for (const query of queries()) {
    const { status, error = '' } = (await ask(`query?query=${encodeURIComponent(query)}`)) as Answer
    if (status !== 'success') refused.push(`${query}: ${error}`)
  }
  check(
    'Prometheus takes every query of docs/metrics.md',
    refused.length === 0 && queries().length > 20,
    refused.length === 0 ? `${queries().length} queries` : refused,
  )
})
