/** A real Prometheus in a folder of its own, and the questions that the scripts of this folder ask it. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from '../support/processes.js'
import { freePort } from '../support/redis-server.js'
import { until } from '../support/waits.js'

/** By the name that its series have as `instance`, the port of a page on this machine. */
export type Targets = Readonly<Record<string, number>>

export const hasPrometheus = (): boolean => spawnSync('prometheus', ['--version']).error === undefined

/** Values by time in seconds, of one set of labels. */
export interface Range {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [number, string])[]
}

export interface Prometheus {
  /** @throws Error with what it says of the query */
  range(query: string, from: number, to: number, stepSeconds: number): Promise<readonly Range[]>
}

/** Reads every target once a second. */
export async function startPrometheus(
  targets: Targets,
  onEnd: (stop: () => Promise<unknown>) => void,
): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'graflow-prometheus-'))
  onEnd(async () => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  const configs = Object.entries(targets).map(([instance, target]) => ({
    ...{ targets: [`127.0.0.1:${target}`], labels: { instance } },
  }))
  const config = {
    global: { scrape_interval: '1s' },
    scrape_configs: [{ job_name: 'graflow', static_configs: configs }],
  }
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config)) // which is YAML, too
  const args = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]
  new Child({ name: 'prometheus', command: 'prometheus', args })
  const ask = async (path: string): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)
    return (await response.json()) as Answer
  }
  const answers = (): Promise<boolean> =>
    ask('targets').then(
      () => true,
      () => false,
    )
  await until(answers, 'Prometheus to answer', 20_000)
  return {
    async range(query, from, to, stepSeconds) {
      const parameters = new URLSearchParams({ query, start: `${from}`, end: `${to}`, step: `${stepSeconds}` })
      const { error, data } = await ask(`query_range?${parameters.toString()}`)
      if (data === undefined) throw new Error(`Prometheus refuses ${query}: ${error ?? 'without a reason'}`)
      return data.result
    },
  }
}

interface Answer {
  readonly error?: string
  readonly data?: { readonly result: readonly Range[] }
}
