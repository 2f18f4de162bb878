/** What Prometheus's own tool says of the metrics and of the queries of docs/metrics.md. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { each, task } from 'graflow'
import { readDoc, tableRows } from '../repo-rules/doc-table.js'
import { SharedStore } from '../support/shared-store.js'

const hasPromtool = spawnSync('promtool', ['--version']).error === undefined
const itWithPromtool = hasPromtool ? it : it.skip
if (!hasPromtool) console.warn('skipped: there is no promtool here (apt-get install prometheus)')

const ok = task('ok', (n: number) => n)

describe('promtool', () => {
  itWithPromtool('accepts what workers, exporters and clients export', async () => {
    const store = new SharedStore()
    const worker = await store.started({ tasks: [ok], workerId: 'w', metricsPort: 0, metricsHost: '127.0.0.1' })
    const exporter = await store.exporter()
    const client = await store.client()
    await client.metrics()
    await client.run(each(ok), [1, 2])
    const of = async (port: number | undefined): Promise<string> =>
      (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const texts = [await of(worker.metricsPort), await of(exporter.port), await client.metrics()]
    await store.end()
    for (const input of texts) {
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })
      expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: '' })
    }
  })

  itWithPromtool('parses every query of docs/metrics.md', () => {
    const queries = tableRows(readDoc('metrics.md'), 'Questions').map(
      ([, query = '']) => /`(.+)`/.exec(query)?.[1] ?? '',
    )
    const rules = queries.map((expr, i) => ({ record: `q${i}`, expr }))
    const folder = mkdtempSync(join(tmpdir(), 'graflow-promtool-'))
    // JSON is YAML
    writeFileSync(join(folder, 'rules.yml'), JSON.stringify({ groups: [{ name: 'docs', rules }] }))
    const { stdout, stderr } = spawnSync('promtool', ['check', 'rules', join(folder, 'rules.yml')], {
      encoding: 'utf8',
    })
    rmSync(folder, { recursive: true })
    expect(stdout + stderr).toContain(`SUCCESS: ${queries.length} rules found`)
  })
})
